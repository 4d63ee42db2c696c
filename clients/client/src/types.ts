// SPDX-License-Identifier: Apache-2.0
/// <reference lib="esnext.disposable" preserve="true" />
// The words of this package: what its functions take and give.  docs/protocol.md tells what of it goes over the wire.

/** Where an event stands in the log. Opaque: compare for being equal, keep the last, give it back as it came. */
export type Position = string;

/** Ends what it was returned for. Calling it again does nothing. */
export type Stop = () => void;

// ---- typing -----------------------------------------------------------------------------------------------------------------

/** What your topics, entities and kinds of jobs carry. Every member is optional. */
export interface Schema {
  /** Pattern → type of event → its `data`. A pattern is written as it is subscribed: `projects/*`. */
  topics?: { [pattern: string]: { [type: string]: unknown } };
  /** Type of entity → its document. */
  entities?: { [type: string]: unknown };
  /** Kind → what it takes and gives. */
  jobs?: { [kind: string]: { params?: unknown; result?: unknown } };
}

/** Augment this once, `interface Register { schema: MySchema }`, and every function and hook infers from it. */
export interface Register {} // eslint-disable-line

export type RegisteredSchema = Register extends { schema: infer S extends Schema } ? S : Schema;

export type EntityType<S extends Schema> = keyof NonNullable<S['entities']> & string;
export type EntityOf<S extends Schema, T extends string> = S['entities'] extends { [type in T]: infer D } ? D : unknown;
export type JobKind<S extends Schema> = keyof NonNullable<S['jobs']> & string;
export type ParamsOf<S extends Schema, K extends string> = S['jobs'] extends { [kind in K]: { params: infer P } } ? P : Record<string, unknown>;
export type ResultOf<S extends Schema, K extends string> = S['jobs'] extends { [kind in K]: { result: infer R } } ? R : unknown;
/** A pattern as a type of the topics it matches; a `*` of it stands for any text here, also for one with a `/`. */
export type TopicsOf<P extends string> = P extends `${infer A}**` ? `${A}${string}` : P extends `${infer A}*${infer B}` ? `${A}${string}${TopicsOf<B>}` : P;
type UnionOf<E> = E extends unknown ? { [T in keyof E & string]: TidingsEvent<E[T], T> }[keyof E & string] : never;
/**
 * Events of a pattern: a union over its types, so that `switch (event.type)` narrows `data`. A topic, as `projects/42` or
 * `projects/${id}`, has those of the patterns of the schema that match it.
 */
export type EventOf<S extends Schema, P extends string> = S['topics'] extends infer M extends object
  ? P extends keyof M ? UnionOf<M[P]>
    : { [K in keyof M & string]: P extends TopicsOf<K> ? K : never }[keyof M & string] extends infer K
      ? [K] extends [never] ? TidingsEvent : UnionOf<M[K & keyof M]>
      : never
  : TidingsEvent;

// ---- events -----------------------------------------------------------------------------------------------------------------

export interface TidingsEvent<D = unknown, T extends string = string> {
  /** Its position. Absent of an ephemeral event, which is not stored. */
  readonly id?: Position;
  readonly topic: string;
  readonly type: T;
  /** RFC 3339, UTC, with milliseconds. */
  readonly time: string;
  readonly key?: string;
  /** The subject that published it. */
  readonly actor?: string;
  /** `connection_id` of the connection that it was published on; compare with `client.id` to know your own. */
  readonly origin?: string;
  readonly data: D;
  /** It is retained state, shown to who comes new: not a change that happens now. */
  readonly state?: boolean;
}

/** A part of what was asked for is gone; what follows it is complete again. */
export interface Gap {
  readonly from: Position;
  readonly to: Position;
  readonly reason: 'retention' | 'epoch' | 'unsynced' | 'damaged' | 'overflow';
  readonly topics?: readonly string[];
}

// ---- connection ---------------------------------------------------------------------------------------------------------------

/** `poll`: pages of history every `degrade.poll` ms, when nothing else works. */
export type TransportName = 'websocket' | 'sse' | 'longpoll' | 'poll';

/**
 * idle: nothing asked yet · connecting: the first time or again, right now · online: live · waiting: will try again at `retryAt` ·
 * polling: no live transport works, updates come every `degrade.poll` ms · offline: the browser says so and a probe agreed ·
 * failed: it will not try again by itself; `reason` says what to do · closed: by you.
 */
export type Phase = 'idle' | 'connecting' | 'online' | 'waiting' | 'polling' | 'offline' | 'failed' | 'closed';

/** The same in four words, for who wants no more: error is `failed`; polling counts as connected. */
export type Status = 'connecting' | 'connected' | 'disconnected' | 'error';

export interface Reason {
  /** A close code (RFC 6455 or docs/protocol.md), or an HTTP status; 0 when the connection just broke. */
  readonly code: number;
  /** Stable, for programs: `token_expired`, `forbidden`, `draining`, `replaced`, `timeout`, `network` … */
  readonly name: string;
  /** A sentence for people. */
  readonly message: string;
  /** What they can do. */
  readonly whatToDo: string;
  /** Whether the client comes back by itself. */
  readonly retry: boolean;
}

export interface ConnectionState {
  readonly phase: Phase;
  readonly status: Status;
  readonly transport?: TransportName;
  /** Tries since it was last online; 0 when online. */
  readonly attempt: number;
  /** When the next try begins, by `clock.now()`; only while waiting (or polling: when live is tried again). */
  readonly retryAt?: number;
  /** Since when it is in this phase, by `clock.now()`. */
  readonly since: number;
  /** When the server was last heard, by `clock.now()`. Kept up to the second, without telling watchers of each message. */
  readonly lastSeen?: number;
  /** Milliseconds there and back, of the last probe. */
  readonly rtt?: number;
  /** Why it is not online; what ended the last connection. */
  readonly reason?: Reason;
}

/** delay(n) = base · factor^n, at most max; then `jitter` takes off up to a half (equal), or all (full), or nothing (none). */
export interface BackoffProfile {
  base: number;
  factor: number;
  max: number;
  /** Tries until it degrades to polling (or fails, without `degrade`). Endless when absent. */
  attempts?: number;
  jitter?: 'equal' | 'full' | 'none';
  /** Milliseconds online after which the count begins anew. 10,000. */
  stableAfter?: number;
}

/** Time as the client sees it. @tidings/testing has one that you turn. */
export interface Clock {
  /** Milliseconds, never going back. */
  now(): number;
  setTimeout(fn: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface ClientOptions {
  /** Base URL of the server: http(s) or ws(s), with or without a path in front. A function is asked for each connection. */
  url: string | (() => string | Promise<string>);
  /**
   * A token, or where to get one. `first`: for the first connection; `expiring`: the one in use ends soon; `rejected`: the server
   * refused the last one, which is not sent again. null: signed out; the client stops until `reauth`. Without this option the
   * browser's cookie speaks for the user.
   */
  token?: string | ((why: 'first' | 'expiring' | 'rejected', o: { signal: AbortSignal }) => Promise<string | null> | string | null);
  /** in-place (default): over the open connection, before it ends. reconnect: by a new connection. */
  refresh?: 'in-place' | 'reconnect';
  /** Tried in this order; the one that works is remembered for the origin for an hour. All three. */
  transports?: ('websocket' | 'sse' | 'longpoll')[];
  /** steady: 1, 2, 4 … 30 s, endless (default). brief: 2 s × 1.5, at most 30 s, 5 tries, then polling. */
  backoff?: 'steady' | 'brief' | BackoffProfile;
  /** Poll every so many ms when the tries run out; false: fail. 30,000. */
  degrade?: { poll: number } | false;
  /** publish() while not online: so many, for so long. 100, 60,000 ms. */
  outbox?: { max: number; ttl: number };
  /** session: positions survive a reload of the tab (sessionStorage). memory is the default. */
  resume?: 'memory' | 'session';
  /** The endpoint. `/ws` unless said; others are bound to topics of their own (docs/protocol.md, Endpoints). */
  path?: string;
  /** More parameters of its URL: `{session: 's1'}`. A session that the server makes is kept over reconnects. */
  query?: Record<string, string>;
  /** What such an endpoint is bound to, where its path can only be a WebSocket: lets the other transports stand in. */
  fallbackTopics?: string[];
  /** In which form events come: `event` (default); `flat` hands them on as the server writes them, in `onMessage` alone. */
  format?: 'event' | 'flat';
  /** Each message of the server that is an event, as parsed, before it reaches topics; for endpoints with topics of their own. */
  onMessage?: (message: Record<string, unknown>) => void;
  log?: (entry: { level: 'debug' | 'info' | 'warn' | 'error'; message: string; detail?: unknown }) => void;
  // Given by tests and by pages that want to play faults; the platform's unless said.
  clock?: Clock;
  random?: () => number;
  WebSocket?: typeof WebSocket;
  fetch?: typeof fetch;
}

// ---- client -------------------------------------------------------------------------------------------------------------------

export interface TopicOptions<E = TidingsEvent> {
  /** now (default, unless `resume` knows better), earliest, or a position. */
  since?: Position | 'earliest' | 'now';
  /** Retained state first: true unless `since` is given. */
  state?: boolean;
  /** Only these types. */
  types?: readonly string[];
  /**
   * Loads what the page shows, after the server confirmed the subscription at `position`: what happens meanwhile is kept and
   * comes behind it. Runs again after a gap.
   */
  snapshot?: (o: { position: Position; signal: AbortSignal }) => Promise<unknown>;
  /** The same as topic.on('*', …), set before anything can come. */
  onEvent?: (event: E) => void;
  onGap?: (gap: Gap) => void;
}

/** joining: asked · catching-up: what was missed comes · live · paused: not connected · denied: not granted (see `error`). */
export type TopicPhase = 'joining' | 'catching-up' | 'live' | 'paused' | 'denied';

/** One use of a pattern. Several uses of the same one share a subscription; each gets everything, in order, once. */
export interface Topic<E extends TidingsEvent = TidingsEvent> extends AsyncIterable<E> {
  readonly name: string;
  readonly phase: TopicPhase;
  /** Up to where this use has seen everything. */
  readonly position?: Position;
  readonly error?: TidingsErrorShape;
  on<T extends E['type'] | '*'>(type: T, fn: (event: T extends '*' ? E : Extract<E, { type: T }> extends never ? E : Extract<E, { type: T }>) => void): Stop;
  onGap(fn: (gap: Gap) => void): Stop;
  /** When phase, position after catching up, or error are another. */
  watch(fn: () => void): Stop;
  /** Resolves when it is live for the first time; rejects when denied or closed. */
  readonly ready: Promise<void>;
  close(): void;
  [Symbol.dispose]?(): void;
}

export interface PublishOptions {
  key?: string;
  class?: 'log' | 'latest' | 'append' | 'ephemeral';
  /** Idempotency key; made up unless given, so that a repeat after a lost answer can't double it. */
  dedup?: string;
  /** Not online: rejected at once instead of waiting in the outbox. */
  volatile?: boolean;
  signal?: AbortSignal;
}

export interface Published { readonly id: Position | null; readonly position: Position; readonly durable: boolean }

export interface RequestOptions {
  query?: Record<string, string | number | undefined>;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  contentType?: string;
  signal?: AbortSignal;
}

/** An answer of the server by HTTP: `data` parsed, null when there was none. */
export interface Answer<T = unknown> { readonly status: number; readonly headers: Headers; readonly data: T; readonly position?: Position }

export interface TidingsErrorShape {
  /** Stable, from docs/protocol.md, Errors; `network`, `timeout`, `closed`, `aborted` of the client itself. */
  readonly code: string;
  readonly status?: number;
  readonly message: string;
  readonly whatToDo?: string;
  readonly retryAfter?: number;
  /** All members of the problem, as `current` of a version_conflict. */
  readonly problem?: Record<string, unknown>;
}

export interface Client<S extends Schema = RegisteredSchema> {
  readonly state: ConnectionState;
  /** Told when phase, transport, reason, attempt or rtt are another; not of each message. Not called at once. */
  watch(fn: (state: ConnectionState) => void): Stop;
  /** The server's id of this connection (`origin` of what is published on it), and its subject. */
  readonly id?: string;
  readonly user?: string | null;
  /** What the endpoint's `connection` message said, as parsed: `session`, `project_id` … */
  readonly welcome?: Readonly<Record<string, unknown>>;
  readonly clock: Clock;
  /** Opens; implied by the first topic() or command(). After the last topic is closed it stays open until close(). */
  open(): void;
  /** For good, until open() again; topics are paused and keep their positions. */
  close(): void;
  /** A new token now: yours, or asked for. Also wakes a client that failed for want of one. */
  reauth(token?: string): Promise<void>;
  /** Reconnects at once with another transport, or chooses anew by itself ('auto'). */
  switchTo(transport: TransportName | 'auto'): void;
  topic<const P extends string>(pattern: P, options?: TopicOptions<EventOf<S, P>>): Topic<EventOf<S, P>>;
  publish(topic: string, type: string, data?: unknown, options?: PublishOptions): Promise<Published>;
  /** HTTP with the token; refreshed and repeated once after 401. Rejects with a TidingsError for every status above 399, and after 30 s. */
  request<T = unknown>(method: string, path: string, options?: RequestOptions): Promise<Answer<T>>;
  /** A command on the WebSocket; resolves with the answer that carries its `ref`, rejects with a TidingsError. */
  command(type: string, members?: Record<string, unknown>, signal?: AbortSignal): Promise<Record<string, unknown>>;
  /** Raw messages as they pass, both ways; for a debugger's eyes (tokens are struck out). */
  tap(fn: (direction: 'in' | 'out', text: string) => void): Stop;
}

// ---- jobs (@tidings/client/jobs) ------------------------------------------------------------------------------------------------

export type JobStatus = 'queued' | 'running' | 'cancelling' | 'done' | 'failed' | 'cancelled';

export interface JobProblem { readonly message: string; readonly code: string; readonly details?: unknown; readonly suggestedActions: readonly string[] }

export interface JobState<R = unknown> {
  readonly id: string;
  readonly kind?: string;
  /** undefined until the first answer. */
  readonly status?: JobStatus;
  /** 0 to 100, never falling. */
  readonly progress: number;
  readonly step?: { readonly index: number; readonly count: number; readonly name: string };
  readonly message?: string;
  readonly result?: R;
  readonly error?: JobProblem;
  readonly place?: number;
  readonly owner?: string;
  readonly created?: string;
  readonly started?: string;
  readonly ended?: string;
  readonly agents?: readonly Record<string, unknown>[];
  readonly topic?: string;
  /** Why it can't be shown: not_found also stands for "not yours". */
  readonly refused?: TidingsErrorShape;
}

export interface LogLine { readonly text: string; readonly stream?: string; readonly level?: string; readonly time: string; readonly id?: Position }

export interface Job<R = unknown> {
  readonly id: string;
  readonly state: JobState<R>;
  watch(fn: (state: JobState<R>) => void): Stop;
  /** Each event of the kind's own topic that belongs to this job (status, output, token, log …). */
  onEvent(fn: (event: TidingsEvent) => void): Stop;
  /** The result; rejects with a TidingsError when it failed, was cancelled, or can't be seen. */
  readonly done: Promise<R>;
  cancel(): Promise<'cancelling' | 'ended'>;
  close(): void;
}

export interface StartOptions { requestId?: string; viewers?: string[]; idempotencyKey?: string; signal?: AbortSignal }

// ---- streams (@tidings/client/streams) --------------------------------------------------------------------------------------------

/** A text that grows, put together by offsets: a replay can't double it, and a late comer has what was said before. */
export interface TokenStream extends AsyncIterable<string> {
  readonly text: string;
  readonly status: 'waiting' | 'streaming' | 'done' | 'cancelled' | 'error';
  readonly error?: JobProblem;
  readonly usage?: Record<string, unknown>;
  watch(fn: () => void): Stop;
  cancel(): Promise<void>;
  close(): void;
}

// ---- entities (@tidings/client/entities) --------------------------------------------------------------------------------------------

export interface EntityState<D = unknown> {
  readonly type: string;
  readonly id: string;
  readonly status: 'loading' | 'live' | 'stale' | 'deleted' | 'missing' | 'denied';
  readonly data?: D;
  readonly version?: number;
  readonly etag?: Position;
  readonly actor?: string;
  readonly time?: string;
}

export interface EntityChange<D = unknown> {
  readonly action: 'created' | 'updated' | 'deleted';
  readonly type: string;
  readonly id: string;
  readonly data?: D;
  readonly version?: number;
  readonly actor?: string;
  readonly time: string;
  readonly position?: Position;
  /** By this client itself. */
  readonly own: boolean;
}

export interface WriteOptions { ifVersion?: number | Position; create?: boolean; signal?: AbortSignal; idempotencyKey?: string }

export interface Entity<D = unknown> {
  readonly state: EntityState<D>;
  watch(fn: (state: EntityState<D>, change?: EntityChange<D>) => void): Stop;
  /** Resolves with what is there by now. A version_conflict rejects with `problem.current`. */
  put(data: D, options?: WriteOptions): Promise<EntityState<D>>;
  patch(changes: Partial<D>, options?: WriteOptions): Promise<EntityState<D>>;
  remove(options?: WriteOptions): Promise<void>;
  close(): void;
}

export interface EntityList<D = unknown> {
  readonly items: readonly EntityState<D>[];
  readonly status: 'loading' | 'live' | 'stale' | 'denied';
  watch(fn: (change?: EntityChange<D>) => void): Stop;
  close(): void;
}

// ---- presence, locks (@tidings/client/presence, @tidings/client/locks) -----------------------------------------------------------------

export interface PresenceMember { readonly user: string; readonly connectionId: string; readonly since?: string }

export interface Presence {
  /** Everyone, several connections of a user as one member with the earliest `since`. */
  readonly users: readonly PresenceMember[];
  readonly count: number;
  readonly status: 'loading' | 'live' | 'stale' | 'denied';
  /** Why it is denied: `forbidden`, or `not_found` when no presence is kept of the topic. */
  readonly error?: TidingsErrorShape;
  watch(fn: () => void): Stop;
  close(): void;
}

export interface LockState {
  readonly name: string;
  /** Absent when it is free. */
  readonly holder?: string;
  /** Until when it is held, unless renewed: RFC 3339. */
  readonly until?: string;
  /** Held by this client's subject, here or elsewhere. */
  readonly mine: boolean;
  /** Send it along with what you write under the lock; the other side refuses a lower one than it has seen. */
  readonly fence?: number;
  /** It was kept here and is not any more, though nobody gave it back. */
  readonly lost?: boolean;
}

export interface Lock {
  readonly state: LockState;
  watch(fn: (state: LockState) => void): Stop;
  /** Takes it and keeps it renewed until release(), close() or loss. A lock_held rejects with `problem.holder`. */
  acquire(options?: { ttl?: number; signal?: AbortSignal }): Promise<LockState>;
  release(): Promise<void>;
  close(): void;
}
