// SPDX-License-Identifier: Apache-2.0
// What several components use at once: one for each key, counted, and kept a second longer than its last user, so that a
// component which comes back (StrictMode, a route, a key) finds it as it was instead of making it anew.
import type { Client, Stop } from '@tidings/client';

/** Milliseconds that something is kept when nobody uses it any more. */
export const LINGER = 1000;

export interface Closable { close(): void }

interface Entry { readonly value: Closable; uses: number; timer?: unknown }

// By client, because the same key means something else on another connection. A client that is forgotten takes its entries along.
const stores = new WeakMap<Client, Map<string, Entry>>();

function storeOf(client: Client): Map<string, Entry> {
  let store = stores.get(client);
  if (!store) stores.set(client, store = new Map());
  return store;
}

/** What is there under `key`, used or lingering; undefined when nothing is. Safe while rendering: it makes nothing. */
export function peek<V extends Closable>(client: Client, key: string): V | undefined {
  return stores.get(client)?.get(key)?.value as V | undefined;
}

/** Takes what is there under `key`, or makes it. `release` gives it back, once. */
export function hold<V extends Closable>(client: Client, key: string, make: (client: Client) => V): { value: V; release: Stop } {
  const store = storeOf(client);
  let entry = store.get(key);
  if (!entry) store.set(key, entry = { value: make(client), uses: 0 });
  const mine = entry;
  mine.uses++;
  client.clock.clearTimeout(mine.timer);
  const release = () => {
    if (--mine.uses > 0) return;
    mine.timer = client.clock.setTimeout(() => {
      store.delete(key);
      mine.value.close();
    }, LINGER);
  };
  return { value: mine.value as V, release };
}
