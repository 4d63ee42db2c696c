// SPDX-License-Identifier: Apache-2.0
import { useState, type FormEvent } from 'react';
import { useTidings, useTokenStream } from '@tidings/react';
import { TokenText } from '@tidings/ui';
import { TroubleNote, useAct } from '../../shared/kit/act.tsx';
import { SparkIcon } from '../../shared/kit/icons.tsx';
import { Badge, Broken, Button, Card, Empty, type Tone } from '../../shared/kit/kit.tsx';
import { Tail } from '../../shared/kit/Tail.tsx';
import type { Iteration } from './review.ts';

const WORDS: Record<Iteration['status'], [string, Tone]> = { running: ['Writing', 'busy'], complete: ['Complete', 'good'], error: ['Failed', 'bad'], cancelled: ['Cancelled', 'warn'] };

export function IterationPanel({ project, proposal, iteration, loaded }: { project: string; proposal: string; iteration?: Iteration; loaded: boolean }) {
  const client = useTidings();
  const start = useAct(), stop = useAct();
  const [instruction, setInstruction] = useState('Replace `day_total` by `total`');
  const running = iteration?.status === 'running';
  const [word, tone] = iteration ? WORDS[iteration.status] : ['', 'calm' as Tone];
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void start.run(() => client.request('POST', '/api/v1/jobs', { body: { kind: 'iterate', params: { project_id: project, proposal_id: proposal, instruction } } }));
  };
  return (
    <Card className="p-4" aria-label="Iteration" data-status={iteration?.status ?? 'none'} data-job={iteration?.jobId}>
      <div className="flex items-center gap-2 mb-3"><h2>Change it with a model</h2>{iteration && <Badge tone={tone} role="status">{word}</Badge>}</div>
      <form onSubmit={submit} className="flex flex-wrap gap-2 mb-3">
        <input className="field grow basis-56 w-auto" aria-label="Instruction" value={instruction} onChange={event => setInstruction(event.target.value)} required />
        <Button type="submit" look="main" disabled={running || start.pending}><SparkIcon className="size-4.5" />Iterate</Button>
      </form>
      <TroubleNote title="It could not be started" trouble={start.trouble} />
      <TroubleNote title="It could not be stopped" trouble={stop.trouble} />
      {iteration ? <Said topic={`projects/${project}/proposals/${proposal}`} iteration={iteration}
        onStop={running ? () => void stop.run(() => client.request('POST', `/api/v1/jobs/${iteration.jobId}/cancel`)) : undefined} />
        : <Empty icon={<SparkIcon />} title={loaded ? 'Not changed yet' : 'Loading…'}>{loaded && 'Say what should be different. The model answers with whole files; they are written and validated.'}</Empty>}
    </Card>
  );
}

function Said({ topic, iteration, onStop }: { topic: string; iteration: Iteration; onStop?: () => void }) {
  const stream = useTokenStream({ topic, jobId: iteration.jobId });
  // How it ended is told by the proposal's own events.
  const status = iteration.status === 'running' ? stream.text ? 'streaming' : 'waiting' : iteration.status === 'complete' ? 'done' : iteration.status;
  return (
    <div className="grid gap-3">
      <Tail grown={stream.text} className="code"><TokenText text={stream.text} status={status} onStop={onStop} label="What the model says" /></Tail>
      {iteration.status === 'complete' && (
        <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 text-sm">
          <dt className="text-faint">Files changed</dt><dd className="font-mono text-[13px]" data-part="files">{iteration.files.join(', ') || 'none'}</dd>
          {iteration.validation && <><dt className="text-faint">Validation</dt><dd className={iteration.validation.status === 'passed' ? 'text-good' : 'text-bad'}>{iteration.validation.status}: {iteration.validation.summary}</dd></>}
        </dl>
      )}
      {iteration.status === 'error' && (
        <Broken title={iteration.error ?? 'The iteration failed'}>
          {iteration.actions.length > 0 && <ul className="list-disc pl-5">{iteration.actions.map(action => <li key={action}>{action}</li>)}</ul>}
        </Broken>
      )}
      {iteration.status === 'cancelled' && <p className="text-sm text-soft">It was cancelled, for everybody who looked. Nothing was changed.</p>}
      {iteration.by && <p className="text-[13px] text-faint">asked for by {iteration.by}</p>}
    </div>
  );
}
