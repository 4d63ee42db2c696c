// SPDX-License-Identifier: Apache-2.0
// The few pieces that every screen is made of.
import type { ButtonHTMLAttributes, ComponentProps, ReactNode } from 'react';

const LOOKS = {
  main: 'bg-accent text-accent-ink border-transparent hover:brightness-110',
  plain: 'bg-surface text-ink border-line-strong hover:bg-sunken',
  quiet: 'bg-transparent text-soft border-transparent hover:bg-sunken hover:text-ink',
  danger: 'bg-surface text-bad border-line-strong hover:bg-bad-wash',
};

export function Button({ look = 'plain', small, className = '', ...rest }:
    ButtonHTMLAttributes<HTMLButtonElement> & { look?: keyof typeof LOOKS; small?: boolean }) {
  const size = small ? 'px-2 py-0.5 text-sm min-h-8' : 'px-3 py-1.5 min-h-9.5';
  return (
    <button type="button" {...rest} className={`inline-flex items-center justify-center gap-1.5 rounded-lg border font-medium transition
      disabled:opacity-50 disabled:pointer-events-none ${size} ${LOOKS[look]} ${className}`} />
  );
}

export const Card = ({ className = '', ...rest }: ComponentProps<'section'>) => <section {...rest} className={`card ${className}`} />;

const TONES = {
  good: 'bg-good-wash text-good', warn: 'bg-warn-wash text-warn', bad: 'bg-bad-wash text-bad', busy: 'bg-accent-wash text-accent', calm: 'bg-sunken text-soft',
};
export type Tone = keyof typeof TONES;

/** A word about the state of something; never the colour alone. */
export const Badge = ({ tone = 'calm', children, ...rest }: ComponentProps<'span'> & { tone?: Tone }) => (
  <span {...rest} className={`inline-flex items-center gap-1 rounded-full px-2 py-px text-[13px] font-medium whitespace-nowrap ${TONES[tone]}`}>{children}</span>
);

export function Field({ label, hint, children, className = '' }: { label: string; hint?: string; children: ReactNode; className?: string }) {
  return (
    <label className={`block ${className}`}>
      <span className="block text-sm font-medium text-soft mb-1">{label}</span>
      {children}
      {hint && <span className="block text-[13px] text-faint mt-1">{hint}</span>}
    </label>
  );
}

/** Nothing there yet, and what would change that. */
export function Empty({ icon, title, children }: { icon?: ReactNode; title: string; children?: ReactNode }) {
  return (
    <div className="grid justify-items-center text-center gap-2 px-6 py-12 text-soft">
      {icon && <div className="grid place-items-center size-12 rounded-full bg-sunken text-faint mb-1">{icon}</div>}
      <p className="font-medium text-ink">{title}</p>
      {children && <div className="max-w-[26rem] text-sm">{children}</div>}
    </div>
  );
}

/** Something went wrong: what, what to do about it, and a button where one helps. */
export function Broken({ title, children, actions }: { title: string; children?: ReactNode; actions?: ReactNode }) {
  return (
    <div role="alert" className="rounded-xl border border-bad/30 bg-bad-wash px-4 py-3">
      <p className="font-semibold text-bad">{title}</p>
      {children && <div className="text-sm mt-1 text-ink">{children}</div>}
      {actions && <div className="flex flex-wrap gap-2 mt-3">{actions}</div>}
    </div>
  );
}

export function PageHead({ title, children, aside }: { title: string; children?: ReactNode; aside?: ReactNode }) {
  return (
    <header className="flex flex-wrap items-end gap-x-6 gap-y-2 mb-5">
      <div className="grow basis-72">
        <h1>{title}</h1>
        {children && <p className="text-soft mt-0.5 max-w-[46rem]">{children}</p>}
      </div>
      {aside}
    </header>
  );
}

export function Bar({ value, label, tone = 'accent' }: { value: number; label: string; tone?: 'accent' | 'good' | 'bad' | 'soft' }) {
  const colour = { accent: 'bg-accent', good: 'bg-good', bad: 'bg-bad', soft: 'bg-line-strong' }[tone];
  return (
    <div role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(value)}
      className="h-1.5 rounded-full bg-sunken overflow-hidden">
      <div className={`h-full rounded-full transition-[width] duration-300 ${colour}`} style={{ width: `${Math.max(0, Math.min(100, value))}%` }} />
    </div>
  );
}
