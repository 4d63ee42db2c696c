// SPDX-License-Identifier: Apache-2.0
// Why does somebody get a topic, or not? Answered by the code that decides it.
import { useState } from 'react';
import { useTidings } from '@tidings/react';
import { TroubleNote, useAct } from '../shared/kit/act.tsx';
import { Badge, Button, Card, Field, PageHead } from '../shared/kit/kit.tsx';

interface Answer {
  readonly sub: string; readonly topic: string; readonly may_subscribe: boolean; readonly reason: string; readonly pattern?: string; readonly may_publish: boolean;
  readonly publish_reason?: string; readonly admin: boolean; readonly subscribe: readonly string[]; readonly publish: readonly string[]; readonly taken: readonly string[];
  readonly trimmed: boolean; readonly newest?: unknown;
  readonly connections: readonly { id: string; transport?: string; may_subscribe?: boolean; reason?: string; subscribed_as?: string | null }[];
}

export function Why() {
  const client = useTidings();
  const [ask, setAsk] = useState({ sub: '', topic: '', role: '', subscribe: '' });
  const [answer, setAnswer] = useState<Answer>();
  const { run, trouble, pending } = useAct();
  const field = (name: keyof typeof ask, label: string, hint?: string) => (
    <Field label={label} hint={hint}><input className="field" required={name === 'sub' || name === 'topic'} value={ask[name]} onChange={event => setAsk({ ...ask, [name]: event.target.value.trim() })} /></Field>
  );
  return (
    <>
      <PageHead title="Why">Why a subject does or does not get a topic, said by the code that decides it.</PageHead>
      <form className="card p-4 grid gap-3 sm:grid-cols-2 mb-5" onSubmit={event => {
        event.preventDefault();
        setAnswer(undefined);
        void run(async () => {
          const query = Object.fromEntries(Object.entries(ask).filter(([, value]) => value));
          setAnswer((await client.request<Answer>('GET', '/api/v1/admin/why', { query })).data);
        });
      }}>
        {field('sub', 'Subject')}{field('topic', 'Topic')}
        {field('role', 'A role that its token has', 'Without one: what everybody has.')}{field('subscribe', 'A pattern that its token grants', 'Without one: the grants of the configuration.')}
        <div><Button type="submit" look="main" disabled={pending}>Ask</Button></div>
      </form>
      <TroubleNote title="There is no answer" trouble={trouble} />
      {answer && <Said answer={answer} />}
    </>
  );
}

const list = (patterns: readonly string[]) => patterns.length > 0 ? patterns.map(pattern => <code key={pattern} className="font-mono mr-3">{pattern}</code>) : <span className="text-faint">nothing</span>;

function Said({ answer }: { answer: Answer }) {
  return (
    <Card className="p-4 grid gap-3" role="status">
      <h2 className="flex flex-wrap items-center gap-2">
        {answer.may_subscribe ? <Badge tone="good">may read</Badge> : <Badge tone="bad">may not read</Badge>}
        {answer.may_publish ? <Badge tone="good">may publish</Badge> : <Badge>may not publish</Badge>}
        <span>{answer.sub}</span> <code className="font-mono font-normal">{answer.topic}</code>
      </h2>
      <p>{answer.reason.replaceAll('_', ' ')}{answer.pattern && <> by <code className="font-mono">{answer.pattern}</code></>}{answer.admin && ', as an admin'}.{answer.trimmed && ' Older events of the topic have been dropped by retention.'}</p>
      <dl className="grid sm:grid-cols-[auto_1fr] gap-x-5 gap-y-1 text-sm [&_dt]:text-soft">
        <dt>Granted to read</dt><dd>{list(answer.subscribe)}</dd>
        <dt>Granted to publish</dt><dd>{list(answer.publish)}</dd>
        {answer.taken.length > 0 && <><dt>Taken away</dt><dd>{list(answer.taken)}</dd></>}
      </dl>
      {answer.connections.length > 0 && (
        <div>
          <h2 className="mb-1">Its open connections</h2>
          <ul className="text-sm grid gap-1">
            {answer.connections.map(one => (
              <li key={one.id}><code className="font-mono">{one.id}</code> {one.transport} {one.may_subscribe === undefined ? '' : one.may_subscribe ? 'may read it' : 'may not read it'}
                {one.subscribed_as ? <>, and has subscribed <code className="font-mono">{one.subscribed_as}</code></> : ', and has not subscribed it'}</li>
            ))}
          </ul>
        </div>
      )}
    </Card>
  );
}
