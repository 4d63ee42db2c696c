// SPDX-License-Identifier: Apache-2.0
// Follows any pattern, and publishes to any topic: to see what there is, and what comes of a line of curl.
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useTidings, useTopic } from '@tidings/react';
import type { TidingsEvent } from '@tidings/client';
import { TroubleNote, useAct } from '../../shared/kit/act.tsx';
import { LiveIcon } from '../../shared/kit/icons.tsx';
import { Badge, Button, Card, Empty, Field, PageHead, type Tone } from '../../shared/kit/kit.tsx';

const MAX = 500;
const PHASES: Record<string, [string, Tone]> = {
  idle: ['Not followed', 'calm'], joining: ['Joining', 'calm'], 'catching-up': ['Catching up', 'busy'], live: ['Live', 'good'], paused: ['Paused', 'warn'], denied: ['Not granted', 'bad'],
};

interface Row { n: number; event?: TidingsEvent; word?: string }
interface Count { events: number; doubled: number; gaps: number }

export function Live() {
  const client = useTidings();
  const [pattern, setPattern] = useState('**');
  const [wanted, setWanted] = useState('**');
  const [rows, setRows] = useState<readonly Row[]>([]);
  const [count, setCount] = useState<Count>({ events: 0, doubled: 0, gaps: 0 });
  const seen = useRef(new Set<string>());
  const n = useRef(0);
  const add = (row: Omit<Row, 'n'>) => { const next = { ...row, n: ++n.current }; setRows(before => [next, ...before].slice(0, MAX)); };
  const { phase, position, error } = useTopic(wanted, event => {
    // What the server notes of itself, this page's own connection too, is for who asks for it by name.
    if (event.topic.startsWith('audit/') && !wanted.startsWith('audit')) return;
    const doubled = !event.state && event.id !== undefined && seen.current.has(event.id);
    if (event.id && !event.state) seen.current.add(event.id);
    setCount(before => ({ ...before, events: before.events + (doubled ? 0 : 1), doubled: before.doubled + (doubled ? 1 : 0) }));
    if (!doubled) add({ event });
  }, { onGap: gap => { setCount(before => ({ ...before, gaps: before.gaps + 1 })); add({ word: `Gap from ${gap.from} to ${gap.to}: ${gap.reason}` }); } });
  const before = useRef(phase);
  useEffect(() => {
    if (before.current === 'paused' && phase === 'live') add({ word: `Back: nothing is missing up to ${position}` });
    before.current = phase;
  }, [phase, position]);
  const follow = (event: FormEvent) => {
    event.preventDefault();
    seen.current.clear();
    setRows([]);
    setCount({ events: 0, doubled: 0, gaps: 0 });
    setWanted(pattern.trim() || '**');
  };
  const [word, tone] = PHASES[phase]!;
  return (
    <>
      <PageHead title="Live" aside={<Badge tone={tone} role="status">{word}</Badge>}>Everything that is published and that you may see. Try it with a second tab, or with curl.</PageHead>
      <Card className="p-4 mb-4 grid gap-3 @3xl:grid-cols-[1fr_2fr] items-start">
        <form onSubmit={follow} className="flex gap-2 items-end">
          <Field label="Topics" className="grow"><input className="field font-mono text-sm" value={pattern} onChange={event => setPattern(event.target.value)} spellCheck={false} autoCapitalize="off" /></Field>
          <Button type="submit">Follow</Button>
        </form>
        <Publish publish={(topic, text) => client.publish(topic, 'said', { text })} />
      </Card>
      {error && <div className="mb-4"><TroubleNote title="These topics are not granted to you" trouble={error} /></div>}
      <p className="text-sm text-faint numbers mb-2 flex flex-wrap gap-x-4" aria-label="Counts">
        <span>position <span data-count="position">{position ?? 'none yet'}</span></span><span>events <span data-count="events">{count.events}</span></span>
        <span>doubled <span data-count="doubled">{count.doubled}</span></span><span>gaps <span data-count="gaps">{count.gaps}</span></span>
        <button type="button" className="ml-auto underline" onClick={() => setRows([])}>Clear</button>
      </p>
      <Card className="overflow-hidden">
        {rows.length === 0
          ? <Empty icon={<LiveIcon />} title="Nothing yet">Publish with the form above, or from a terminal: <code className="font-mono text-[13px]">tidings publish rooms/1 said '{'{'}"text":"hello"{'}'}'</code></Empty>
          : <ol aria-label="Events, newest first" className="font-mono text-[13px]">{rows.map(row => <EventRow key={row.n} row={row} />)}</ol>}
      </Card>
    </>
  );
}

function EventRow({ row: { event, word } }: { row: Row }) {
  if (!event) return <li className="px-4 py-1.5 border-b border-line bg-warn-wash text-warn">{word}</li>;
  return (
    <li className="px-4 py-1.5 border-b border-line/60 last:border-0 grid grid-cols-[6.5rem_minmax(0,1fr)_minmax(0,1fr)] @3xl:grid-cols-[6.5rem_minmax(0,1.2fr)_minmax(0,.7fr)_minmax(0,3fr)] gap-x-3">
      <span className="text-faint">{event.time.slice(11, 23)}</span>
      <span className="break-words">{event.topic}</span>
      <span className="break-words text-soft">{event.type}{event.state ? ' (state)' : ''}</span>
      <span data-part="data" className="break-words @max-3xl:col-span-3 line-clamp-4 text-code">{JSON.stringify(event.data)}</span>
    </li>
  );
}

function Publish({ publish }: { publish: (topic: string, text: string) => Promise<{ id: string | null }> }) {
  const [topic, setTopic] = useState('hello');
  const [text, setText] = useState('world');
  const [stored, setStored] = useState('');
  const act = useAct();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setStored('');
    void act.run(async () => { const { id } = await publish(topic, text); setStored(`Stored as ${id ?? 'nothing: it is ephemeral'}`); });
  };
  return (
    <form onSubmit={submit}>
      <div className="flex flex-wrap gap-2 items-end">
        <Field label="Publish to" className="grow basis-32"><input className="field font-mono text-sm" value={topic} onChange={event => setTopic(event.target.value)} spellCheck={false} autoCapitalize="off" /></Field>
        <Field label="Text" className="grow basis-32"><input className="field" value={text} onChange={event => setText(event.target.value)} /></Field>
        <Button type="submit" disabled={act.pending}>Publish</Button>
      </div>
      <p role="status" className="text-[13px] mt-1 min-h-5 numbers">{act.trouble ? <span className="text-bad">Not stored: {act.trouble.message}</span> : <span className="text-faint">{stored}</span>}</p>
    </form>
  );
}
