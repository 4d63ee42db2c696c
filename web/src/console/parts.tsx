// SPDX-License-Identifier: Apache-2.0
// What the console's screens have in common.
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { Button } from '../shared/kit/kit.tsx';
import type { Trouble } from '../shared/kit/act.tsx';

/** One number with its name; `note` says more in small. */
export function Figure({ name, value, note, tone }: { name: string; value: string; note?: string; tone?: 'bad' | 'warn' }) {
  return (
    <div className="card px-4 py-3">
      <p className="text-sm text-soft">{name}</p>
      <p className={`text-2xl font-semibold numbers ${tone === 'bad' ? 'text-bad' : tone === 'warn' ? 'text-warn' : ''}`}>{value}</p>
      {note && <p className="text-[13px] text-faint numbers">{note}</p>}
    </div>
  );
}

export const Figures = ({ children }: { children: ReactNode }) => <div className="grid gap-3 grid-cols-2 md:grid-cols-4 mb-5">{children}</div>;

/** What is shown is from before: the server does not answer. */
export function Stale({ trouble }: { trouble?: Trouble }) {
  return trouble ? <p role="status" className="mb-4 rounded-lg bg-warn-wash text-warn px-3 py-2 text-sm">This is from before: {trouble.message}</p> : null;
}

/** A table that scrolls sideways by itself when it is too wide. Each head is a name, or [name, 'right']. */
export function Table({ label, head, children, empty }: { label: string; head: readonly (string | readonly [string, 'right'])[]; children: readonly ReactNode[]; empty: ReactNode }) {
  if (children.length === 0) return <div className="card">{empty}</div>;
  return (
    <div className="card overflow-x-auto" tabIndex={0} role="region" aria-label={label}>
      <table className="w-full text-sm whitespace-nowrap">
        <thead>
          <tr className="text-left text-soft border-b border-line">
            {head.map(cell => typeof cell === 'string' ? <th key={cell} scope="col" className="font-medium px-3 py-2">{cell}</th>
              : <th key={cell[0]} scope="col" className="font-medium px-3 py-2 text-right">{cell[0]}</th>)}
          </tr>
        </thead>
        <tbody className="[&_td]:px-3 [&_td]:h-10 [&_tr+tr]:border-t [&_tr]:border-line">{children}</tbody>
      </table>
    </div>
  );
}

/** Asks before it does what can't be taken back: the first press turns it into the question, and for five seconds only. */
export function Sure({ children, question, onSure, disabled }: { children: string; question: string; onSure: () => void; disabled?: boolean }) {
  const [asked, setAsked] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <Button small look={asked ? 'danger' : 'quiet'} disabled={disabled} onBlur={() => setAsked(false)} onClick={() => {
      clearTimeout(timer.current);
      setAsked(!asked);
      if (asked) return onSure();
      timer.current = setTimeout(() => setAsked(false), 5000);
    }}>{asked ? question : children}</Button>
  );
}
