// SPDX-License-Identifier: Apache-2.0
// Whether the other side is there.  A socket says that it is open long after it is dead: only what is heard counts, by the clock,
// since timers of hidden pages come late.
import type { Message } from './transport/link.ts';
import type { Clock, Stop } from './types.ts';

const PROBE_MS = 3000, FRESH_MS = 5000, LATE_MS = 10_000;
/** Commands have numbers. */
const PROBE = 'probe';

export interface LivenessDeps {
  clock: Clock;
  later(fn: () => void, ms: number): Stop;
  send(message: Message): void;
  /** It is dead. */
  silent(): void;
  /** There and back, in milliseconds. */
  measured(rtt: number): void;
}

export interface Liveness {
  /** When something was heard last. */
  readonly seen: number | undefined;
  /** `measure`: asks once how far the server is. Times of `heartbeat` are seconds. */
  start(heartbeat: { interval: number; timeout: number } | undefined, measure: boolean): void;
  stop(): void;
  heard(message?: Message): void;
  /** Something may have happened to the connection: asks, unless something was heard just now and `sure` is false. */
  check(sure: boolean): void;
}

export function liveness(d: LivenessDeps): Liveness {
  const now = () => d.clock.now();
  let seen: number | undefined, patience = 0, asked = 0;
  /** Of the deadline, and of the probe under way. */
  let stop: Stop | undefined, stopProbe: Stop | undefined;

  function arm() {
    const due = seen! + patience;
    stop = d.later(() => {
      if (now() < seen! + patience) arm();
      // The machine slept, or the page was frozen: what came meanwhile may only be about to be read.
      else if (now() > due + LATE_MS) probe();
      else d.silent();
    }, due - now());
  }

  function ask() {
    asked = now();
    d.send({ type: 'ping', ref: PROBE });
  }

  function probe() {
    if (stopProbe || !stop) return;
    stopProbe = d.later(d.silent, PROBE_MS);
    ask();
  }

  function quiet() {
    stop?.();
    stopProbe?.();
    stop = stopProbe = undefined;
  }

  return {
    get seen() { return seen; },
    start(heartbeat = { interval: 30, timeout: 10 }, measure) {
      seen = now();
      patience = (heartbeat.interval + heartbeat.timeout) * 1000;
      arm();
      if (measure) ask();
    },
    stop: quiet,
    heard(message) {
      seen = now();
      if (stopProbe) {
        quiet();
        arm();
      }
      if (message?.ref === PROBE) d.measured(seen - asked);
    },
    check(sure) {
      if (sure || now() - seen! > FRESH_MS) probe();
    },
  };
}
