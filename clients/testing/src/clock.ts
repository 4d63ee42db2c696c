// SPDX-License-Identifier: Apache-2.0
// A clock that stands still until it is turned.
import type { Clock } from '@tidings/client';

// Kept, so that fake timers of a test framework do not stop us.
const immediate = (globalThis as { setImmediate?: (fn: () => void) => void }).setImmediate;
const timeout = globalThis.setTimeout;
const realNow = Date.now.bind(Date);

const breath = () => new Promise<void>(resume => { if (immediate) immediate(resume); else timeout(resume, 0); });

/** Rounds of the event loop in which whatever waits for promises alone comes to rest. */
const ROUNDS = 6;

export class FakeClock implements Clock {
  #now: number;
  #last = 0;
  #timers = new Map<number, { at: number; fn: () => void }>();

  /** Begins at so many milliseconds; not at 0, so that what forgets to ask is seen. */
  constructor(now = 1000) { this.#now = now; }

  // These three may be taken out of the clock, as those of the platform may.

  readonly now = (): number => this.#now;

  readonly setTimeout = (fn: () => void, ms: number): number => {
    this.#timers.set(++this.#last, { at: this.#now + Math.max(0, ms), fn });
    return this.#last;
  };

  readonly clearTimeout = (timer: unknown): void => { this.#timers.delete(timer as number); };

  /** How many timers are set: 0 when everything that was opened is closed. */
  get pending(): number { return this.#timers.size; }

  /** Lets everything happen that needs no time: answers, messages, and what follows from them. */
  async flush(): Promise<void> {
    for (let i = 0; i < ROUNDS; i++) await breath();
  }

  /** Turns the clock on. Timers fire in the order of their times, and what follows from one has happened before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.flush();
    for (let next; (next = this.#due(end));) {
      this.#timers.delete(next.id);
      this.#now = Math.max(this.#now, next.at);
      next.fn();
      await this.flush();
    }
    this.#now = end;
  }

  /**
   * Flushes until `condition` gives something true, and returns that; for what takes real time, as modules that are loaded when they are needed.
   * Rejects after five real seconds.
   */
  async until<T>(condition: () => T, what = 'the condition'): Promise<NonNullable<T>> {
    for (const end = realNow() + 5000; ;) {
      const value = condition();
      if (value) return value;
      if (realNow() > end) throw new Error(`not within five seconds: ${what}`);
      await this.flush();
      await new Promise<void>(resume => { timeout(resume, 1); });
    }
  }

  /** The earliest of those that are due, of equal ones the first that was set. */
  #due(end: number): { id: number; at: number; fn: () => void } | undefined {
    let due: { id: number; at: number; fn: () => void } | undefined;
    for (const [id, { at, fn }] of this.#timers) if (at <= end && (!due || at < due.at)) due = { id, at, fn };
    return due;
  }
}
