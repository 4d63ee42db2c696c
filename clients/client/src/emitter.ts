// SPDX-License-Identifier: Apache-2.0
import type { Stop } from './types.ts';

/** Calls what a user gave; what that throws is reported and goes no further. */
export type Guarded = (fn: () => void) => void;

export interface Emitter<A extends unknown[]> {
  /** The same function may be added twice, and is then called twice. */
  add(fn: (...given: A) => void): Stop;
  /** Calls those that were there when it began, in the order in which they came. */
  tell(...given: A): void;
  clear(): void;
}

export function emitter<A extends unknown[]>(guarded: Guarded): Emitter<A> {
  const all = new Set<{ fn: (...given: A) => void }>();
  return {
    add(fn) {
      const one = { fn };
      all.add(one);
      return () => { all.delete(one); };
    },
    tell(...given) {
      for (const one of [...all]) guarded(() => one.fn(...given));
    },
    clear: () => all.clear(),
  };
}
