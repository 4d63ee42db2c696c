// SPDX-License-Identifier: Apache-2.0
// Notices below the header, for what ends while one does something else. A style sheet's work: nothing is written into the
// page that its policy forbids.
import { useEffect, useState, useSyncExternalStore, type ReactNode } from 'react';
import { Button, type Tone } from './kit.tsx';
import { BellIcon, CheckIcon, CloseIcon, ToolIcon } from './icons.tsx';

export interface Notice { readonly key: string; readonly title: string; readonly body?: ReactNode; readonly tone?: Tone; readonly action?: { name: string; run: () => void } }

const LASTS_MS = 10_000;
const MAX = 4;
let shown: readonly Notice[] = [];
const watchers = new Set<() => void>();
const change = (next: readonly Notice[]) => { shown = next; watchers.forEach(tell => tell()); };
const subscribe = (tell: () => void) => { watchers.add(tell); return () => { watchers.delete(tell); }; };

/** Shows one; the same key again takes the place of the first. */
export const notify = (notice: Notice) => change([...shown.filter(other => other.key !== notice.key), notice].slice(-MAX));
export const dismiss = (key: string) => change(shown.filter(other => other.key !== key));

/** Tells the system too, where this was allowed and nobody looks at the page. */
export function notifySystem(title: string, body: string) {
  if (document.visibilityState === 'hidden' && globalThis.Notification?.permission === 'granted') new Notification(title, { body });
}

export function Notices() {
  const list = useSyncExternalStore(subscribe, () => shown);
  return (
    <ol aria-label="Notices" role="status" className="notices fixed z-30 right-3 left-3 sm:left-auto sm:w-88 top-16 grid gap-2 pointer-events-none">
      {list.map(notice => <Item key={notice.key} notice={notice} />)}
    </ol>
  );
}

function Item({ notice }: { notice: Notice }) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held) return;
    const timer = setTimeout(() => dismiss(notice.key), LASTS_MS);
    return () => clearTimeout(timer);
  }, [held, notice]);
  const Icon = notice.tone === 'good' ? CheckIcon : notice.tone === 'bad' ? ToolIcon : BellIcon;
  const colour = notice.tone === 'good' ? 'text-good' : notice.tone === 'bad' ? 'text-bad' : 'text-accent';
  return (
    <li className="card pointer-events-auto p-3.5 flex gap-3 shadow-xl" onMouseEnter={() => setHeld(true)} onMouseLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)} onBlur={() => setHeld(false)}>
      <Icon className={`size-5 mt-0.5 ${colour}`} />
      <div className="grow min-w-0">
        <p className="font-semibold">{notice.title}</p>
        {notice.body && <div className="text-sm text-soft">{notice.body}</div>}
        {notice.action && <Button small className="mt-2" onClick={() => { notice.action?.run(); dismiss(notice.key); }}>{notice.action.name}</Button>}
      </div>
      <button type="button" aria-label="Dismiss" className="text-faint hover:text-ink self-start" onClick={() => dismiss(notice.key)}><CloseIcon className="size-4.5" /></button>
    </li>
  );
}
