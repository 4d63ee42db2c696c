// SPDX-License-Identifier: Apache-2.0
// One record while somebody edits it, and perhaps somebody else too.
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { Link, useLocation } from 'wouter';
import { useEdit, useEntityLive, useTidings } from '@tidings/react';
import { entity } from '@tidings/client/entities';
import { ConflictBanner } from '@tidings/ui';
import { TroubleNote, useAct } from '../../shared/kit/act.tsx';
import { BackIcon } from '../../shared/kit/icons.tsx';
import { Button, Card, Field } from '../../shared/kit/kit.tsx';
import { notify } from '../../shared/kit/notices.tsx';
import type { RecordDocument } from '../schema.ts';
import { clockTime } from '../say.ts';

const BLANK: RecordDocument = { title: '', owner: '', amount: 0, state: 'open', notes: '' };
const LABELS: Record<string, string> = { title: 'Title', owner: 'Owner', amount: 'Amount', state: 'State', notes: 'Notes' };

export function RecordDetail({ id, isNew, onSaved }: { id: string; isNew: boolean; onSaved: () => void }) {
  const client = useTidings();
  const [, go] = useLocation();
  const live = useEntityLive('records', id);
  const edit = useEdit({ type: 'records', id });
  const act = useAct();
  const [asking, setAsking] = useState(false);
  const leaving = useRef(false);
  const { draft = isNew ? BLANK : undefined, conflict, remote, dirty, takeTheirs } = edit;

  // Nothing of one's own is at stake: what is shown is what there is.
  useEffect(() => { if (conflict === 'other-fields' && !dirty) takeTheirs(); }, [conflict, dirty, takeTheirs]);

  // Deleted by somebody else: with nothing of one's own at stake there is nothing to stay for.
  const gone = !leaving.current && (conflict === 'deleted' && !dirty || live.status === 'deleted' && draft === undefined);
  useEffect(() => {
    if (!gone) return;
    leaving.current = true;
    notify({ key: `gone:${id}`, title: 'The record was deleted', body: `“${live.data?.title ?? id}” is gone${remote?.by ? `, by ${remote.by}` : ''}. Here is the list.` });
    go('/records', { replace: true });
  }, [gone, id, go, live.data, remote?.by]);

  const set = (change: Partial<RecordDocument>) => edit.set(before => ({ ...BLANK, ...before, ...change }));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    // What others changed elsewhere in it comes along; where both changed the same it was asked before.
    if (conflict === 'other-fields') edit.merge();
    void act.run(async () => { if (await edit.save() === 'saved') onSaved(); });
  };
  const remove = () => act.run(async () => {
    leaving.current = true;
    const one = entity(client, 'records', id);
    try {
      await one.remove();
      go('/records', { replace: true });
    } catch (error) {
      leaving.current = false;
      throw error;
    } finally {
      one.close();
    }
  });
  const back = <Link href="/records" className="@3xl:hidden inline-flex items-center gap-1 text-soft mb-3"><BackIcon className="size-4.5" />All records</Link>;
  if (draft === undefined) {
    const missing = live.status === 'missing';
    return <Card className="p-4">{back}<p className="text-soft" role="status">{missing ? 'There is no such record.' : live.status === 'denied' ? 'This record is not for you.' : 'Loading…'}</p>{missing && <Link href="/records" className="text-accent underline">To the list</Link>}</Card>;
  }
  const names = conflict === 'same-fields' ? remote?.both : remote?.fields;
  const of = (document: RecordDocument | undefined, name: string) => document?.[name as keyof RecordDocument];
  return (
    <Card className="p-4" aria-label="Record" data-conflict={conflict} data-version={edit.version}>
      {back}
      <div className="grid gap-3 empty:hidden mb-3">
        <ConflictBanner conflict={conflict} by={remote?.by} onRefresh={takeTheirs} onContinue={edit.keepMine}
          onMerge={picked => edit.merge(field => picked[field])}
          fields={names?.map(name => ({ name, label: LABELS[name], base: of(edit.base, name), mine: of(edit.draft, name), theirs: of(remote?.data, name) }))} />
        <TroubleNote title="It was not stored" trouble={act.trouble} />
      </div>
      <form onSubmit={submit} className="grid gap-3.5 @lg:grid-cols-2">
        <Field label="Title" className="@lg:col-span-2"><input className="field" value={draft.title} onChange={event => set({ title: event.target.value })} required maxLength={200} autoFocus={isNew} /></Field>
        <Field label="Owner"><input className="field" value={draft.owner} onChange={event => set({ owner: event.target.value })} maxLength={100} /></Field>
        <Field label="Amount"><input className="field numbers" type="number" step="any" value={draft.amount} onChange={event => set({ amount: Number(event.target.value) })} /></Field>
        <Field label="State"><select className="field" value={draft.state} onChange={event => set({ state: event.target.value as RecordDocument['state'] })}><option>open</option><option>waiting</option><option>closed</option></select></Field>
        <Field label="Notes" className="@lg:col-span-2"><textarea className="field" rows={4} value={draft.notes} onChange={event => set({ notes: event.target.value })} maxLength={10_000} /></Field>
        <div className="@lg:col-span-2 flex flex-wrap items-center gap-2">
          <Button type="submit" look="main" disabled={edit.saving || conflict === 'same-fields' || conflict === 'deleted' || !dirty && !isNew}>{edit.saving ? 'Saving…' : isNew ? 'Create' : 'Save'}</Button>
          {dirty && !isNew && conflict === 'none' && <Button look="quiet" onClick={() => edit.set(() => edit.base!)}>Discard</Button>}
          <span className="grow text-[13px] text-faint numbers">{edit.version !== undefined && <>version {edit.version}{live.version === edit.version && live.time && <> · {clockTime(live.time)} · {live.actor}</>}</>}</span>
          {!isNew && (asking
            ? <span className="flex items-center gap-2 text-sm">For everybody? <Button look="danger" small disabled={act.pending} onClick={() => void remove()}>Delete it</Button><Button look="quiet" small onClick={() => setAsking(false)}>Keep</Button></span>
            : <Button look="danger" onClick={() => setAsking(true)}>Delete</Button>)}
        </div>
      </form>
    </Card>
  );
}
