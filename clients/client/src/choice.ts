// SPDX-License-Identifier: Apache-2.0
// Which transport is tried: the one that worked, else in the order of the option.
import type { TransportName } from './types.ts';

const REMEMBERED_MS = 3_600_000, AVOIDED_MS = 600_000;
const DROPS = 3, WITHIN_MS = 60_000, SOON_MS = 10_000;
/** Rounds in which nothing but what worked last is tried: the server is more likely away than its transport gone. */
const PATIENT_ROUNDS = 2;

export interface Choice {
  /** To try, in this order. */
  names(origin: string): TransportName[];
  worked(name: TransportName): void;
  /** A connection that lasted so long broke; true when that happens too often. */
  dropped(lastedMs: number): boolean;
  /** Not for ten minutes. */
  avoid(name: TransportName): void;
  /** Only this one; undefined: all again. */
  pinned: TransportName | undefined;
}

// Time is the wall clock's: it is compared with what another page has written down.
export function choice(all: TransportName[]): Choice {
  const avoided = new Map<TransportName, number>();
  let key = '', rounds = 0, drops: number[] = [];
  /** What this page found out itself. */
  let proven: { name: TransportName; until: number } | undefined;

  // Storage may be absent, full or forbidden.
  function remembered(): TransportName | undefined {
    let known = proven;
    try {
      known ??= JSON.parse(localStorage.getItem(key)!);
    } catch { /* then nothing is known */ }
    return known && known.until > Date.now() ? known.name : undefined;
  }

  return {
    pinned: undefined,
    names(origin) {
      if (this.pinned) return [this.pinned];
      key = 'tidings:transport:' + origin;
      const known = remembered()!;
      let good = all.filter(name => !(avoided.get(name)! > Date.now()));
      if (!good.length) good = all; // better than none
      if (!good.includes(known)) return [...good];
      return proven && rounds++ < PATIENT_ROUNDS ? [known] : [...new Set([known, ...good])];
    },
    worked(name) {
      // What was asked for by name is no finding.
      if (name === 'poll' || this.pinned) return;
      // No longer than one that is better is avoided.
      proven = { name, until: Date.now() + (avoided.size ? AVOIDED_MS : REMEMBERED_MS) };
      rounds = 0;
      try {
        localStorage.setItem(key, JSON.stringify(proven));
      } catch { /* then it is tried anew */ }
    },
    dropped(lastedMs) {
      const now = Date.now();
      if (lastedMs < SOON_MS) drops = [...drops.filter(at => now - at < WITHIN_MS), now];
      return drops.length >= DROPS;
    },
    avoid(name) {
      avoided.set(name, Date.now() + AVOIDED_MS);
      drops = [];
      proven = undefined;
    },
  };
}
