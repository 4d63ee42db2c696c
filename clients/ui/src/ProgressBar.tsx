// SPDX-License-Identifier: Apache-2.0
import { classes } from './text.ts';

export interface ProgressBarProps {
  /** 0 to 100; leave it out when nobody knows. */
  value?: number;
  /** What progresses, for screen readers. */
  label: string;
  /** How it stands in words, for screen readers: `Step 2 of 4, 40 %`. The number is read out without it. */
  text?: string;
  tone?: 'accent' | 'good' | 'bad' | 'still';
  className?: string;
}

/** A bar from 0 to 100, or a wandering one when the value is not known. */
export function ProgressBar({ value, label, text, tone = 'accent', className }: ProgressBarProps) {
  const known = value !== undefined && Number.isFinite(value);
  const percent = known ? Math.min(100, Math.max(0, value)) : undefined;
  return (
    <div className={classes('td td-bar', `td-tone-${tone}`, !known && 'td-wanders', className)} role="progressbar" aria-label={label}
      aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent === undefined ? undefined : Math.round(percent)} aria-valuetext={text}>
      <div style={percent === undefined ? undefined : { transform: `scaleX(${percent / 100})` }} />
    </div>
  );
}
