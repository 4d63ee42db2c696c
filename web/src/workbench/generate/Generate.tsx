// SPDX-License-Identifier: Apache-2.0
// Agents make a small program of a description, while everybody who is in the project watches.
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { usePresence, useTidings } from '@tidings/react';
import { LogView, PresenceStack } from '@tidings/ui';
import { useDesk } from '../../shared/desk.ts';
import { TroubleNote, useAct } from '../../shared/kit/act.tsx';
import { AgentsIcon, BellIcon, StopIcon } from '../../shared/kit/icons.tsx';
import { Badge, Bar, Broken, Button, Card, Empty, PageHead, type Tone } from '../../shared/kit/kit.tsx';
import { notify, notifySystem } from '../../shared/kit/notices.tsx';
import { useStory } from '../../shared/kit/story.ts';
import { ProjectPicker, useProject } from '../project.tsx';
import { seconds } from '../say.ts';
import { Activity } from './Activity.tsx';
import { Agents } from './Agents.tsx';
import { ChatBox } from './Chat.tsx';
import { NOTHING, reduce, type Ending, type Generation } from './generation.ts';
import { Outcome } from './Outcome.tsx';
import { useLoadedProject } from './loaded.ts';

const STATUS: Record<Generation['status'], [string, Tone]> = {
  none: ['Nothing yet', 'calm'], queued: ['Queued', 'calm'], running: ['At work', 'busy'], cancelling: ['Stopping', 'warn'],
  completed: ['Complete', 'good'], failed: ['Failed', 'bad'], cancelled: ['Cancelled', 'warn'],
};

export function Generate() {
  const client = useTidings();
  const { person } = useDesk();
  const [project, setProject] = useProject();
  const { state, loaded, trouble } = useStory(`projects/${project}`, reduce, NOTHING);
  const presence = usePresence(`projects/${project}`);
  const document = useLoadedProject(project, state.ending?.jobId);
  const start = useAct(), stop = useAct();
  const [description, setDescription] = useState('A shop with products, customers and orders');
  const busy = ['queued', 'running', 'cancelling'].includes(state.status);
  useEndings(project, loaded, state.ending);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void start.run(() => client.request('POST', `/api/projects/${project}/generate`, { body: { description } }));
  };
  const [word, tone] = STATUS[state.status];
  return (
    <>
      <PageHead title="Generate a project" aside={<div className="flex items-center gap-3"><PresenceStack users={presence.users} self={person.sub} size="small" /><ProjectPicker project={project} onPick={setProject} /></div>}>
        Thirteen agents plan, write, test and pack a small program. Everybody in the project sees the same.
      </PageHead>
      {trouble ? <TroubleNote title={`The project ${project} can’t be shown`} trouble={trouble} /> : (
        <div className="grid gap-5 @4xl:grid-cols-[minmax(0,1fr)_20rem] items-start">
          <div className="grid gap-5 min-w-0">
            <Card className="p-4" aria-label="Generation" data-status={state.status} data-job={state.jobId}>
              <form onSubmit={submit} className="flex flex-wrap gap-2 items-end">
                <label className="grow basis-64"><span className="block text-sm font-medium text-soft mb-1">What should it be about?</span>
                  <input className="field" value={description} onChange={event => setDescription(event.target.value)} disabled={busy} /></label>
                {busy
                  ? <Button look="danger" disabled={state.status === 'cancelling' || stop.pending} onClick={() => void stop.run(() => client.request('POST', `/api/v1/jobs/${state.jobId}/cancel`))}><StopIcon className="size-4.5" />Stop</Button>
                  : <Button type="submit" look="main" disabled={start.pending}><AgentsIcon className="size-4.5" />{start.pending ? 'Starting…' : 'Generate'}</Button>}
              </form>
              {state.status !== 'none' && (
                <div className="mt-4">
                  <div className="flex items-center gap-2 mb-1.5 text-sm"><Badge tone={tone} role="status">{word}</Badge><span className="numbers text-soft">{Math.round(state.progress)} %</span>
                    {state.ending?.duration !== undefined && <span className="text-faint ml-auto">{seconds(state.ending.duration)}</span>}</div>
                  <Bar value={state.progress} label="Generation" tone={tone === 'good' ? 'good' : tone === 'bad' ? 'bad' : tone === 'warn' ? 'soft' : 'accent'} />
                </div>
              )}
              <div className="grid gap-3 empty:hidden mt-3">
                <TroubleNote title="It could not be started" trouble={start.trouble} />
                <TroubleNote title="It could not be stopped" trouble={stop.trouble} />
                {state.ending?.status === 'failed' && (
                  <Broken title={state.ending.error ?? 'The generation failed'}>
                    {state.ending.actions.length > 0 && <ul className="list-disc pl-5">{state.ending.actions.map(action => <li key={action}>{action}</li>)}</ul>}
                  </Broken>
                )}
              </div>
            </Card>
            <Agents agents={state.agents} idle={state.status === 'none'} />
            {document && state.ending?.status === 'completed' && <Outcome document={document} />}
            {state.log.length > 0 ? <LogView lines={state.log} dropped={state.dropped} label="Log" />
              : <Card><Empty icon={<AgentsIcon />} title={loaded ? 'Nothing has been generated yet' : 'Loading…'}>{loaded && 'Say what the program should be about, and press Generate.'}</Empty></Card>}
          </div>
          <div className="grid gap-5 @2xl:grid-cols-2 @4xl:grid-cols-1 min-w-0">
            <ChatBox project={project} chat={state.chat} />
            <Activity acts={state.acts} />
            <AllowNotices />
          </div>
        </div>
      )}
    </>
  );
}

/** Tells of a generation that ended while one was here. */
function useEndings(project: string, loaded: boolean, ending: Ending | undefined) {
  const known = useRef<{ project: string; job?: string }>(undefined);
  useEffect(() => {
    if (!loaded) return;
    if (known.current?.project !== project) {
      known.current = { project, job: ending?.jobId };
      return;
    }
    if (!ending || known.current.job === ending.jobId) return;
    known.current.job = ending.jobId;
    const title = { completed: 'The project is ready', failed: 'The generation failed', cancelled: 'The generation was cancelled' }[ending.status];
    const body = ending.error ?? (ending.duration === undefined ? project : `${project}, in ${seconds(ending.duration)}`);
    notify({ key: `generate:${project}`, tone: ending.status === 'completed' ? 'good' : ending.status === 'failed' ? 'bad' : 'calm', title, body });
    notifySystem(title, body);
  }, [project, loaded, ending]);
}

function AllowNotices() {
  const [permission, setPermission] = useState(() => globalThis.Notification?.permission ?? 'denied');
  if (permission !== 'default') return null;
  return (
    <Button look="quiet" className="justify-self-start" onClick={() => void Notification.requestPermission().then(setPermission)}>
      <BellIcon className="size-4.5" />Tell me when I look elsewhere
    </Button>
  );
}
