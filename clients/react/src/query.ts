// SPDX-License-Identifier: Apache-2.0
// @tidings/react/query: entities in a TanStack Query cache, kept as they are on the server.
import { useCallback, useEffect, useRef, useState } from 'react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { QueryFunctionContext, QueryKey, UseQueryOptions, UseQueryResult } from '@tanstack/react-query';
import { changes } from '@tidings/client/entities';
import type { EntityChange, EntityOf, EntityType, RegisteredSchema } from '@tidings/client';
import { invalidate, patch, refresh } from './cache.ts';
import { useLatest, useTidings } from './context.ts';
import { joined, useFeed } from './feed.ts';

type Known = EntityType<RegisteredSchema>;
type DataOf<T extends string> = EntityOf<RegisteredSchema, T>;

/** What is kept of an entity where you do not say otherwise. */
export interface EntityRow<D = unknown> { readonly id: string; readonly version: number; readonly data: D }

/** How a row of yours stands to its entity. Without `project` a change is fetched; with it, it is written to the cache. */
export interface RowOptions<D, R> {
  /** The row that a change makes, of the one that there was. */
  project?: (change: EntityChange<D>, before: R | undefined) => R;
  /** `row.id` */
  id?: (row: R) => string;
  /** `row.version`. A change that is not newer is not taken. */
  version?: (row: R) => number | undefined;
}

/** Those of TanStack Query; without a `queryFn` the server's own document is fetched. */
export type QueryOptions<R> = Partial<UseQueryOptions<R, Error, R>>;

const rowOf = <D>(change: EntityChange<D>): EntityRow<D> => ({ id: change.id, version: change.version ?? 0, data: change.data as D });
const idOf = (row: unknown) => (row as { id: string }).id;
const versionOf = (row: unknown) => (row as { version?: number } | undefined)?.version;

interface Answered<D> { entity_id: string; version: number; payload: D }
const read = <D>({ entity_id: id, version, payload: data }: Answered<D>): EntityRow<D> => ({ id, version, data });

function rows<D, R>(options: RowOptions<D, R>, isOurs: boolean) {
  const { project = isOurs ? rowOf as unknown as RowOptions<D, R>['project'] : undefined } = options;
  const { id = idOf, version = versionOf } = options;
  const isNewer = (change: EntityChange<D>, row: R) => change.version === undefined || change.version > (version(row) ?? 0);
  return { project, id, isNewer };
}

function without<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  return map.has(key) ? new Map([...map].filter(([other]) => other !== key)) : map;
}

// What TanStack tracks by being read stays so: a component renders for the members that it looks at.
const extended = <A extends object, B extends object>(result: A, more: B): A & B => Object.create(result, Object.getOwnPropertyDescriptors(more)) as A & B;

export interface EntityQueryExtras<D> {
  /** The last change that somebody else made while this is shown. */
  readonly changed?: EntityChange<D>;
  /** It was deleted: `data` is what there was. */
  readonly deleted: boolean;
}

/** An entity by your own query, or the server's, kept up to date. null: none is fetched. */
export function useEntity<const T extends Known, R = EntityRow<DataOf<T>>>(
  type: T, id: string | null, query: QueryOptions<R> & Omit<RowOptions<DataOf<T>, R>, 'id'> = {},
): UseQueryResult<R> & EntityQueryExtras<DataOf<T>> {
  type D = DataOf<T>;
  const client = useTidings();
  const cache = useQueryClient();
  const { project: _, version: __, ...rest } = query;
  const key: QueryKey = query.queryKey ?? ['tidings', type, id];
  const { project, isNewer } = rows<D, R>(query, !query.queryFn);
  const [changed, setChanged] = useState<{ change?: EntityChange<D>; deleted: boolean; of: string | null }>({ deleted: false, of: id });
  const deleted = useRef<string>(undefined);

  useFeed(id === null ? null : type, id ?? undefined, what => {
    if (what === 'lost') return refresh(client, cache, key);
    const change = what as EntityChange<D>;
    const isDeleted = change.action === 'deleted';
    // Made anew its versions begin at 1 again.
    const anew = deleted.current === change.id;
    deleted.current = isDeleted ? change.id : undefined;
    setChanged(before => ({ of: id, deleted: isDeleted, change: !change.own ? change : before.of === id ? before.change : undefined }));
    if (isDeleted) cache.removeQueries({ queryKey: key, exact: true, type: 'inactive' });
    else if (project) void patch<R>(client, cache, key, row => anew || isNewer(change, row) ? project(change, row) : undefined);
    else invalidate(client, cache, key);
  });

  const fetchIt = async (context: QueryFunctionContext) => {
    await joined(client, type, id ?? undefined);
    if (typeof query.queryFn === 'function') return query.queryFn(context as never);
    const { data } = await client.request<Answered<D>>('GET', `/api/v1/entities/${type}/${id}`, { signal: context.signal });
    return read(data) as R;
  };
  const result = useQuery<R>({ ...rest, queryKey: key, queryFn: fetchIt, enabled: id === null ? false : query.enabled } as UseQueryOptions<R>);
  const isOther = changed.of !== id;
  return extended(result, { changed: isOther ? undefined : changed.change, deleted: !isOther && changed.deleted });
}

export interface EntityListOptions<D, R> extends RowOptions<D, R> {
  /** Whether an entity belongs to the list. Without it, and with a `queryFn` of yours, what is new is fetched. */
  where?: (data: D, id: string) => boolean;
  sort?: (a: R, b: R) => number;
  /** live: what is new is shown at once. notify: it is counted, and shown by `applyArrivals`, so that nothing moves below the pointer. */
  mode?: 'live' | 'notify';
}

export interface EntityListExtras {
  /** How many are new and not shown; in the mode notify. */
  readonly arrivals: number;
  applyArrivals(): void;
}

/** Entities of a type by your own query, or all by the server's, kept up to date. */
export function useEntityList<const T extends Known, R = EntityRow<DataOf<T>>>(
  type: T, options: EntityListOptions<DataOf<T>, R> = {}, query: QueryOptions<R[]> = {},
): UseQueryResult<R[]> & EntityListExtras {
  type D = DataOf<T>;
  const client = useTidings();
  const cache = useQueryClient();
  const key: QueryKey = query.queryKey ?? ['tidings', type];
  const { where = query.queryFn ? undefined : () => true, sort, mode = 'live' } = options;
  const { project, id, isNewer } = rows<D, R>(options, !query.queryFn);
  const [arrivals, setArrivals] = useState<ReadonlyMap<string, EntityChange<D>>>(new Map());

  // The list with a change in it; undefined where nothing is another.
  const changeIn = (list: R[], change: EntityChange<D>): R[] | undefined => {
    const at = list.findIndex(row => id(row) === change.id);
    const belongs = change.action !== 'deleted' && (where?.(change.data as D, change.id) ?? at >= 0);
    if (at < 0 ? !belongs : belongs && !isNewer(change, list[at]!)) return undefined;
    const next = belongs ? at < 0 ? [...list, project!(change, undefined)] : list.with(at, project!(change, list[at])) : list.filter((_, i) => i !== at);
    return sort && belongs ? next.sort(sort) : next;
  };

  useFeed(type, undefined, what => {
    if (what === 'lost') return refresh(client, cache, key);
    const change = what as EntityChange<D>;
    const list = cache.getQueryData<R[]>(key);
    const isNew = !list?.some(row => id(row) === change.id);
    // undefined where only the server knows.
    const belongs = change.action === 'deleted' ? false : where?.(change.data as D, change.id);
    if (list && isNew && belongs === false) setArrivals(before => without(before, change.id));
    else if (list && isNew && mode === 'notify' && !change.own && (belongs || change.action === 'created' || arrivals.has(change.id)))
      setArrivals(before => new Map(before).set(change.id, change));
    else if (!project || (isNew && belongs === undefined)) invalidate(client, cache, key);
    else void patch<R[]>(client, cache, key, rows => changeIn(rows, change));
  });

  const fetchIt = async (context: QueryFunctionContext) => {
    await joined(client, type, undefined);
    return typeof query.queryFn === 'function' ? query.queryFn(context as never) : all(context);
  };
  const all = async ({ signal }: QueryFunctionContext) => {
    const list: EntityRow<D>[] = [];
    for (let after: string | undefined; ;) {
      const { data } = await client.request<{ entities: Answered<D>[]; more: boolean }>('GET', `/api/v1/entities/${type}`, { query: { limit: 1000, after }, signal });
      list.push(...data.entities.map(read));
      after = list.at(-1)?.id;
      if (!data.more) return list.filter(row => where!(row.data, row.id)) as R[];
    }
  };
  const result = useQuery<R[]>({ ...query, queryKey: key, queryFn: fetchIt } as UseQueryOptions<R[]>);

  const applyArrivals = () => {
    setArrivals(new Map());
    if (!project || !where) invalidate(client, cache, key, 0);
    else for (const change of arrivals.values()) void patch<R[]>(client, cache, key, list => changeIn(list, change));
  };
  const latest = useLatest(applyArrivals);
  const apply = useCallback(() => latest.current(), [latest]);
  // What was fetched meanwhile is shown.
  const waiting = [...arrivals.keys()].filter(one => !result.data?.some(row => id(row) === one));
  return extended(result, { arrivals: waiting.length, applyArrivals: apply });
}

/** What of a cache belongs to a type of entities. */
export interface SyncOptions<D = unknown, R = unknown> extends Omit<RowOptions<D, R>, 'id'> {
  /** The query of one. */
  key?: (id: string) => QueryKey;
  /** Queries of many, which are fetched again; a prefix stands for all that begin with it. */
  listKeys?: readonly QueryKey[];
}

export type SyncConfig = { readonly [T in Known]?: SyncOptions<DataOf<T>, never> };

/** Once for an application: keeps the queries of entities up to date, wherever they are used. */
export function useEntitySync(config: SyncConfig): void {
  const client = useTidings();
  const cache = useQueryClient();
  const latest = useLatest(config as { readonly [type: string]: SyncOptions | undefined });
  const types = Object.keys(config).sort().join();

  useEffect(() => {
    const stops = types.split(',').filter(Boolean).map(type => {
      const seen = new Set<string>();
      return changes(client, type as '*', change => {
        const { key, listKeys = [], ...options } = latest.current[type] ?? {};
        const { project, isNewer } = rows(options, false);
        const one = key?.(change.id);
        seen.add(change.id);
        if (one && change.action === 'deleted') cache.removeQueries({ queryKey: one, exact: true, type: 'inactive' });
        if (one && change.action !== 'deleted' && project) void patch(client, cache, one, row => isNewer(change, row) ? project(change, row) : undefined);
        else if (one) invalidate(client, cache, one);
        for (const list of listKeys) invalidate(client, cache, list);
      }, {
        onGap() {
          const { key, listKeys = [] } = latest.current[type] ?? {};
          for (const list of listKeys) refresh(client, cache, list);
          if (key) for (const query of cache.getQueryCache().getAll()) if (isOf(key, query.queryKey)) refresh(client, cache, query.queryKey);
        },
      });
    });
    return () => { for (const stop of stops) stop(); };
  }, [client, cache, types, latest]);
}

// Whether a key is one that `key` makes, of whichever id stands in it.
function isOf(key: (id: string) => QueryKey, candidate: QueryKey): boolean {
  return candidate.some(part => typeof part === 'string' && JSON.stringify(key(part)) === JSON.stringify(candidate));
}
