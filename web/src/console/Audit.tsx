// SPDX-License-Identifier: Apache-2.0
// Who did what: the newest of it, and then as it happens.
import { useEffect, useState } from 'react';
import type { Position, TidingsEvent } from '@tidings/client';
import { useTidings, useTopic } from '@tidings/react';
import { TroubleNote, troubleOf, type Trouble } from '../shared/kit/act.tsx';
import { Badge, Empty, Field, PageHead, type Tone } from '../shared/kit/kit.tsx';
import { clock } from './format.ts';
import { Table } from './parts.tsx';

interface Act { readonly actor: string | null; readonly action: string; readonly topic?: string; readonly address?: string; readonly outcome: string; readonly detail?: Record<string, unknown> }
type Row = TidingsEvent<Act>;

const KEPT = 1000;
const TONES: Record<string, Tone> = { denied: 'warn', failed: 'bad' };

interface Page { readonly events: readonly Row[]; readonly position: Position }

export function Audit() {
  const client = useTidings();
  const [page, setPage] = useState<Page>();
  const [trouble, setTrouble] = useState<Trouble>();
  useEffect(() => {
    const stop = new AbortController();
    client.request<Page>('GET', '/api/v1/events', { query: { topic: 'audit/**', limit: 200, state: 0 }, signal: stop.signal })
      .then(answer => setPage(answer.data), cause => { if (!stop.signal.aborted) setTrouble(troubleOf(cause)); });
    return () => stop.abort();
  }, [client]);
  if (page) return <Tail first={page} />;
  return <><PageHead title="Audit" />{trouble ? <TroubleNote title="The audit can’t be read" trouble={trouble} /> : <p className="text-faint" role="status">Reading the newest…</p>}</>;
}

const has = (row: Row, action: string, actor: string, topic: string) =>
  row.data.action.includes(action) && (row.data.actor ?? '').includes(actor) && (row.data.topic ?? '').includes(topic);

function Tail({ first }: { first: Page }) {
  const [rows, setRows] = useState(first.events);
  const [filter, setFilter] = useState({ action: '', actor: '', topic: '' });
  const [paused, setPaused] = useState<readonly Row[]>();
  const { phase, gap } = useTopic('audit/**', event => setRows(before => [...before, event as Row].slice(-KEPT)), { since: first.position });
  const seen = (paused ?? rows).filter(row => has(row, filter.action, filter.actor, filter.topic)).toReversed();
  const field = (name: keyof typeof filter) => (
    <Field label={name[0]!.toUpperCase() + name.slice(1)}><input className="field" value={filter[name]} placeholder="all" onChange={event => setFilter({ ...filter, [name]: event.target.value.trim() })} /></Field>
  );
  return (
    <>
      <PageHead title="Audit" aside={<label className="flex items-center gap-2 text-sm"><input type="checkbox" checked={!!paused} onChange={event => setPaused(event.target.checked ? rows : undefined)} /> Hold still</label>}>
        The newest first, as it happens. {phase === 'live' ? '' : 'Catching up…'} {gap && 'A part had been dropped by retention.'}
      </PageHead>
      <div className="grid grid-cols-3 gap-3 mb-4">{field('action')}{field('actor')}{field('topic')}</div>
      <Table label="Audit" head={['When', 'Who', 'What', 'Outcome', 'On', 'From', 'More']} empty={<Empty title="Nothing to see">{rows.length > 0 ? 'No act fits the filter.' : 'Acts appear here as they happen.'}</Empty>}>
        {seen.slice(0, 300).map(row => (
          <tr key={row.id}>
            <td className="numbers" title={row.time}>{clock(row.time)}</td>
            <td className="font-medium">{row.data.actor ?? <span className="text-faint">the server</span>}</td>
            <td>{row.data.action.replaceAll('_', ' ')}</td>
            <td><Badge tone={TONES[row.data.outcome]}>{row.data.outcome}</Badge></td>
            <td className="font-mono text-[13px]">{row.data.topic}</td>
            <td className="font-mono text-[13px]">{row.data.address}</td>
            <td className="font-mono text-[12px] text-soft max-w-96 overflow-hidden text-ellipsis" title={JSON.stringify(row.data.detail)}>{row.data.detail && JSON.stringify(row.data.detail)}</td>
          </tr>
        ))}
      </Table>
      {seen.length > 300 && <p className="text-sm text-faint mt-2">The newest 300 of {seen.length} are shown.</p>}
    </>
  );
}
