// SPDX-License-Identifier: Apache-2.0
// Entities as they are and become, for who keeps no cache of his own (./query joins them with one).
import { useMemo, useState } from 'react';
import { changes, entities, entity } from '@tidings/client/entities';
import type { Client, Entity, EntityChange, EntityList, EntityOf, EntityState, EntityType, RegisteredSchema } from '@tidings/client';
import { useLatest, useTidings } from './context.ts';
import { constant, useSelected, useSource } from './select.ts';
import type { Source } from './select.ts';
import { LINGER } from './share.ts';
import { sharedSource, useFollowed } from './shared.ts';
import type { Followed } from './shared.ts';

type Known = EntityType<RegisteredSchema>;
type DataOf<T extends string> = EntityOf<RegisteredSchema, T>;

export const entityKey = (type: string, id: string) => `entity:${type}/${id}`;

const whole = <T>(value: T) => value;
function entitySource<D>(client: Client, type: string, id: string | null): Source<EntityState<D>> {
  const key = id === null ? null : entityKey(type, id);
  const make = (from: Client) => entity(from, type as Known, id!) as Entity<D>;
  return sharedSource<Entity<D>, EntityState<D>>(client, key, make, shared => shared.state, { type, id: id ?? '', status: 'loading' });
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

const NO_LIST: EntityListState = { items: [], status: 'loading' };

/** All entities of a type that may be seen; `limit`: the first of them. It renders once a frame at most. null: none. */
export function useEntityListLive<const T extends Known>(type: T | null, options: { limit?: number } = {}): EntityListState<DataOf<T>> {
  const { limit } = options;
  return useFollowed<EntityListState, Followed<EntityListState>>(type === null ? null : `entities:${limit}:${type}`, (client, news) => {
    // At first it is shown one by one.
    const list = entities(client, type as Known, { limit });
    list.watch(news);
    return { read: () => ({ items: list.items, status: list.status }), stop: () => list.close() };
  }, NO_LIST) as EntityListState<DataOf<T>>;
}

export interface ChangesOptions<T extends string = string> {
  /** Only of these types of entities. All. */
  types?: readonly T[];
  /** Also what this page did itself. false. */
  own?: boolean;
}

// Somebody who is told while the component is there; `who` is a type, or a type and an id.
function useTold(who: readonly (readonly [type: string, id?: string])[], tell: (change: EntityChange) => void): void {
  const client = useTidings();
  const latest = useLatest(tell);
  const key = JSON.stringify(who);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the key is who
  useSource(useMemo(() => changeSource(client, who, change => latest.current(change)), [client, key, latest]));
}

// Nothing to read, only somebody to be told.
function changeSource(client: Client, who: readonly (readonly [type: string, id?: string])[], tell: (change: EntityChange) => void): Source<null> {
  let stops: (() => void)[] = [];
  let timer: unknown;
  let isHere = false;
  const told = (change: EntityChange) => { if (isHere) tell(change); };
  return {
    ...constant(null),
    subscribe() {
      isHere = true;
      client.clock.clearTimeout(timer);
      if (stops.length === 0) stops = who.map(([type, id]) => changes(client, type as '*', told, { id }));
      return () => {
        isHere = false;
        timer = client.clock.setTimeout(() => { for (const stop of stops.splice(0)) stop(); }, LINGER);
      };
    },
  };
}

/** Calls `fn`, the latest of it, for each change of entities that somebody else makes, as long as the component is there. It does not render. */
export function useChanges<const T extends Known>(fn: ((change: EntityChange<DataOf<T>>) => void) | null, options: ChangesOptions<T> = {}): void {
  const { types = ['*'], own = false } = options;
  useTold(fn ? types.map(type => [type] as const) : [], change => { if (own || !change.own) fn?.(change as EntityChange<DataOf<T>>); });
}

export interface EntitySubscription<D = unknown> {
  readonly status: EntityState['status'] | EntityList['status'];
  /** The one with the id that was asked for. */
  readonly entity?: EntityState<D>;
  /** All of the type, or that one. */
  readonly entities: readonly EntityState<D>[];
  readonly lastChange?: EntityChange<D>;
}

/** An entity, or all of a type, with what changed last; `onChange` is told of each change, own ones too (`change.own`). */
export function useEntitySubscription<const T extends Known>(
  type: T, id?: string | null, onChange?: (change: EntityChange<DataOf<T>>) => void,
): EntitySubscription<DataOf<T>> {
  type D = DataOf<T>;
  const [lastChange, setLastChange] = useState<EntityChange<D>>();
  const one = useEntityLive(type, id ?? null);
  const all = useEntityListLive(id == null ? type : null);
  useTold([id == null ? [type] : [type, id]], change => {
    setLastChange(change as EntityChange<D>);
    onChange?.(change as EntityChange<D>);
  });
  return useMemo(() => {
    if (id == null) return { status: all.status, entities: all.items, lastChange };
    return { status: one.status, entity: one, entities: one.data === undefined ? [] : [one], lastChange };
  }, [id, one, all, lastChange]);
}
