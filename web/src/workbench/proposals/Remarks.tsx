// SPDX-License-Identifier: Apache-2.0
import { useState, type FormEvent } from 'react';
import { useTidings } from '@tidings/react';
import { useDesk } from '../../shared/desk.ts';
import { useAct } from '../../shared/kit/act.tsx';
import { Button, Card } from '../../shared/kit/kit.tsx';
import { Face } from '../../shared/shell/SignIn.tsx';
import { clockTime } from '../say.ts';
import type { Remark } from './review.ts';

export function Remarks({ topic, project, proposal, remarks }: { topic: string; project: string; proposal: string; remarks: readonly Remark[] }) {
  const client = useTidings();
  const { person } = useDesk();
  const [text, setText] = useState('');
  const send = useAct();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const comment = text.trim();
    if (!comment) return;
    setText('');
    if (!await send.run(() => client.publish(topic, 'comment_created', { project_id: project, proposal_id: proposal, comment, author: person.sub }))) setText(comment);
  };
  return (
    <Card className="p-4">
      <h2 className="mb-2">Comments</h2>
      <ol className="grid gap-3 mb-3" aria-label="Comments">
        {remarks.length === 0 && <li className="text-sm text-faint">No comment yet.</li>}
        {remarks.map(remark => (
          <li key={remark.id} className="flex gap-2.5 text-sm" data-comment={remark.text}>
            <Face person={{ sub: remark.author }} small />
            <div className="min-w-0"><span className="font-medium">{remark.author}</span> <time dateTime={remark.time} className="text-[13px] text-faint numbers">{clockTime(remark.time)}</time>
              <p className="whitespace-pre-wrap break-words">{remark.text}</p></div>
          </li>
        ))}
      </ol>
      <form onSubmit={submit} className="grid gap-2">
        <textarea className="field" rows={2} aria-label="Comment" placeholder="What do you think?" value={text} onChange={event => setText(event.target.value)} maxLength={4000} />
        <div className="flex items-center gap-3"><Button type="submit" disabled={!text.trim()}>Comment</Button>
          <span role="status" className="text-[13px]">{send.trouble ? <span className="text-bad">Not sent: {send.trouble.message}</span> : send.pending ? <span className="text-faint">Sending…</span> : null}</span></div>
      </form>
    </Card>
  );
}
