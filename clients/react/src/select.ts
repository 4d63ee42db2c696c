// SPDX-License-Identifier: Apache-2.0
// Reading a store so that a component renders for what it selected, and for nothing else.
import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import type { Stop } from '@tidings/client';

/** What a hook reads: `get` gives the same object until something changed. */
export interface Source<T> {
  subscribe(notify: () => void): Stop;
  get(): T;
  /** What the server renders, and the first render in the browser that takes its page over. */
  idle(): T;
}

/** What never changes. */
export function constant<T>(value: T): Source<T> {
  return { get: () => value, idle: () => value, subscribe: () => () => undefined };
}

/** The same one, or objects or arrays of the same members. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length
    && keys.every(key => Object.hasOwn(b, key) && Object.is((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

export function useSource<T>(source: Source<T>): T {
  return useSyncExternalStore(source.subscribe, source.get, source.idle);
}

/** `select` may be written in place: what it gives is compared by its members, so that a new object of the same ones is no change. */
export function useSelected<T, R>(source: Source<T>, select: (value: T) => R): R {
  const shown = useRef<{ value: R }>(undefined);
  const [get, idle] = useMemo(() => {
    let last: { from: T; value: R } | undefined;
    const read = (from: T): R => {
      if (last && Object.is(last.from, from)) return last.value;
      let value = select(from);
      const before = last ?? shown.current;
      if (before && same(before.value, value)) value = before.value;
      last = { from, value };
      return value;
    };
    return [() => read(source.get()), () => read(source.idle())];
  }, [source, select]);
  const value = useSyncExternalStore(source.subscribe, get, idle);
  useEffect(() => { shown.current = { value }; });
  return value;
}
