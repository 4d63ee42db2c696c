// SPDX-License-Identifier: Apache-2.0
// Entities as they are and become, for who keeps no cache of his own (./query joins them with one).
import { useMemo } from 'react';
import { changes, entities, entity } from '@tidings/client/entities';
import type { Client, Entity, EntityChange, EntityList, EntityOf, EntityState, EntityType, RegisteredSchema } from '@tidings/client';
import { useLatest, useTidings } from './context.ts';
import { pacer } from './pace.ts';
import { useSelected, useSource } from './select.ts';
import type { Source } from './select.ts';
import { hold, LINGER } from './share.ts';
import { sharedSource, useShared, Watchers } from './shared.ts';
import type { Watchable } from './shared.ts';

type Known = EntityType<RegisteredSchema>;
type DataOf<T extends string> = EntityOf<RegisteredSchema, T>;

export const entityKey = (type: string, id: string) => `entity:${type}/${id}`;

const whole = <T>(value: T) => value;
const NO_ENTITY: EntityState<never> = { type: '', id: '', status: 'loading' };

function entitySource<D>(client: Client, type: string, id: string | null): Source<EntityState<D>> {
  const unknown: EntityState<D> = id === null ? NO_ENTITY : { type, id, status: 'loading' };
  return sharedSource<Entity<D>, EntityState<D>>(client, id === null ? null : entityKey(type, id), from => entity(from, type as Known, id!) as Entity<D>,
    shared => shared?.state ?? unknown);
}

/** An entity, or what `select` takes of it: a component renders for that alone. null: none, which is loading for ever. */
export function useEntityLive<const T extends Known>(type: T, id: string | null): EntityState<DataOf<T>>;
export function useEntityLive<const T extends Known, R>(type: T, id: string | null, select: (state: EntityState<DataOf<T>>) => R): R;
export function useEntityLive<const T extends Known, R>(type: T, id: string | null, select?: (state: EntityState<DataOf<T>>) => R): R | EntityState<DataOf<T>> {
  const client = useTidings();
  const source = useMemo(() => entitySource<DataOf<T>>(client, type, id), [client, type, id]);
  return useSelected<EntityState<DataOf<T>>, R | EntityState<DataOf<T>>>(source, select ?? whole);
}

export interface EntityListState<D = unknown> {
  /** In the order of their ids. */
  readonly items: readonly EntityState<D>[];
  readonly status: EntityList['status'];
}

interface SharedList extends Watchable { readonly shown: EntityListState }

const NO_LIST: EntityListState = { items: [], status: 'loading' };

function sharedList(client: Client, type: string, limit: number | undefined): SharedList {
  const list = entities(client, type as Known, { limit });
  const watchers = new Watchers();
  let shown: EntityListState = { items: list.items, status: list.status };
  // A list is shown one by one at first.
  const pace = pacer(client.clock, 'frame', () => {
    shown = { items: list.items, status: list.status };
    watchers.tell();
  });
  const stop = list.watch(() => pace.ask());
  return {
    get shown() { return shown; },
    watch: fn => watchers.add(fn),
    close() {
      pace.stop();
      stop();
      list.close();
    },
  };
}

/** All entities of a type that may be seen; `limit`: the first of them. It renders once a frame at most. null: none. */
export function useEntityListLive<const T extends Known>(type: T | null, options: { limit?: number } = {}): EntityListState<DataOf<T>> {
  const key = type === null ? null : `entities:${options.limit}:${type}`;
  const state = useShared<SharedList, EntityListState>(key, client => sharedList(client, type!, options.limit), shared => shared?.shown ?? NO_LIST);
  return state as EntityListState<DataOf<T>>;
}

export interface ChangesOptions<T extends string = string> {
  /** Only of these types of entities. All. */
  types?: readonly T[];
  /** Also what this page did itself. false. */
  own?: boolean;
}

/** Calls `fn`, the latest of it, for each change of entities that somebody else makes, as long as the component is there. It does not render. */
export function useChanges<const T extends Known>(fn: ((change: EntityChange<DataOf<T>>) => void) | null, options: ChangesOptions<T> = {}): void {
  const client = useTidings();
  const latest = useLatest({ fn, own: options.own ?? false });
  const key = fn === null ? null : JSON.stringify(options.types ?? ['*']);
  const source = useMemo(() => changeSource(client, key === null ? [] : JSON.parse(key) as string[], change => {
    const { fn: tell, own } = latest.current;
    if (own || !change.own) tell?.(change as EntityChange<DataOf<T>>);
  }), [client, key, latest]);
  useSource(source);
}

// Nothing to read, only somebody to be told while the component is there.
function changeSource(client: Client, types: readonly string[], tell: (change: EntityChange) => void): Source<null> {
  let stops: (() => void)[] = [];
  let timer: unknown;
  let isHere = false;
  return {
    get: () => null,
    idle: () => null,
    subscribe() {
      isHere = true;
      client.clock.clearTimeout(timer);
      if (stops.length === 0) stops = types.map(type => changes(client, type as '*', change => { if (isHere) tell(change); }));
      return () => {
        isHere = false;
        timer = client.clock.setTimeout(() => { for (const stop of stops.splice(0)) stop(); }, LINGER);
      };
    },
  };
}

export interface EntitySubscription<D = unknown> {
  readonly status: EntityState['status'] | EntityList['status'];
  /** The one with the id that was asked for. */
  readonly entity?: EntityState<D>;
  /** All of the type, or that one. */
  readonly entities: readonly EntityState<D>[];
  readonly lastChange?: EntityChange<D>;
}

function subscriptionSource<D>(client: Client, type: string, id: string | undefined, told: (change: EntityChange<D>) => void): Source<EntitySubscription<D>> {
  const unknown: EntitySubscription<D> = { status: 'loading', entities: [] };
  let state = unknown;
  return {
    get: () => state,
    idle: () => unknown,
    subscribe(notify) {
      const one = id === undefined ? undefined : hold(client, entityKey(type, id), from => entity(from, type as Known, id) as Entity<D>);
      const all = one ? undefined : hold(client, `subscription:${type}`, from => entities(from, type as Known) as EntityList<D>);
      const read = (change?: EntityChange<D>) => {
        const lastChange = change ?? state.lastChange;
        const now = one?.value.state;
        state = now ? { status: now.status, entity: now, entities: now.data === undefined ? [] : [now], lastChange }
          : { status: all!.value.status, entities: all!.value.items, lastChange };
      };
      const pace = pacer(client.clock, 'frame', notify);
      const heard = (change?: EntityChange<D>) => {
        read(change);
        pace.ask();
        if (change) told(change);
      };
      const stop = one ? one.value.watch((_, change) => heard(change)) : all!.value.watch(heard);
      read();
      return () => {
        pace.stop();
        stop();
        (one ?? all)!.release();
      };
    },
  };
}

/** An entity, or all of a type, with what changed last; `onChange` is told of each change, own ones too (`change.own`). */
export function useEntitySubscription<const T extends Known>(
  type: T, id?: string | null, onChange?: (change: EntityChange<DataOf<T>>) => void,
): EntitySubscription<DataOf<T>> {
  const client = useTidings();
  const latest = useLatest(onChange);
  const source = useMemo(() => subscriptionSource<DataOf<T>>(client, type, id ?? undefined, change => latest.current?.(change)), [client, type, id, latest]);
  return useSource(source);
}
