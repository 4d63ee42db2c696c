// SPDX-License-Identifier: Apache-2.0
import { useState } from 'react';
import { useTidings } from '@tidings/react';
import { LogView } from '@tidings/ui';
import { TroubleNote, useAct } from '../../shared/kit/act.tsx';
import { CheckIcon, StopIcon } from '../../shared/kit/icons.tsx';
import { Badge, Button, Card, Empty, type Tone } from '../../shared/kit/kit.tsx';
import { seconds } from '../say.ts';
import type { Validation } from './review.ts';

const WORDS: Record<Validation['status'], [string, Tone]> = { running: ['Running', 'busy'], passed: ['Passed', 'good'], failed: ['Faults found', 'bad'], error: ['Not finished', 'warn'] };
const WHAT = [{ path: '', name: 'All but the drafts' }, { path: 'drafts', name: 'The drafts (with faults)' }, { path: 'src', name: 'The sources' }];

export function ValidationPanel({ project, proposal, validation, loaded }: { project: string; proposal: string; validation?: Validation; loaded: boolean }) {
  const client = useTidings();
  const start = useAct(), stop = useAct();
  const [path, setPath] = useState('drafts');
  const running = validation?.status === 'running';
  const [word, tone] = validation ? WORDS[validation.status] : ['', 'calm' as Tone];
  const run = () => start.run(() => client.request('POST', '/api/v1/jobs', { body: { kind: 'validate', params: { project_id: project, proposal_id: proposal, ...(path && { path }) } } }));
  return (
    <Card className="p-4" aria-label="Validation" data-status={validation?.status ?? 'none'} data-job={validation?.jobId}>
      <div className="flex flex-wrap items-center gap-2 mb-3">
        <h2>Validation</h2>
        {validation && <Badge tone={tone} role="status">{word}</Badge>}
        <span className="grow" />
        <select className="field w-auto py-1" aria-label="What is validated" value={path} onChange={event => setPath(event.target.value)}>{WHAT.map(what => <option key={what.path} value={what.path}>{what.name}</option>)}</select>
        {running
          ? <Button look="danger" onClick={() => void stop.run(() => client.request('POST', `/api/v1/jobs/${validation.jobId}/cancel`))}><StopIcon className="size-4.5" />Stop</Button>
          : <Button look="main" disabled={start.pending} onClick={() => void run()}><CheckIcon className="size-4.5" />Validate</Button>}
      </div>
      <TroubleNote title="It could not be started" trouble={start.trouble ?? stop.trouble} />
      {validation ? <LogView lines={validation.lines} dropped={validation.dropped} label="Output" height="16rem" />
        : <Empty icon={<CheckIcon />} title={loaded ? 'Not validated yet' : 'Loading…'}>{loaded && 'A real checker reads real files; what it prints comes line by line, errors in their own colour.'}</Empty>}
      {validation?.summary && (
        <p className={`mt-2.5 text-sm ${validation.status === 'passed' ? 'text-good' : validation.status === 'failed' ? 'text-bad' : 'text-warn'}`} data-part="summary">
          {validation.summary}{validation.duration !== undefined && <span className="text-faint"> · {seconds(validation.duration)}</span>}{validation.by && <span className="text-faint"> · by {validation.by}</span>}
        </p>
      )}
    </Card>
  );
}
