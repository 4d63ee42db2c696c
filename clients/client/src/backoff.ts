// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next try.
import type { BackoffProfile, ClientOptions } from './types.ts';

const PROFILES: Record<'steady' | 'brief', BackoffProfile> = {
  steady: { base: 1000, factor: 2, max: 30_000 },
  brief: { base: 2000, factor: 1.5, max: 30_000, attempts: 5 },
};

export interface Backoff {
  readonly profile: BackoffProfile;
  /** A try has failed, or what it came to: milliseconds to wait; undefined without tries left. `retryAfter` is the server's word. */
  failed(retryAfter?: number, slow?: boolean): number | undefined;
  /** What is waited between tries that are not counted. */
  longest(): number;
  /** Tries that have failed since the last reset. */
  readonly tries: number;
  reset(): void;
}

export function backoff(option: ClientOptions['backoff'], random: () => number): Backoff {
  const profile = typeof option === 'object' ? option : PROFILES[option ?? 'steady'];
  const { base, factor, max, attempts = Infinity, jitter = 'equal' } = profile;
  let tries = 0;

  // The cap comes before the jitter: else all clients that have reached it would come at the same time.
  function delay(n: number): number {
    const longest = Math.min(max, base * factor ** n);
    const part = jitter === 'none' ? 0 : jitter === 'full' ? 1 : 0.5;
    return Math.floor(longest * (1 - part * random()));
  }

  return {
    profile,
    get tries() { return tries; },
    failed(retryAfter, slow) {
      const n = tries++;
      return n >= attempts ? undefined : retryAfter ?? delay(slow ? Infinity : n);
    },
    longest: () => delay(Infinity),
    reset() { tries = 0; },
  };
}
