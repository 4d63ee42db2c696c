// SPDX-License-Identifier: Apache-2.0
// A proposal is checked, changed by a model, talked about and decided on; everybody who looks at it sees the same at the same time.
import { useState } from 'react';
import { usePresence, useTidings } from '@tidings/react';
import { PresenceStack } from '@tidings/ui';
import { useDesk } from '../../shared/desk.ts';
import { TroubleNote, useAct } from '../../shared/kit/act.tsx';
import { Badge, Card, PageHead, type Tone } from '../../shared/kit/kit.tsx';
import { useStory } from '../../shared/kit/story.ts';
import { ProjectPicker, useProject } from '../project.tsx';
import { IterationPanel } from './Iteration.tsx';
import { LockBar } from './LockBar.tsx';
import { Remarks } from './Remarks.tsx';
import { reduce, STATES, UNREAD, type Review } from './review.ts';
import { ValidationPanel } from './Validation.tsx';

const PROPOSALS = [
  { id: '7', title: 'Sum the till by day' },
  { id: '8', title: 'Discounts for regulars' },
  { id: '9', title: 'A price list in JSON' },
];
const KEY = 'tidings.proposal';
const TONES: Record<string, Tone> = { draft: 'calm', 'in review': 'busy', approved: 'good', rejected: 'bad' };

export function Proposals() {
  const { person } = useDesk();
  const [project, setProject] = useProject();
  const [id, setId] = useState(() => sessionStorage.getItem(KEY) ?? '7');
  const topic = `projects/${project}/proposals/${id}`;
  const { state, loaded, trouble } = useStory(topic, reduce, UNREAD, 1000);
  const presence = usePresence(`projects/${project}`);
  const pick = (next: string) => { sessionStorage.setItem(KEY, next); setId(next); };
  return (
    <>
      <PageHead title="Review proposals" aside={<div className="flex items-center gap-3"><PresenceStack users={presence.users} self={person.sub} size="small" /><ProjectPicker project={project} onPick={setProject} /></div>}>
        Checks and changes come line by line and word by word, to all who look.
      </PageHead>
      {!trouble && <LockBar project={project} />}
      <div role="tablist" aria-label="Proposals" className="flex gap-1.5 overflow-x-auto mb-4 pb-1" onKeyDown={event => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const at = PROPOSALS.findIndex(proposal => proposal.id === id);
        const next = step && PROPOSALS[(at + step + PROPOSALS.length) % PROPOSALS.length];
        if (next) { pick(next.id); event.currentTarget.querySelector<HTMLElement>(`[data-proposal="${next.id}"]`)?.focus(); }
      }}>
        {PROPOSALS.map(proposal => (
          <button key={proposal.id} type="button" role="tab" aria-selected={proposal.id === id} tabIndex={proposal.id === id ? 0 : -1} data-proposal={proposal.id} onClick={() => pick(proposal.id)}
            className="rounded-lg border border-line px-3 py-1.5 whitespace-nowrap text-soft bg-surface aria-selected:border-accent aria-selected:text-accent aria-selected:bg-accent-wash font-medium">
            <span className="text-faint font-normal">#{proposal.id}</span> {proposal.title}
          </button>
        ))}
      </div>
      {trouble ? <TroubleNote title={`Proposal ${id} of ${project} can’t be shown`} trouble={trouble} /> : (
        <div role="tabpanel" aria-busy={!loaded} className="grid gap-5 @3xl:grid-cols-[minmax(0,1fr)_20rem] items-start">
          <div className="grid gap-5 min-w-0">
            <ValidationPanel key={`v${topic}`} project={project} proposal={id} validation={state.validation} loaded={loaded} />
            <IterationPanel key={`i${topic}`} project={project} proposal={id} iteration={state.iteration} loaded={loaded} />
          </div>
          <div className="grid gap-5 min-w-0">
            <Status topic={topic} proposal={id} review={state} />
            <Remarks key={topic} topic={topic} project={project} proposal={id} remarks={state.remarks} />
          </div>
        </div>
      )}
    </>
  );
}

function Status({ topic, proposal, review: { status, statusBy } }: { topic: string; proposal: string; review: Review }) {
  const client = useTidings();
  const { person } = useDesk();
  const change = useAct();
  const set = (next: string) => change.run(() => client.publish(topic, 'proposal_status', { proposal_id: proposal, status: next, previous: status, actor: person.sub }));
  return (
    <Card className="p-4" data-status={status}>
      <div className="flex items-center gap-2 mb-2.5"><h2 className="grow">Status</h2><Badge tone={TONES[status]} role="status">{status}</Badge></div>
      <select className="field" aria-label="Change the status" value={status} onChange={event => void set(event.target.value)} disabled={change.pending}>
        {STATES.map(state => <option key={state}>{state}</option>)}
      </select>
      {statusBy && <p className="text-[13px] text-faint mt-1.5">set by {statusBy}</p>}
      {change.trouble && <p role="alert" className="text-sm text-bad mt-1.5">Not changed: {change.trouble.message}</p>}
    </Card>
  );
}
