// SPDX-License-Identifier: Apache-2.0
// What all components are built of: buttons, icons, and text that only a screen reader says.
import type { ComponentPropsWithoutRef, ReactNode } from 'react';
import { classes } from './text.ts';

export interface ButtonProps extends ComponentPropsWithoutRef<'button'> {
  /** primary: what most want · quiet: without a frame · plain (default). */
  look?: 'primary' | 'plain' | 'quiet';
}

export function Button({ look = 'plain', className, ...rest }: ButtonProps) {
  return <button type="button" {...rest} className={classes('td-button', look !== 'plain' && `td-${look}`, className)} />;
}

/** Seen by nobody, said by screen readers. */
export function Hidden({ children }: { children: ReactNode }) {
  return <span className="td-hidden">{children}</span>;
}

/** A live region that is there before it says anything, as screen readers need it. */
export function Says({ children }: { children: ReactNode }) {
  return <span className="td-hidden" role="status">{children}</span>;
}

const PATHS = {
  check: 'M3.5 8.5l3 3 6-7',
  cross: 'M4 4l8 8M12 4l-8 8',
  alert: 'M8 5v3.6M8 10.9v.1M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  clock: 'M8 4.5V8l2.3 1.6M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  stop: 'M5 5h6v6H5z',
  down: 'M8 3v9M4.5 8.5L8 12l3.5-3.5',
  refresh: 'M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3',
  plus: 'M8 3.5v9M3.5 8h9',
  pen: 'M3 13l.6-2.8 7-7 2.2 2.2-7 7z',
  minus: 'M4 8h8',
  copy: 'M6 6h7v7H6zM3.5 10V3.5H10',
  wrap: 'M2.5 4h11M2.5 8H11a2 2 0 1 1 0 4.5H8.5M10 11l-1.6 1.5L10 14M2.5 12.5H5',
} as const;

/** Drawn in the colour of the text around it; says nothing by itself. */
export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg className="td-icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
