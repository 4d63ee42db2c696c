// SPDX-License-Identifier: Apache-2.0
// Prompts are written better, several at once. They go on while the connection is away, and after a reload of the tab: its session
// has them.
import { useEffect, useMemo, useState, type FormEvent } from 'react';
import { TidingsProvider } from '@tidings/react';
import type { Client } from '@tidings/client';
import { ConnectionIndicator } from '@tidings/ui';
import { useDesk } from '../../shared/desk.ts';
import { TroubleNote, useAct } from '../../shared/kit/act.tsx';
import { SparkIcon } from '../../shared/kit/icons.tsx';
import { Button, Card, Empty, PageHead } from '../../shared/kit/kit.tsx';
import { Away } from '../../shared/shell/Away.tsx';
import { Request } from './Request.tsx';
import { SESSION, useRequests } from './requests.ts';

const SAMPLES = [
  'write a till that adds up a basket',
  'explain our refund rules to a new colleague, short and friendly',
  'plan the move of the shop database to a new host without downtime',
];

export function Enhance() {
  const desk = useDesk();
  const client = useMemo(() => desk.client('enhance', {
    path: '/ws/enhance', query: { session: SESSION }, fallbackTopics: [`enhance/${topicName(desk.person.sub)}/${SESSION}`],
  }), [desk]);
  return <TidingsProvider client={client}><Screen client={client} topic={`enhance/${topicName(desk.person.sub)}/${SESSION}`} /></TidingsProvider>;
}

/** A subject as topics say it. */
export const topicName = (sub: string) => [...new TextEncoder().encode(sub)]
  .map(byte => /[A-Za-z0-9._@:-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `~${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

function Screen({ client, topic }: { client: Client; topic: string }) {
  const requests = useRequests(client);
  const [text, setText] = useState('');
  const start = useAct();
  const send = (...prompts: string[]) => start.run(() => Promise.all(prompts.map(prompt => requests.start(prompt))));
  const submit = async (event?: FormEvent) => {
    event?.preventDefault();
    const prompt = text.trim();
    if (!prompt) return;
    setText('');
    if (!await send(prompt)) setText(prompt);
  };
  useEffect(() => client.open(), [client]);
  return (
    <>
      <PageHead title="Enhance prompts" aside={<span className="flex items-center text-sm text-faint">This session <ConnectionIndicator /></span>}>A model writes your prompt better, word by word. Start several at once; they go on when the connection does not.</PageHead>
      <Away />
      <Card className="p-4 mb-5">
        <form onSubmit={submit}>
          <label className="block text-sm font-medium text-soft mb-1" htmlFor="prompt">Your prompt</label>
          <textarea id="prompt" className="field" rows={3} value={text} onChange={event => setText(event.target.value)} placeholder="What should the model do?"
            onKeyDown={event => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void submit(); }} />
          <div className="flex flex-wrap items-center gap-2 mt-2.5">
            <Button type="submit" look="main" disabled={!text.trim()}><SparkIcon className="size-4.5" />Enhance</Button>
            <Button onClick={() => void send(...SAMPLES)}>Enhance three samples at once</Button>
            <span className="text-[13px] text-faint max-sm:hidden ml-auto">Ctrl + Enter sends</span>
          </div>
        </form>
      </Card>
      {start.trouble && <div className="mb-4"><TroubleNote title="It could not be started" trouble={start.trouble} /></div>}
      {requests.list.length === 0
        ? <Card><Empty icon={<SparkIcon />} title="No prompts yet">Write one above, or take the samples. What you start stays here when you reload the page.</Empty></Card>
        : (
          <ul className="grid gap-4 @3xl:grid-cols-2 items-start" aria-label="Requests">
            {requests.list.map(request => <Request key={request.id} request={request} topic={topic} onForget={() => requests.forget(request.id)} />)}
          </ul>
        )}
    </>
  );
}
