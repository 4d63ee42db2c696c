// SPDX-License-Identifier: Apache-2.0
// Reading something shared: held while the component is there, peeked at while it renders.
import { useMemo } from 'react';
import type { Client, Stop } from '@tidings/client';
import { useTidings } from './context.ts';
import { pacer } from './pace.ts';
import { constant, useSource } from './select.ts';
import type { Source } from './select.ts';
import { hold, peek } from './share.ts';
import type { Closable } from './share.ts';

export interface Watchable extends Closable { watch(fn: () => void): Stop }

/** `read` gives the same object until it changes; `idle` is shown before there is anything. */
export function sharedSource<V extends Watchable, T>(
  client: Client, key: string | null, make: (client: Client) => V, read: (value: V) => T, idle: T,
): Source<T> {
  if (key === null) return constant(idle);
  return {
    get() {
      const value = peek<V>(client, key);
      return value ? read(value) : idle;
    },
    idle: () => idle,
    subscribe(notify) {
      const { value, release } = hold(client, key, make);
      const stop = value.watch(notify);
      return () => {
        stop();
        release();
      };
    },
  };
}

/** `key` says all that `make`, `read` and `idle` depend on; null: what is idle, for ever. */
export function useShared<V extends Watchable, T>(key: string | null, make: (client: Client) => V, read: (value: V) => T, idle: T): T {
  const client = useTidings();
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the key stands for the others
  return useSource(useMemo(() => sharedSource(client, key, make, read, idle), [client, key]));
}

/** Something that is followed: `read` says what to show of it now. */
export interface Followed<T> { read(): T; stop(): void }

/** The same, as it is shared: shown once a frame, however much comes. */
export interface Shown<T, F extends Followed<T>> extends Watchable { readonly shown: T; readonly followed: F }

function following<T, F extends Followed<T>>(client: Client, begin: (client: Client, news: () => void) => F): Shown<T, F> {
  const watchers = new Set<() => void>();
  const pace = pacer(client.clock, 'frame', () => {
    shown = followed.read();
    for (const fn of [...watchers]) fn();
  });
  const followed = begin(client, pace.ask);
  let shown = followed.read();
  return {
    followed,
    get shown() { return shown; },
    watch(fn) {
      watchers.add(fn);
      return () => void watchers.delete(fn);
    },
    close() {
      pace.stop();
      followed.stop();
    },
  };
}

/** `begin` calls `news` whenever there is something else to read. */
export function useFollowed<T, F extends Followed<T>>(key: string | null, begin: (client: Client, news: () => void) => F, idle: T): T {
  return useShared<Shown<T, F>, T>(key, client => following<T, F>(client, begin), one => one.shown, idle);
}
