// SPDX-License-Identifier: Apache-2.0
// Entities: documents with a version, one or all of a type, kept as they are on the server (docs/protocol.md, Entities).
import { follow, isObject, plain, sendOnce, Watched } from './parts.ts';
import { ownWrites } from './writes.ts';
import type { Writes } from './writes.ts';
import type {
  Client, Entity, EntityChange, EntityList, EntityOf, EntityState, EntityType, Position, Schema, Stop, TidingsEvent, Topic, TopicOptions,
  TopicPhase, WriteOptions,
} from './types.ts';

/** An entity as the server answers it. */
interface Answered<D> { version: number; payload?: D; event_id: Position; timestamp?: string; actor?: string }

/** What an event says: the change, and what there is behind it. */
interface Read<D> { change: EntityChange<D>; state: EntityState<D> }

/** `shown`: it is state, not a change that happens now. */
type Take<D> = (read: Read<D>, shown: boolean) => void;

const ACTIONS = { ENTITY_CREATED: 'created', ENTITY_UPDATED: 'updated', ENTITY_DELETED: 'deleted' } as const;

/** undefined when the event is of another sort. */
function readEvent<D>(event: TidingsEvent, own: boolean): Read<D> | undefined {
  const action = ACTIONS[event.type as keyof typeof ACTIONS], [, type = '', id = ''] = event.topic.split('/');
  if (!action || !isObject(event.data)) return undefined;
  const { payload, version } = event.data as { payload?: D; version?: number };
  const { actor, time, id: position } = event;
  return {
    change: { action, type, id, data: payload, version, actor, time, position, own },
    state: { type, id, status: action === 'deleted' ? 'deleted' : 'live', data: payload, version, etag: position, actor, time },
  };
}

/**
 * Follows what is said of entities and hands it on in order. While a write of ours is under way, the first change that may be it, and all behind it, wait for
 * its answer, which tells whether it is.
 */
class Following<D> {
  readonly topic: Topic;
  #client: Client<Schema>;
  #writes: Writes;
  #held: TidingsEvent[] = [];
  #stop: Stop;
  #take: Take<D>;

  constructor(client: Client<Schema>, pattern: string, on: { take: Take<D>; gap: () => void; phase: () => void }, options?: TopicOptions) {
    this.#client = client;
    this.#writes = ownWrites(client);
    this.#take = on.take;
    this.topic = follow(client, pattern, {
      event: event => { this.#held.push(event); this.#drain(); },
      gap: () => { this.#drain(true); on.gap(); },
      phase: on.phase,
    }, options);
    this.#stop = this.#writes.settled(() => this.#drain());
  }

  close(): void {
    this.#stop();
    this.topic.close();
    this.#held = [];
  }

  #mayBeOurs(event: TidingsEvent): boolean {
    return event.id !== undefined && event.state !== true && !this.#writes.made(event.id) && this.#writes.underWay(event.topic) &&
      (this.#client.user === undefined || event.actor === undefined || event.actor === this.#client.user);
  }

  #drain(all = false): void {
    for (let event; (event = this.#held[0]) && (all || !this.#mayBeOurs(event));) {
      this.#held.shift();
      const own = (event.id !== undefined && this.#writes.made(event.id)) || (event.origin !== undefined && event.origin === this.#client.id);
      const read = readEvent<D>(event, own);
      if (read) this.#take(read, event.state === true);
    }
  }
}

class One<D> implements Entity<D> {
  #client: Client<Schema>;
  #path: string;
  #topicName: string;
  #entity: Watched<EntityState<D>, EntityChange<D>>;
  #following: Following<D>;
  /** Whether it was shown since the beginning, or since the last gap. */
  #shown = false;
  /** Answers of ours that stand, until the changes that they are come by: what comes before these is older. */
  #ahead = new Set<Position>();

  constructor(client: Client<Schema>, type: string, id: string) {
    this.#client = client;
    this.#path = `/api/v1/entities/${encodeURIComponent(type)}/${encodeURIComponent(id)}`;
    this.#topicName = `entities/${type}/${id}`;
    this.#entity = new Watched<EntityState<D>, EntityChange<D>>({ type, id, status: 'loading' });
    this.#following = new Following<D>(client, this.#topicName, {
      take: (read, shown) => this.#take(read, shown),
      gap: () => { this.#shown = false; this.#ahead.clear(); },
      phase: () => this.#phase(),
    });
  }

  get state(): EntityState<D> { return this.#entity.state; }

  watch(fn: (state: EntityState<D>, change?: EntityChange<D>) => void): Stop { return this.#entity.watch(fn); }

  put(data: D, options?: WriteOptions): Promise<EntityState<D>> { return this.#write('PUT', data, options); }

  patch(changes: Partial<D>, options?: WriteOptions): Promise<EntityState<D>> { return this.#write('PATCH', changes, options); }

  async remove(options?: WriteOptions): Promise<void> { await this.#write('DELETE', undefined, options); }

  close(): void {
    this.#following.close();
    this.#entity.clear();
  }

  async #write(method: 'PUT' | 'PATCH' | 'DELETE', body: unknown, options: WriteOptions = {}): Promise<EntityState<D>> {
    const { ifVersion, create, signal, idempotencyKey } = options, headers: Record<string, string> = {};
    if (ifVersion !== undefined) headers['If-Match'] = typeof ifVersion === 'number' ? String(ifVersion) : `"${ifVersion}"`;
    if (create) headers['If-None-Match'] = '*';
    const contentType = method === 'PATCH' ? 'application/merge-patch+json' : undefined;
    return ownWrites(this.#client).during(this.#topicName, async made => {
      const { data } = await sendOnce<Answered<D>>(this.#client, method, this.#path, { body, headers, contentType, signal }, idempotencyKey);
      // With a key of the caller's it may be the answer to a write of long ago.
      if (made(data.event_id) && idempotencyKey === undefined) this.#answered(data, method === 'DELETE');
      return this.state;
    });
  }

  /** Ours is done, and the change has not come by yet. */
  #answered({ version, payload, event_id: etag, timestamp: time, actor }: Answered<D>, deleted: boolean): void {
    const { type, id, status, version: before = 0 } = this.state;
    // Who may change but not see is shown nothing, and an answer that was overtaken by a later one says nothing new.
    if (payload === undefined || status === 'denied' || (status !== 'deleted' && !deleted && version <= before)) return;
    this.#ahead.add(etag);
    this.#entity.tell({ type, id, status: deleted ? 'deleted' : this.#live(), data: payload, version, etag, actor, time });
  }

  #take({ change, state }: Read<D>, shown: boolean): void {
    const before = this.state;
    this.#shown = true;
    this.#ahead.delete(state.etag!);
    if (!shown && this.#ahead.size > 0 && (state.version ?? 0) <= (before.version ?? 0)) return;
    if (shown) this.#ahead.clear();
    const status = state.status === 'live' ? this.#live() : state.status;
    // Shown for the first time is no change; shown again behind a gap it is one when it is another.
    if (shown && (before.etag === undefined || before.etag === state.etag)) this.#entity.tell({ ...state, status });
    else this.#entity.tell({ ...state, status }, change);
  }

  /** Whether what has just come is all there is, as far as we know: not while more of what was missed is on its way. */
  #live(): 'live' | 'stale' { return this.#following.topic.phase === 'live' || this.state.status !== 'stale' ? 'live' : 'stale'; }

  #phase(): void {
    const { phase } = this.#following.topic, before = this.state;
    let { status } = before;
    if (phase === 'denied') {
      // Granted again, it is shown again.
      this.#shown = false;
      status = 'denied';
    } else if (phase === 'live') {
      if (!this.#shown && status !== 'deleted') status = before.etag === undefined ? 'missing' : 'deleted';
      else if (status === 'stale' || status === 'denied') status = 'live';
      this.#shown = true;
    } else if (phase === 'paused' && status === 'live') status = 'stale';
    if (status !== before.status) this.#entity.tell({ ...before, status });
  }
}

class Many<D> implements EntityList<D> {
  status: EntityList<D>['status'] = 'loading';
  #limit: number;
  #all = new Map<string, EntityState<D>>();
  #items: readonly EntityState<D>[] | undefined;
  #watched = new Watched<undefined, EntityChange<D>>(undefined);
  #following: Following<D>;
  /** Behind a gap: what was shown since; the rest is gone. */
  #shown: Set<string> | undefined;

  constructor(client: Client<Schema>, type: string, limit: number) {
    this.#limit = limit;
    this.#following = new Following<D>(client, `entities/${type}/*`, {
      take: ({ change, state }, shown) => {
        const before = this.#all.get(state.id);
        this.#shown?.add(state.id);
        if (state.status === 'deleted') this.#all.delete(state.id);
        else this.#all.set(state.id, state);
        if (before?.etag === state.etag && shown) return;
        this.#items = undefined;
        this.#watched.tell(undefined, shown && !before && this.status === 'loading' ? undefined : change);
      },
      gap: () => { this.#shown = new Set(); },
      phase: () => this.#phase(),
    });
  }

  /** In the order of their ids. */
  get items(): readonly EntityState<D>[] {
    this.#items ??= [...this.#all.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, this.#limit);
    return this.#items;
  }

  watch(fn: (change?: EntityChange<D>) => void): Stop { return this.#watched.watch((_, change) => fn(change)); }

  close(): void {
    this.#following.close();
    this.#watched.clear();
  }

  #phase(): void {
    const { phase } = this.#following.topic, before = this.status;
    let gone = false;
    if (phase === 'live' && this.#shown) {
      for (const id of [...this.#all.keys()]) if (!this.#shown.has(id)) gone = this.#all.delete(id);
      this.#shown = this.#items = undefined;
    }
    if (phase === 'denied') this.#shown = new Set();
    if (phase === 'live' || phase === 'denied') this.status = phase;
    else if (phase === 'paused' && before === 'live') this.status = 'stale';
    if (gone || this.status !== before) this.#watched.tell();
  }
}

/** One entity, as it is and as it becomes. Close it when nobody looks any more. */
export function entity<S extends Schema, T extends EntityType<S>>(client: Client<S>, type: T, id: string): Entity<EntityOf<S, T>> {
  return new One<EntityOf<S, T>>(plain(client), type, id);
}

/** All entities of a type that may be seen; `limit` shows only so many, the first by their ids. */
export function entities<S extends Schema, T extends EntityType<S>>(client: Client<S>, type: T, options: { limit?: number } = {}): EntityList<EntityOf<S, T>> {
  return new Many<EntityOf<S, T>>(plain(client), type, options.limit ?? Infinity);
}

export interface ChangesOptions {
  /** Of this one only. */
  id?: string;
  /** A part was missed. */
  onGap?: () => void;
  /** Whether all is told now: `live`; the others as of a topic. */
  onPhase?: (phase: TopicPhase) => void;
}

/** Tells each change of entities from now on, of a type or, for `*`, of all that may be seen. Nothing is kept of them. */
export function changes<S extends Schema, T extends EntityType<S> | '*'>(
  client: Client<S>, type: T, fn: (change: EntityChange<T extends '*' ? unknown : EntityOf<S, T>>) => void, options: ChangesOptions = {},
): Stop {
  const following = new Following<unknown>(plain(client), `entities/${type}/${options.id ?? '*'}`, {
    take: ({ change }, shown) => { if (!shown) fn(change as never); },
    gap: () => options.onGap?.(),
    phase: () => options.onPhase?.(following.topic.phase),
  }, { state: false });
  return () => following.close();
}

/** Whether the change that left an entity with this `etag` was made by this client. Of the latest 256 writes it is known. */
export function isOwn<S extends Schema>(client: Client<S>, etag: Position): boolean {
  return ownWrites(plain(client)).made(etag);
}
