// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '@tidings/client';

/** A clock that stands until it is turned. */
export function standingClock(): Clock & { turn(ms: number): void; waiting(): number } {
  let now = 0, made = 0;
  const timers = new Map<number, { at: number; fn: () => void }>();
  return {
    now: () => now,
    setTimeout(fn, ms) { timers.set(++made, { at: now + ms, fn }); return made; },
    clearTimeout(timer) { timers.delete(timer as number); },
    waiting: () => timers.size,
    turn(ms) {
      const end = now + ms;
      for (;;) {
        const next = [...timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
        if (!next) break;
        timers.delete(next[0]);
        now = next[1].at;
        next[1].fn();
      }
      now = end;
    },
  };
}
