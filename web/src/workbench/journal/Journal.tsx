// SPDX-License-Identifier: Apache-2.0
// A long job of one's own: it goes on without anybody who looks, and says so when it is done.
import { useEffect, useState, type FormEvent } from 'react';
import { useConnection, useTidings } from '@tidings/react';
import { startJob } from '@tidings/client/jobs';
import { useDesk } from '../../shared/desk.ts';
import { TroubleNote, troubleOf, useAct, type Trouble } from '../../shared/kit/act.tsx';
import { BookIcon } from '../../shared/kit/icons.tsx';
import { Button, Card, Empty, Field, PageHead } from '../../shared/kit/kit.tsx';
import { JournalJob } from './JournalJob.tsx';
import { lookAfter } from './watch.tsx';

const SOURCES = [
  { value: '', name: 'The whole sample project' },
  { value: 'src', name: 'Its sources' },
  { value: 'drafts', name: 'Its drafts' },
  { value: 'nowhere', name: 'A place that is not there (to see an error)' },
];
const VIEWERS = [{ value: '', name: 'Nobody else' }, { value: 'ann', name: 'Ann' }, { value: 'bob', name: 'Bob' }];

interface Listed { job_id: string; created?: string }

/** Ids of the journals that one may see, the newest first, and those that were started since. */
function useJournals() {
  const client = useTidings();
  const online = useConnection(state => state.status === 'connected');
  const [ids, setIds] = useState<string[]>();
  const [trouble, setTrouble] = useState<Trouble>();
  useEffect(() => {
    const stop = new AbortController();
    client.request<{ jobs: Listed[] }>('GET', '/api/v1/jobs', { query: { kind: 'journal', limit: 200 }, signal: stop.signal }).then(({ data }) => {
      const listed = data.jobs.toSorted((a, b) => (b.created ?? '').localeCompare(a.created ?? '')).map(job => job.job_id);
      setTrouble(undefined);
      setIds((before = []) => [...before.filter(id => !listed.includes(id)), ...listed].slice(0, 30));
    }, cause => { if (!stop.signal.aborted) setTrouble(troubleOf(cause)); });
    return () => stop.abort();
  }, [client, online]);
  return { ids, trouble, add: (id: string) => setIds((before = []) => before.includes(id) ? before : [id, ...before]) };
}

export function Journal() {
  const client = useTidings();
  const { person } = useDesk();
  const journals = useJournals();
  const [title, setTitle] = useState('What we did this week');
  const [pages, setPages] = useState('400');
  const [source, setSource] = useState('');
  const [viewer, setViewer] = useState('');
  const start = useAct();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void start.run(async () => {
      const params = { pages, ...(title.trim() && { title: title.trim() }), ...(source && { source }) };
      const job = await startJob(client, 'journal', params, viewer ? { viewers: [viewer] } : {});
      journals.add(job.id);
      lookAfter(job.id);
      job.close();
    });
  };
  return (
    <>
      <PageHead title="Journal">Pages about the sample project. Close the tab, come back: the job goes on, and only you and whom you name can see it.</PageHead>
      <Card className="p-4 mb-5">
        <form onSubmit={submit} className="grid gap-3 @lg:grid-cols-2 @3xl:grid-cols-[2fr_1fr_2fr_1.2fr_auto] items-end">
          <Field label="Title"><input className="field" value={title} maxLength={200} onChange={event => setTitle(event.target.value)} /></Field>
          <Field label="Pages"><input className="field numbers" type="number" min={1} max={99999} required value={pages} onChange={event => setPages(event.target.value)} /></Field>
          <Field label="About">
            <select className="field" value={source} onChange={event => setSource(event.target.value)}>
              {SOURCES.map(({ value, name }) => <option key={value} value={value}>{name}</option>)}
            </select>
          </Field>
          <Field label="Who else may look">
            <select className="field" value={viewer} onChange={event => setViewer(event.target.value)}>
              {VIEWERS.filter(({ value }) => value !== person.sub).map(({ value, name }) => <option key={value} value={value}>{name}</option>)}
            </select>
          </Field>
          <Button type="submit" look="main" disabled={start.pending}>{start.pending ? 'Starting…' : 'Write it'}</Button>
        </form>
      </Card>
      {start.trouble && <div className="mb-4"><TroubleNote title="It could not be started" trouble={start.trouble} /></div>}
      {journals.trouble && !journals.ids && <div className="mb-4"><TroubleNote title="Your journals could not be loaded" trouble={journals.trouble} /></div>}
      {!journals.ids && !journals.trouble && <p className="text-faint" role="status">Loading…</p>}
      {journals.ids?.length === 0 && <Card><Empty icon={<BookIcon />} title="No journal yet">Start one above. You are told when it is done, on whichever screen you are then.</Empty></Card>}
      <ul className="grid gap-3" aria-label="Journals">{journals.ids?.map(id => <JournalJob key={id} id={id} />)}</ul>
    </>
  );
}
