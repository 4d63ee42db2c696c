// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useTidings } from '@tidings/react';
import { useDesk } from '../../shared/desk.ts';
import { useAct } from '../../shared/kit/act.tsx';
import { Button, Card } from '../../shared/kit/kit.tsx';
import { Face } from '../../shared/shell/SignIn.tsx';
import { clockTime } from '../say.ts';
import type { Chat } from './generation.ts';

export function ChatBox({ project, chat }: { project: string; chat: readonly Chat[] }) {
  const client = useTidings();
  const { person } = useDesk();
  const [text, setText] = useState('');
  const send = useAct();
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => { list.current?.scrollTo({ top: list.current.scrollHeight }); }, [chat]);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const said = text.trim();
    if (!said) return;
    setText('');
    // While the connection is away the client keeps it, and sends it once when it is back.
    if (!await send.run(() => client.publish(`projects/${project}`, 'chat_message', { from: person.sub, text: said }))) setText(said);
  };
  return (
    <Card className="p-4 flex flex-col">
      <h2 className="mb-2">Chat</h2>
      <ol ref={list} aria-label="Chat" tabIndex={chat.length > 0 ? 0 : undefined} className="grid gap-2.5 max-h-72 overflow-y-auto content-start mb-3">
        {chat.length === 0 && <li className="text-sm text-faint">Nobody has said anything.</li>}
        {chat.map(said => (
          <li key={said.id} className="flex gap-2.5" data-chat={said.text}>
            <Face person={{ sub: said.from }} small />
            <div className="min-w-0 text-sm"><span className="font-medium">{said.from}</span> <time dateTime={said.time} className="text-[13px] text-faint numbers">{clockTime(said.time)}</time>
              <p className="whitespace-pre-wrap break-words">{said.text}</p></div>
          </li>
        ))}
      </ol>
      <form onSubmit={submit} className="flex gap-2">
        <input className="field" aria-label="Message" placeholder="Say something" value={text} onChange={event => setText(event.target.value)} maxLength={2000} />
        <Button type="submit" disabled={!text.trim()}>Send</Button>
      </form>
      <p role="status" className="text-[13px] mt-1 empty:hidden">{send.trouble ? <span className="text-bad">Not sent: {send.trouble.message}</span> : send.pending ? <span className="text-faint">Sending…</span> : null}</p>
    </Card>
  );
}
