// SPDX-License-Identifier: Apache-2.0
import { Card } from '../../shared/kit/kit.tsx';
import { clockTime } from '../say.ts';
import type { Act } from './generation.ts';

const COLOURS = { calm: 'text-ink', good: 'text-good', bad: 'text-bad' };

export function Activity({ acts }: { acts: readonly Act[] }) {
  return (
    <Card className="p-4">
      <h2 className="mb-2">Activity</h2>
      {acts.length === 0 && <p className="text-sm text-faint">Quiet so far.</p>}
      <ol className="text-sm grid gap-1 max-h-72 overflow-y-auto" tabIndex={acts.length > 0 ? 0 : undefined} aria-label="Activity, newest first">
        {acts.map(({ id, time, text, tone }) => (
          <li key={id} className="flex gap-2.5"><time dateTime={time} className="numbers text-faint text-[13px] shrink-0">{clockTime(time)}</time><span className={COLOURS[tone]}>{text}</span></li>
        ))}
      </ol>
    </Card>
  );
}
