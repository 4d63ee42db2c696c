// SPDX-License-Identifier: Apache-2.0
// The server for tests: what a test sees of it, and its faults.
import type { ClientOptions } from '@tidings/client';
import { FakeClock } from './clock.ts';
import { Connection } from './connection.ts';
import { visit } from './endpoints.ts';
import { changeOf } from './entities.ts';
import { Refusal } from './formats.ts';
import { Http } from './http.ts';
import { Jobs } from './jobs.ts';
import type { Handler, KindOptions, TestJob } from './jobs.ts';
import { Locks } from './locks.ts';
import type { Draft, Stored } from './log.ts';
import { Log } from './log.ts';
import type { Principal } from './names.ts';
import { PresenceTable } from './presence.ts';
import { socketClass } from './socket.ts';
import type { ClientEnd, Peer } from './socket.ts';
import { World } from './world.ts';

export interface TokenOptions {
  /** Seconds; a token that never ends unless given. */
  expiresIn?: number;
  /** Patterns; all of it unless given. */
  subscribe?: string[];
  publish?: string[];
  roles?: string[];
}

/** A connection as a test sees it. */
export interface TestConnection {
  readonly id: string;
  readonly user: string;
  readonly transport: 'websocket' | 'sse' | 'longpoll';
  readonly subscriptions: readonly string[];
  /** It breaks, without a word. */
  drop(): void;
  /** The server closes it: a close code of docs/protocol.md. A stream just ends. */
  close(code: number, reason?: string): void;
  /** Each message takes so long, both ways. WebSockets alone. */
  delay(ms: number): void;
  /** Nothing comes through any more, and nobody is told; false: again. WebSockets alone. */
  blackHole(on?: boolean): void;
}

/** A request that was made, newest last. */
export interface TestRequest { readonly method: string; readonly path: string; readonly query: string; readonly headers: Headers; readonly body: unknown }

/** refused: not carried out, no answer. lost: carried out, no answer. A number: that status, not carried out. */
export type Fault = 'refused' | 'lost' | number;

export interface PublishOptions { key?: string; class?: Draft['class']; actor?: string }

interface Socket extends TestConnection { connection: Connection; dead: boolean; drain(retryAfter: number): void }

export class TestServer {
  readonly url = 'http://tidings.test';
  readonly clock: FakeClock;
  readonly requests: TestRequest[] = [];
  /** For `createClient`, as is `fetch`. */
  readonly WebSocket: typeof WebSocket;
  #world: World;
  #presence: PresenceTable;
  #http: Http;
  #sockets = new Set<Socket>();
  #tokens = 0;
  #down = false;
  #faults: { method: string; path: string; fault: Fault }[] = [];

  constructor(clock = new FakeClock()) {
    this.clock = clock;
    this.#world = new World(clock);
    this.#world.jobs = new Jobs(this.#world);
    this.#world.locks = new Locks(this.#world);
    this.#presence = new PresenceTable(this.#world);
    this.#http = new Http(this.#world, this.#presence);
    this.WebSocket = socketClass((end, url, protocols) => this.#connect(end, url, protocols));
  }

  // ---- for the client ----

  /** Options for `createClient`; `user` speaks with a token that never ends. */
  options(user = 'ann'): ClientOptions & Required<Pick<ClientOptions, 'url' | 'clock' | 'WebSocket' | 'fetch' | 'random'>> {
    return { url: this.url, token: this.token(user), clock: this.clock, WebSocket: this.WebSocket, fetch: this.fetch, random: () => 0.5 };
  }

  token(user: string, { expiresIn = Infinity, subscribe = ['**'], publish = ['**'], roles = [] }: TokenOptions = {}): string {
    const token = `${user}-${++this.#tokens}`;
    this.#world.tokens.set(token, { sub: user, subscribe, publish, roles, expires: this.clock.now() + expiresIn * 1000 });
    return token;
  }

  /** The token is not valid any more; connections that use it stay until the client comes again. */
  revoke(token: string): void { this.#world.tokens.delete(token); }

  readonly fetch: typeof fetch = async (input, init = {}) => {
    const request = new Request(input, init), url = new URL(request.url), text = await request.text(), { method, headers } = request;
    let body: unknown = text;
    try {
      body = text === '' ? undefined : JSON.parse(text);
    } catch { /* shown as it is */ }
    this.requests.push({ method, path: url.pathname, query: url.search, headers, body });
    if (request.signal.aborted) throw request.signal.reason;
    const at = this.#faults.findIndex(one => one.method === method && url.pathname.startsWith(one.path)), fault = at < 0 ? undefined : this.#faults.splice(at, 1)[0]!.fault;
    if (this.#down || fault === 'refused') throw new TypeError('fetch failed');
    if (typeof fault === 'number') return Response.json({ type: 'about:blank', status: fault, title: 'Fault', code: 'unavailable', detail: 'A fault that the test ordered.' }, { status: fault });
    const answer = await this.#http.serve(method, url, headers, text, request.signal);
    if (fault === 'lost') throw new TypeError('fetch failed');
    return answer;
  };

  // ---- what happens on the server ----

  get position(): string { return this.#world.position; }

  /** All that is in the log. */
  get events(): readonly Stored[] { return this.#world.log.events; }

  /** Publishes as somebody (`server`, unless said) who may everything; returns the event's id, null of an ephemeral one. */
  publish(topic: string, type: string, data: unknown = null, { key, class: cls, actor = 'server' }: PublishOptions = {}): string | null {
    return this.#world.append({ ...changeOf(this.#world, { topic, type, data, key, class: cls }), actor }).id ?? null;
  }

  /** Drops everything up to a position (all that there is, unless said): who comes back from before it is told a gap. State stays. */
  trim(position = this.position): void { this.#world.log.trim(Number(position.split('.')[1])); }

  /** The log is another one: its events and state are gone, and who comes back is told a gap. */
  newEpoch(): void { this.#world.log = new Log((Number.parseInt(this.#world.log.epoch, 16) + 1).toString(16)); }

  /** Declares a kind of job, and what it does: as much as the test has it do. What `run` throws fails it. */
  job(kind: string, run: Handler, options: KindOptions = {}): void { this.#world.jobs.declare(kind, run, options); }

  /** Jobs that were started, by their ids. */
  get jobs(): ReadonlyMap<string, TestJob> { return this.#world.jobs.all; }

  /** Changes an entity as somebody else. */
  putEntity(type: string, id: string, data: unknown, actor = 'server'): void {
    const topic = `entities/${type}/${id}`;
    this.publish(topic, this.#world.log.latest(topic, 'entity') ? 'ENTITY_UPDATED' : 'ENTITY_CREATED', { payload: data }, { actor });
  }

  deleteEntity(type: string, id: string, actor = 'server'): void { this.publish(`entities/${type}/${id}`, 'ENTITY_DELETED', null, { actor }); }

  /** Takes or renews a lock for somebody, whoever holds it. */
  takeLock(name: string, holder: string, ttl = 30): void { this.#world.locks.take(name, holder, ttl); }

  freeLock(name: string): void { this.#world.locks.free(name, 'lock_released'); }

  // ---- its connections and faults ----

  /** Those that are open, in the order in which they came. */
  get connections(): readonly TestConnection[] {
    const readers = [...this.#http.readers].map((reader): TestConnection => ({
      id: reader.id, user: reader.principal.sub, transport: reader.transport, subscriptions: [...reader.patterns],
      drop: () => reader.end('broken'), close: () => reader.end('ended'),
      delay: () => { throw new Error('only WebSockets are delayed'); }, blackHole: () => { throw new Error('only WebSockets are black holes'); },
    }));
    return [...[...this.#sockets].filter(socket => !socket.dead), ...readers];
  }

  /** Nobody answers any more, and all connections break. */
  down(): void {
    this.#down = true;
    for (const connection of this.connections) connection.drop();
  }

  up(): void { this.#down = false; }

  /** It says that it stops, and when to come back, and closes all. It stays up: up() is not needed. */
  drain(retryAfter = 1): void {
    for (const socket of [...this.#sockets]) socket.drain(retryAfter);
    for (const reader of [...this.#http.readers]) reader.end('ended');
  }

  /** What happens to the next request of that method whose path begins so. */
  fault(method: string, path: string, fault: Fault): void { this.#faults.push({ method, path, fault }); }

  #connect(end: ClientEnd, url: URL, protocols: string[]): Peer {
    const world = this.#world, clock = this.clock;
    let delay = 0, hole = false, over = false, broken = false, socket: Socket | undefined;
    // Order is kept also when the delay changes.
    let lastAt = 0;
    const pass = (fn: () => void) => {
      const at = Math.max(clock.now() + delay, lastAt);
      lastAt = at;
      if (at <= clock.now()) queueMicrotask(fn);
      else clock.setTimeout(fn, at - clock.now());
    };
    const finish = (code: number, reason: string) => {
      if (over) return;
      over = true;
      broken = code === 1006;
      if (socket) this.#sockets.delete(socket);
      socket?.connection.end();
      pass(() => { if (!hole) end.ended(code, reason); });
    };
    const wire = { send: (text: string) => pass(() => { if (!hole && !broken) end.received(text); }), close: finish };
    const accept = () => {
      if (over) return;
      if (this.#down) return finish(1006, '');
      const token = protocols.find(one => one.startsWith('bearer.'))?.slice('bearer.'.length) ?? url.searchParams.get('token') ?? undefined;
      end.opened(protocols.includes('tidings') ? 'tidings' : '');
      let principal: Principal;
      try {
        principal = world.principal(token);
      } catch (error) {
        return finish(4001, `Unauthorized: ${(error as Refusal).message}`);
      }
      const place = visit(world, principal, url);
      if (!place) return finish(1006, '');
      if (place.refused) return finish(place.refused, place.refused === 4003 ? 'forbidden: nothing of its topics is granted to you' : 'not_found: there is no such job, or it is not yours');
      const connection = new Connection(world, this.#presence, wire, principal, place, url.searchParams);
      socket = {
        connection, id: connection.id, user: principal.sub, transport: 'websocket', dead: false, drain: retryAfter => connection.drain(retryAfter),
        get subscriptions() { return [...connection.patterns]; },
        drop: () => finish(1006, ''), close: (code, reason = '') => finish(code, reason),
        delay: ms => { delay = ms; }, blackHole: (on = true) => { hole = on; },
      };
      this.#sockets.add(socket);
      connection.begin();
      return undefined;
    };
    pass(accept);
    return {
      text: text => pass(() => { if (!hole && !over) socket?.connection.text(text); }),
      closed: code => pass(() => finish(code === 1005 ? 1005 : code, '')),
    };
  }
}

/** A server in memory, with a clock that stands still until the test turns it. */
export function createTestServer(options: { clock?: FakeClock } = {}): TestServer {
  return new TestServer(options.clock);
}
