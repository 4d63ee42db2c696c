// SPDX-License-Identifier: Apache-2.0
// Who reads: from where, how, and how far behind; to close one, or to take back what a subject's tokens grant.
import { useState } from 'react';
import { useTidings } from '@tidings/react';
import { TroubleNote, useAct } from '../shared/kit/act.tsx';
import { Badge, Button, Empty, Field, PageHead } from '../shared/kit/kit.tsx';
import { usePolled, type ConnectionsPage } from './data.ts';
import { ago, bytes, count } from './format.ts';
import { Stale, Sure, Table } from './parts.tsx';

export function Connections() {
  const client = useTidings();
  const [user, setUser] = useState('');
  const { data, trouble, again } = usePolled<ConnectionsPage>(`/api/v1/admin/connections?limit=500${user && `&user=${encodeURIComponent(user)}`}`);
  const { run, trouble: failed, pending } = useAct();
  const end = (id: string) => void run(() => client.request('DELETE', `/api/v1/admin/connections/${id}`)).then(again);
  return (
    <>
      <PageHead title="Readers" aside={<Field label="Of one subject" className="w-56"><input className="field" value={user} placeholder="all" onChange={event => setUser(event.target.value.trim())} /></Field>}>
        WebSockets, event streams and waiting long-polls{data && `: ${count(data.count)}`}.
      </PageHead>
      <Stale trouble={trouble} />
      <TroubleNote title="It was not closed" trouble={failed} />
      {data && (
        <Table label="Readers" head={['Subject', 'From', 'How', ['Subscribed', 'right'], ['Behind', 'right'], ['Unsent', 'right'], ['Sent', 'right'], 'Since', '']}
          empty={<Empty title={user ? `${user} is not connected` : 'Nobody is connected'}>Who opens a WebSocket or an event stream appears here.</Empty>}>
          {data.connections.map(one => (
            <tr key={one.id}>
              <td className="font-medium">{one.user ?? <span className="text-faint">nobody</span>}{one.id === client.id && <> <Badge>this page</Badge></>}</td>
              <td className="font-mono text-[13px]">{one.address}</td>
              <td>{one.transport}{one.endpoint && <span className="text-faint"> · {one.endpoint}</span>}</td>
              <td className="text-right numbers">{one.subscriptions}</td>
              <td className="text-right numbers">{one.behind > 0 ? <Badge tone="warn">{count(one.behind)}</Badge> : '0'}</td>
              <td className="text-right numbers">{bytes(one.unsent_bytes)}</td>
              <td className="text-right numbers">{bytes(one.sent_bytes)}</td>
              <td className="numbers">{ago(one.since)}</td>
              <td className="text-right"><Sure question="Close it?" disabled={pending} onSure={() => end(one.id)}>Close</Sure></td>
            </tr>
          ))}
        </Table>
      )}
      {data?.more && <p className="text-sm text-faint mt-2">These are the first 500. Name a subject to see the others.</p>}
      <Revoke />
    </>
  );
}

interface Revoked { before: number | null; subscribe: string[] | null }

function Revoke() {
  const client = useTidings();
  const [sub, setSub] = useState('');
  const [patterns, setPatterns] = useState('');
  const [tokens, setTokens] = useState(false);
  const [done, setDone] = useState('');
  const { run, trouble, pending } = useAct();
  const taken = patterns.split(/[\s,]+/).filter(Boolean);
  const send = (body: Partial<Revoked>, said: string) => {
    setDone('');
    void run(async () => {
      await client.request('POST', `/api/v1/subjects/${encodeURIComponent(sub)}/revoke`, { body });
      setDone(said);
    });
  };
  return (
    <form className="card p-4 mt-6 grid gap-3 md:grid-cols-2" onSubmit={event => event.preventDefault()}>
      <div className="md:col-span-2"><h2>Revoke</h2><p className="text-sm text-soft">Takes from a subject what its tokens grant, within a second and over a restart.</p></div>
      <Field label="Subject"><input className="field" value={sub} onChange={event => setSub(event.target.value.trim())} /></Field>
      <Field label="Patterns that it may not read" hint="Several with commas: projects/42/**, entities/**"><input className="field font-mono text-sm" value={patterns} onChange={event => setPatterns(event.target.value)} /></Field>
      <label className="md:col-span-2 flex items-center gap-2 text-sm"><input type="checkbox" checked={tokens} onChange={event => setTokens(event.target.checked)} /> Its tokens of up to now are not valid any more</label>
      <div className="md:col-span-2 flex flex-wrap items-center gap-2">
        <Sure question={`Revoke this from ${sub}?`} disabled={pending || !sub || (!taken.length && !tokens)}
          onSure={() => send({ ...(taken.length && { subscribe: taken }), ...(tokens && { before: Math.floor(Date.now() / 1000) + 1 }) }, `Taken from ${sub}.`)}>Revoke</Sure>
        <Button small look="quiet" disabled={pending || !sub} onClick={() => send({ subscribe: null, before: null }, `${sub} has back what its tokens grant.`)}>Give everything back</Button>
        {done && <span role="status" className="text-sm text-good">{done}</span>}
      </div>
      <div className="md:col-span-2 empty:hidden"><TroubleNote title="Nothing was changed" trouble={trouble} /></div>
    </form>
  );
}
