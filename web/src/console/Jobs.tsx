// SPDX-License-Identifier: Apache-2.0
// The jobs, newest first by their start, and one of them in full.
import { useState } from 'react';
import { Link, useParams } from 'wouter';
import { useTidings } from '@tidings/react';
import { TroubleNote, useAct } from '../shared/kit/act.tsx';
import { Badge, Bar, Card, Empty, Field, PageHead, type Tone } from '../shared/kit/kit.tsx';
import { BackIcon } from '../shared/kit/icons.tsx';
import { usePolled } from './data.ts';
import { ago, span } from './format.ts';
import { Stale, Sure, Table } from './parts.tsx';

interface Job {
  readonly job_id: string; readonly kind: string; readonly state: string; readonly owner: string; readonly viewers: readonly string[]; readonly topic: string | null;
  readonly progress: number; readonly step?: { index: number; count: number; name: string } | null; readonly message?: string | null;
  readonly created: string; readonly started: string | null; readonly ended: string | null; readonly place?: number; readonly external?: boolean;
  readonly result: unknown; readonly error: { code: string; message: string; details?: unknown } | null;
  readonly agents?: readonly { agent: string; agent_name: string; status: string; duration: number | null }[];
}

const STATES = ['', 'queued', 'running', 'cancelling', 'done', 'failed', 'cancelled'];
const TONES: Record<string, Tone> = { running: 'busy', cancelling: 'warn', done: 'good', failed: 'bad' };
const State = ({ job }: { job: Job }) => <Badge tone={TONES[job.state]}>{job.state}{job.place ? ` · ${job.place}.` : ''}</Badge>;

const seconds = (job: Job) => job.started ? ((job.ended ? Date.parse(job.ended) : Date.now()) - Date.parse(job.started)) / 1000 : 0;
const runs = (job: Job) => !job.ended;

export function Jobs() {
  const { id } = useParams<{ id?: string }>();
  return id ? <One key={id} id={id} /> : <All />;
}

function All() {
  const [state, setState] = useState('');
  const [kind, setKind] = useState('');
  const { data, trouble } = usePolled<{ jobs: readonly Job[]; next: string | null }>(
    `/api/v1/jobs?limit=500${state && `&state=${state}`}${kind && `&kind=${encodeURIComponent(kind)}`}`);
  const jobs = data?.jobs.toSorted((a, b) => b.created.localeCompare(a.created)) ?? [];
  return (
    <>
      <PageHead title="Jobs" aside={<div className="flex gap-3">
        <Field label="State"><select className="field" value={state} onChange={event => setState(event.target.value)}>{STATES.map(name => <option key={name} value={name}>{name || 'all'}</option>)}</select></Field>
        <Field label="Kind"><input className="field w-36" value={kind} placeholder="all" onChange={event => setKind(event.target.value.trim())} /></Field>
      </div>} />
      <Stale trouble={trouble} />
      {data && (
        <Table label="Jobs" head={['Kind', 'State', 'Progress', 'Owner', 'Started', ['Took', 'right'], '']}
          empty={<Empty title="No jobs">{state || kind ? 'None with this state and kind.' : 'Whoever starts one, it appears here.'}</Empty>}>
          {jobs.map(job => (
            <tr key={job.job_id}>
              <td><Link href={`/jobs/${job.job_id}`} className="font-medium text-accent hover:underline">{job.kind}</Link></td>
              <td><State job={job} /></td>
              <td className="w-48"><Bar value={job.progress} label={`Progress of ${job.kind}`} tone={job.state === 'failed' ? 'bad' : job.state === 'done' ? 'good' : 'accent'} /></td>
              <td>{job.owner}</td>
              <td className="numbers">{job.started ? ago(job.started) : 'not yet'}</td>
              <td className="text-right numbers">{job.started ? span(seconds(job)) : ''}</td>
              <td className="text-right">{runs(job) && <Cancel job={job} />}</td>
            </tr>
          ))}
        </Table>
      )}
      {data?.next && <p className="text-sm text-faint mt-2">There are more than these 500. `tidings jobs list` has all.</p>}
    </>
  );
}

function Cancel({ job, onDone }: { job: Job; onDone?: () => void }) {
  const client = useTidings();
  const { run, trouble, pending } = useAct();
  return (
    <>
      <Sure question="Cancel it?" disabled={pending || job.state === 'cancelling'}
        onSure={() => void run(() => client.request('POST', `/api/v1/jobs/${job.job_id}/cancel`)).then(onDone)}>Cancel</Sure>
      <TroubleNote title="It was not cancelled" trouble={trouble} />
    </>
  );
}

const shown = (value: unknown) => JSON.stringify(value, null, 2);

function One({ id }: { id: string }) {
  const { data: job, trouble, again } = usePolled<Job>(`/api/v1/jobs/${encodeURIComponent(id)}`);
  return (
    <>
      <p className="mb-3"><Link href="/jobs" className="inline-flex items-center gap-1 text-soft hover:text-ink"><BackIcon className="size-4" /> All jobs</Link></p>
      <PageHead title={job?.kind ?? 'Job'} aside={job && runs(job) && <Cancel job={job} onDone={again} />}><code className="font-mono text-sm">{id}</code></PageHead>
      {trouble?.code === 'not_found' ? <Empty title="There is no such job">It may have been dropped by retention.</Empty> : <Stale trouble={trouble} />}
      {job && (
        <div className="grid gap-4 lg:grid-cols-2 items-start [&>*]:min-w-0">
          <Card className="p-4 grid gap-3">
            <p className="flex flex-wrap items-center gap-2"><State job={job} /> {job.step && <span className="text-soft">Step {job.step.index} of {job.step.count}: {job.step.name}</span>}</p>
            <Bar value={job.progress} label="Progress" tone={job.state === 'failed' ? 'bad' : job.state === 'done' ? 'good' : 'accent'} />
            {job.message && <p className="text-sm text-soft">{job.message}</p>}
            <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-sm [&_dt]:text-soft">
              <dt>Owner</dt><dd>{job.owner}</dd>
              {job.viewers.length > 0 && <><dt>Viewers</dt><dd>{job.viewers.join(', ')}</dd></>}
              {job.topic && <><dt>Topic</dt><dd className="font-mono">{job.topic}</dd></>}
              <dt>Created</dt><dd>{ago(job.created)}</dd>
              {job.started && <><dt>Ran for</dt><dd className="numbers">{span(seconds(job))}</dd></>}
              {job.external && <><dt>Run by</dt><dd>a worker elsewhere</dd></>}
            </dl>
          </Card>
          {job.agents && job.agents.length > 0 && (
            <Card className="p-4">
              <h2 className="mb-2">Steps</h2>
              <ol className="grid gap-1 text-sm">
                {job.agents.map(agent => (
                  <li key={agent.agent} className="flex gap-3"><span className="grow">{agent.agent_name}</span>
                    <span className="text-soft">{agent.status}</span><span className="numbers w-16 text-right text-faint">{agent.duration === null ? '' : span(agent.duration)}</span></li>
                ))}
              </ol>
            </Card>
          )}
          {job.error && <Card className="p-4"><h2 className="text-bad mb-1">{job.error.message}</h2><pre className="text-sm text-code overflow-x-auto">{shown({ code: job.error.code, details: job.error.details })}</pre></Card>}
          {job.result !== null && <Card className="p-4"><h2 className="mb-1">Result</h2><pre className="text-sm text-code overflow-auto max-h-96">{shown(job.result)}</pre></Card>}
        </div>
      )}
    </>
  );
}
