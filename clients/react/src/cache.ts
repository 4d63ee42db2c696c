// SPDX-License-Identifier: Apache-2.0
// Writing to a TanStack Query cache what was told: never over something newer, and without a storm of fetches.
import type { QueryClient, QueryKey } from '@tanstack/react-query';
import type { Client } from '@tidings/client';

/** A key is fetched again at most once in so many ms, however much is told. */
const COALESCE_MS = 300;
/** Behind a gap everybody fetches again: not all at once. */
const SPREAD_MS = 2000;

const scheduled = new WeakMap<QueryClient, Set<string>>();

/** Soon, once for all that ask meanwhile: what is on the screen is fetched again, the rest when it is shown. */
export function invalidate(client: Client, cache: QueryClient, key: QueryKey, wait = COALESCE_MS): void {
  let keys = scheduled.get(cache);
  if (!keys) scheduled.set(cache, keys = new Set());
  const hash = JSON.stringify(key);
  if (keys.has(hash)) return;
  keys.add(hash);
  client.clock.setTimeout(() => {
    keys.delete(hash);
    // A first fetch is not given up, so another one follows it.
    const first = cache.getQueryCache().findAll({ queryKey: key, fetchStatus: 'fetching' }).filter(query => query.state.data === undefined);
    void Promise.allSettled(first.map(query => query.promise)).then(() => cache.invalidateQueries({ queryKey: key, refetchType: 'active' }));
  }, wait);
}

/** The same for what was lost. */
export function refresh(client: Client, cache: QueryClient, key: QueryKey): void {
  invalidate(client, cache, key, COALESCE_MS + Math.random() * SPREAD_MS);
}

/**
 * Changes what is there; `change` gives undefined where it is as new already. A fetch under way would overwrite it with what it read before, so it
 * is given up. Where nothing is there yet the first fetch is let be, and followed by another.
 */
export async function patch<R>(client: Client, cache: QueryClient, key: QueryKey, change: (data: R) => R | undefined): Promise<void> {
  const data = cache.getQueryData<R>(key);
  if (data === undefined) {
    if (cache.getQueryState(key)?.fetchStatus === 'fetching') invalidate(client, cache, key);
    return;
  }
  if (change(data) === undefined) return;
  await cache.cancelQueries({ queryKey: key, exact: true });
  cache.setQueryData<R>(key, now => (now === undefined ? now : change(now) ?? now));
}
