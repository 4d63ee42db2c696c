// SPDX-License-Identifier: Apache-2.0
import { Card } from '../../shared/kit/kit.tsx';
import type { ProjectDocument } from './loaded.ts';

const plain = (value: unknown) => typeof value === 'object' ? JSON.stringify(value) : String(value);

/** What a generation left: loaded anew, not put together from what was told. */
export function Outcome({ document }: { document: ProjectDocument }) {
  const members = Object.entries(document.result ?? {}).filter(([, value]) => value !== null);
  return (
    <Card className="p-4" aria-label="The project">
      <h2 className="mb-2">{document.name}</h2>
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-5 gap-y-0.5 text-sm">
        {members.map(([name, value]) => (
          <div key={name} className="contents"><dt className="text-faint">{name.replaceAll('_', ' ')}</dt><dd className="break-words font-mono text-[13px] text-code">{plain(value)}</dd></div>
        ))}
      </dl>
    </Card>
  );
}
