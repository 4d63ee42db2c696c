// SPDX-License-Identifier: Apache-2.0
// Raw messages as they pass: the newest few hundred of all connections of this tab.
import { useRef, useState, useSyncExternalStore } from 'react';
import { useDesk, type Passed } from '../desk.ts';
import { Button } from '../kit/kit.tsx';

const SHOWN = 200;

export function Wire() {
  const desk = useDesk();
  const now = useSyncExternalStore(desk.watch, () => desk.passed);
  const [frozen, setFrozen] = useState<readonly Passed[] | null>(null);
  const [filter, setFilter] = useState('');
  const wanted = filter.toLowerCase();
  const passed = (frozen ?? now).filter(message => !wanted || message.text.toLowerCase().includes(wanted)).slice(-SHOWN);
  const list = useRef<HTMLOListElement>(null);
  return (
    <section aria-label="Raw messages" className="grow min-h-80 flex flex-col">
      <div className="flex items-center gap-2 px-4 py-2.5">
        <input className="field text-sm py-1" placeholder="Filter raw messages" aria-label="Filter raw messages" value={filter} onChange={event => setFilter(event.target.value)} />
        <Button small aria-pressed={frozen !== null} onClick={() => setFrozen(frozen ? null : now)}>{frozen ? 'Go on' : 'Pause'}</Button>
        <Button small look="quiet" onClick={() => { setFrozen(null); desk.clear(); }}>Clear</Button>
      </div>
      <ol ref={list} tabIndex={0} aria-label="Raw messages, newest first" className="grow min-h-0 overflow-y-auto border-t border-line bg-sunken font-mono text-xs leading-relaxed">
        {passed.length === 0 && <li className="p-4 text-faint font-sans text-sm">{wanted ? 'Nothing with that in it.' : 'Nothing has passed yet.'}</li>}
        {passed.toReversed().map(message => <Row key={message.n} message={message} />)}
      </ol>
    </section>
  );
}

function Row({ message: { direction, client, time, text } }: { message: Passed }) {
  const [whole, setWhole] = useState(false);
  return (
    <li className="border-b border-line/60 px-3 py-1 text-code">
      <button type="button" className="w-full text-left flex gap-2" onClick={() => setWhole(!whole)} aria-expanded={whole}>
        <span className={direction === 'in' ? 'text-good' : 'text-accent'} aria-label={direction === 'in' ? 'received' : 'sent'}>{direction === 'in' ? '↓' : '↑'}</span>
        <span className="text-faint numbers shrink-0">{new Date(time).toTimeString().slice(0, 8)}{client === 'main' ? '' : ` ${client}`}</span>
        <span className={whole ? 'whitespace-pre-wrap break-all' : 'truncate'}>{whole ? pretty(text) : text}</span>
      </button>
    </li>
  );
}

function pretty(text: string) {
  try { return JSON.stringify(JSON.parse(text), null, 1); } catch { return text; }
}
