// SPDX-License-Identifier: Apache-2.0
// Positions that survive a reload of the tab.
import type { Core } from './rest.ts';
import type { Position } from './types.ts';

const EACH_MS = 1000;

export interface Memory {
  /** Where a pattern stood when the last page ended. */
  of(pattern: string): Position | undefined;
  save(): void;
  /** At most once a second. */
  saveNowAndThen(): void;
}

export function memory({ options: { url }, path, clock, topics }: Core): Memory {
  const key = `tidings:positions:${typeof url === 'string' ? url : ''}${path}`;
  let kept: { position: Position; patterns: string[] } | undefined, saved = -Infinity;
  try {
    kept = JSON.parse(sessionStorage.getItem(key)!) ?? undefined;
  } catch { /* there is no storage, or nothing of use in it */ }

  function save() {
    const { position } = topics, patterns = topics.settled();
    if (!position || !patterns.length) return;
    saved = clock.now();
    // Once resumed, a pattern has a position of this page.
    if (kept) kept.patterns = kept.patterns.filter(pattern => !patterns.includes(pattern));
    try {
      sessionStorage.setItem(key, JSON.stringify({ position, patterns }));
    } catch { /* full or forbidden: the next page begins now */ }
  }

  return {
    of: pattern => kept?.patterns.includes(pattern) ? kept.position : undefined,
    save,
    saveNowAndThen() {
      if (clock.now() - saved >= EACH_MS) save();
    },
  };
}
