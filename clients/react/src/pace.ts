// SPDX-License-Identifier: Apache-2.0
// Showing what comes too fast to be shown piece by piece: at most once a frame, and never not at all.
import type { Clock } from '@tidings/client';

/** frame: with the next one that is painted, or after 50 ms where none is (a hidden or throttled page). A number: milliseconds. */
export type Pace = 'frame' | number;

const HIDDEN = 50;

export interface Pacer {
  /** Something is new: `commit` will be called once for all that is asked until then. */
  ask(): void;
  /** Now, and not again for what was asked. */
  flush(): void;
  stop(): void;
}

export function pacer(clock: Clock, every: Pace, commit: () => void): Pacer {
  let frame: number | undefined;
  let timer: unknown;
  const stop = () => {
    if (frame !== undefined) cancelAnimationFrame(frame);
    if (timer !== undefined) clock.clearTimeout(timer);
    frame = timer = undefined;
  };
  const flush = () => {
    stop();
    commit();
  };
  const ask = () => {
    if (timer !== undefined) return;
    timer = clock.setTimeout(flush, every === 'frame' ? HIDDEN : every);
    if (every === 'frame' && typeof requestAnimationFrame === 'function') frame = requestAnimationFrame(flush);
  };
  return { ask, flush, stop };
}
