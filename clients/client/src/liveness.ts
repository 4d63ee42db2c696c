// SPDX-License-Identifier: Apache-2.0
// Whether the other side is there.  A socket says that it is open long after it is dead: only what is heard counts, by the clock,
// since timers of hidden pages come late.
import type { Message } from './transport/link.ts';
import type { Clock } from './types.ts';

const PROBE_MS = 3000, FRESH_MS = 5000, LATE_MS = 10_000;
/** Above all commands, whose numbers begin with 1. */
const PROBE = 'probe';

export interface LivenessDeps {
  clock: Clock;
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
  const { clock } = d;
  let seen: number | undefined, patience = 0, due = 0, asked = 0;
  let running = false, probing = false, timer: unknown, probeTimer: unknown;

  function arm() {
    due = seen! + patience;
    timer = clock.setTimeout(() => {
      const now = clock.now();
      if (now < seen! + patience) arm();
      // The machine slept, or the page was frozen: what came meanwhile may only be about to be read.
      else if (now > due + LATE_MS) probe();
      else d.silent();
    }, due - clock.now());
  }

  function ask() {
    asked = clock.now();
    d.send({ type: 'ping', ref: PROBE });
  }

  function probe() {
    if (probing || !running) return;
    probing = true;
    probeTimer = clock.setTimeout(() => d.silent(), PROBE_MS);
    ask();
  }

  return {
    get seen() { return seen; },
    start(heartbeat, measure) {
      seen = clock.now();
      patience = ((heartbeat?.interval ?? 30) + (heartbeat?.timeout ?? 10)) * 1000;
      running = true;
      arm();
      if (measure) ask();
    },
    stop() {
      running = probing = false;
      clock.clearTimeout(timer);
      clock.clearTimeout(probeTimer);
    },
    heard(message) {
      seen = clock.now();
      if (probing) {
        probing = false;
        clock.clearTimeout(probeTimer);
        clock.clearTimeout(timer);
        arm();
      }
      if (message?.type === 'pong' && message.ref === PROBE) d.measured(seen - asked);
    },
    check(sure) {
      if (running && (sure || clock.now() - seen! > FRESH_MS)) probe();
    },
  };
}
