// SPDX-License-Identifier: Apache-2.0
// Reading something shared: held while the component is there, peeked at while it renders.
import { useMemo } from 'react';
import type { Client, Stop } from '@tidings/client';
import { useTidings } from './context.ts';
import { useSource } from './select.ts';
import type { Source } from './select.ts';
import { hold, peek } from './share.ts';
import type { Closable } from './share.ts';

export interface Watchable extends Closable { watch(fn: () => void): Stop }

/** `read` gives what a component shows, the same object until it changes; of undefined, what it shows before there is anything. */
export function sharedSource<V extends Watchable, T>(
  client: Client, key: string | null, make: (client: Client) => V, read: (value: V | undefined) => T,
): Source<T> {
  return {
    get: () => read(key === null ? undefined : peek<V>(client, key)),
    idle: () => read(undefined),
    subscribe(notify) {
      if (key === null) return () => undefined;
      const { value, release } = hold(client, key, make);
      const stop = value.watch(notify);
      return () => {
        stop();
        release();
      };
    },
  };
}

/** `key` says all that `make` and `read` depend on. */
export function useShared<V extends Watchable, T>(key: string | null, make: (client: Client) => V, read: (value: V | undefined) => T): T {
  const client = useTidings();
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the key stands for both functions
  const source = useMemo(() => sharedSource(client, key, make, read), [client, key]);
  return useSource(source);
}

/** Those who want to be told, and telling them. */
export class Watchers {
  private readonly all = new Set<() => void>();

  add(fn: () => void): Stop {
    // The same function may watch twice.
    const own = () => fn();
    this.all.add(own);
    return () => void this.all.delete(own);
  }

  tell(): void {
    for (const fn of [...this.all]) fn();
  }
}
