// SPDX-License-Identifier: Apache-2.0
import { useJob } from '@tidings/react';
import { JobProgress } from '@tidings/ui';
import { useAct } from '../../shared/kit/act.tsx';
import { bytes } from '../say.ts';
import type { JournalResult } from '../schema.ts';

export function JournalJob({ id }: { id: string }) {
  const stop = useAct();
  const job = useJob<JournalResult>(id);
  return (
    <li data-job={id} data-status={job.status ?? 'asking'} className="shadow-card rounded-xl">
      <JobProgress state={job} title={job.result?.title ?? 'Journal'} onCancel={job.active ? () => void stop.run(job.cancel) : undefined}>
        {(result: JournalResult) => (
          <dl className="grid grid-cols-[auto_1fr] gap-x-4 text-sm mt-1">
            <dt className="text-faint">Pages</dt><dd className="numbers">{result.pages}</dd>
            <dt className="text-faint">Words</dt><dd className="numbers">{result.words}</dd>
            <dt className="text-faint">File</dt><dd className="font-mono text-[13px] break-all">{result.file} ({bytes(result.bytes)})</dd>
          </dl>
        )}
      </JobProgress>
      {stop.trouble && <p role="alert" className="text-sm text-bad mt-2">It could not be cancelled: {stop.trouble.message}</p>}
    </li>
  );
}
