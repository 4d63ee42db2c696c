// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next try.
import type { BackoffProfile, ClientOptions } from './types.ts';

const PROFILES: Record<'steady' | 'brief', BackoffProfile> = {
  steady: { base: 1000, factor: 2, max: 30_000 },
  brief: { base: 2000, factor: 1.5, max: 30_000, attempts: 5 },
};

export function profileOf(option: ClientOptions['backoff']): BackoffProfile {
  return typeof option === 'object' ? option : PROFILES[option ?? 'steady'];
}

/**
 * Milliseconds before try `n`, counted from 0. The cap comes before the jitter: else all clients that have reached it would
 * come at the same time.
 */
export function delay(profile: BackoffProfile, n: number, random: () => number): number {
  const longest = Math.min(profile.max, profile.base * profile.factor ** n);
  if (profile.jitter === 'none') return longest;
  return profile.jitter === 'full' ? random() * longest : longest / 2 + random() * longest / 2;
}
