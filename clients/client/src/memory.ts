// SPDX-License-Identifier: Apache-2.0
// Positions that survive a reload of the tab.
import type { Clock, Position } from './types.ts';

const EACH_MS = 1000;

export interface MemoryDeps {
  isOn: boolean;
  key: string;
  clock: Clock;
  read(): { position: Position | undefined; patterns: string[] };
}

export interface Memory {
  /** Where a pattern stood when the last page ended. */
  of(pattern: string): Position | undefined;
  save(): void;
  /** At most once a second. */
  saveNowAndThen(): void;
}

export function memory(d: MemoryDeps): Memory {
  let kept: ReturnType<MemoryDeps['read']> | undefined, saved = -Infinity;
  if (d.isOn) {
    try {
      kept = JSON.parse(sessionStorage.getItem(d.key)!) ?? undefined;
    } catch { /* there is no storage, or nothing of use in it */ }
  }

  function save() {
    const { position, patterns } = d.read();
    if (!d.isOn || !position || !patterns.length) return;
    saved = d.clock.now();
    // Once resumed, a pattern has a position of this page.
    if (kept) kept.patterns = kept.patterns.filter(pattern => !patterns.includes(pattern));
    try {
      sessionStorage.setItem(d.key, JSON.stringify({ position, patterns }));
    } catch { /* full or forbidden: the next page begins now */ }
  }

  return {
    of: pattern => kept?.patterns.includes(pattern) ? kept.position : undefined,
    save,
    saveNowAndThen() {
      if (d.isOn && d.clock.now() - saved >= EACH_MS) save();
    },
  };
}
