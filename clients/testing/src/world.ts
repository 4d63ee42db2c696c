// SPDX-License-Identifier: Apache-2.0
// What the parts of the server in memory share: its log, who may what, who reads, and publishing.
import { changeOf } from './entities.ts';
import type { FakeClock } from './clock.ts';
import { isObject, Refusal } from './formats.ts';
import type { Json } from './formats.ts';
import { Log } from './log.ts';
import type { Draft, Stored } from './log.ts';
import { isTopic, maySee, mayPublish } from './names.ts';
import type { Principal } from './names.ts';
import type { Jobs } from './jobs.ts';
import type { Locks } from './locks.ts';

/** Whoever is sent events as they happen: a WebSocket, a stream, or a request that waits. */
export interface Reader {
  readonly id: string;
  readonly principal: Principal;
  readonly patterns: Iterable<string>;
  /** Whether it may see a topic, by its grants or because a job is shown to it. */
  sees(topic: string): boolean;
  live(event: Stored): void;
}

export interface Published { ids: (string | null)[]; position: string; durable: boolean }

/** Beginning of the calendar of the fake clock: 2026-01-01. */
const EPOCH_MS = Date.UTC(2026, 0, 1);
const MEMBERS = ['topic', 'topics', 'type', 'data', 'class', 'key', 'dedup'];
const CLASSES = ['log', 'latest', 'append', 'ephemeral'];

export class World {
  readonly clock: FakeClock;
  readonly readers = new Set<Reader>();
  readonly tokens = new Map<string, Principal>();
  log: Log;
  jobs!: Jobs;
  locks!: Locks;
  #ids = 0;
  #dedup = new Map<string, { content: string; published: Published }>();

  constructor(clock: FakeClock) {
    this.clock = clock;
    this.log = new Log('c0ffee00');
  }

  /** Another number each time, as text: of connections, jobs, sessions. */
  nextId(digits = 16): string { return (++this.#ids).toString(16).padStart(digits, '0'); }

  time(ms = 0): string { return new Date(EPOCH_MS + this.clock.now() + ms).toISOString(); }

  get position(): string { return this.log.position(this.log.head); }

  /** Who a token speaks for. Throws what an answer says. */
  principal(token: string | undefined): Principal {
    if (token === undefined) throw new Refusal('unauthorized', 'no token was sent');
    const principal = this.tokens.get(token);
    if (!principal) throw new Refusal('unauthorized', 'the token is not a compact JWS');
    if (principal.expires <= this.clock.now()) throw new Refusal('token_expired', 'the token has expired');
    return principal;
  }

  /** Appends, and hands on to who reads. Nothing is checked. */
  append(draft: Draft): Stored {
    const event: Stored = draft.class === 'ephemeral'
      ? { ...draft, data: draft.data ?? null, seq: this.log.head, time: this.time() }
      : this.log.append(draft, this.time());
    for (const reader of [...this.readers]) reader.live(event);
    return event;
  }

  /** An event, or an array of them, as a client publishes them: all or none. */
  publish(principal: Principal, body: unknown, more: { origin?: string; key?: string } = {}): Published {
    const events = Array.isArray(body) ? body : [body], drafts: Draft[] = [];
    const key = more.key ?? (events.length === 1 && isObject(events[0]) ? events[0].dedup as string | undefined : undefined);
    events.forEach((event, i) => drafts.push(...this.#draftsOf(principal, event, Array.isArray(body) ? `Event ${i}: ` : '')));
    const content = JSON.stringify(drafts);
    const again = key === undefined ? undefined : this.#dedup.get(`${principal.sub} ${key}`);
    if (again && again.content !== content) throw new Refusal('idempotency_mismatch', 'The key was used with other content; use a new key for new content.');
    if (again) return again.published;
    const stored = drafts.map(draft => this.append({ ...changeOf(this, draft), actor: principal.sub, origin: more.origin }));
    const published = { ids: stored.map(event => event.id ?? null), position: this.position, durable: stored.some(event => event.id !== undefined) };
    if (key !== undefined) this.#dedup.set(`${principal.sub} ${key}`, { content, published });
    return published;
  }

  #draftsOf(principal: Principal, event: unknown, where: string): Draft[] {
    const bad = (detail: string): never => { throw new Refusal('bad_request', where + detail); };
    if (!isObject(event) || Object.keys(event).some(name => !MEMBERS.includes(name))) {
      return bad('an event has the members topic or topics, type, data, class, key and dedup, and no other.');
    }
    const { type, data, key, class: cls = 'log' } = event as Json & { type: string; key?: string; class?: string };
    const topics = event.topics === undefined ? [event.topic] : event.topics as unknown[];
    if (typeof type !== 'string' || !/^[A-Za-z0-9._~@:-]{1,64}$/.test(type)) return bad('`type` must be a string of 1 to 64 bytes A-Z a-z 0-9 . _ ~ @ : -.');
    if (key !== undefined && !/^[A-Za-z0-9._~@:/-]{1,128}$/.test(key)) return bad('`key` must be a string of 1 to 128 bytes A-Z a-z 0-9 . _ ~ @ : - /.');
    if (!CLASSES.includes(cls)) return bad('`class` is log, latest, append or ephemeral.');
    if (cls === 'append' && key === undefined) return bad('an event of class append needs a `key`.');
    if (cls === 'append' && data !== null && !(isObject(data) && typeof data.content === 'string' && typeof data.offset === 'number')) {
      return bad('`data` of class append is an object with `content`, a string, and `offset`.');
    }
    return topics.map(topic => {
      if (!isTopic(topic)) return bad('`topic` is not a topic.');
      const code = mayPublish(principal, topic);
      if (code) throw new Refusal(code, where + (code === 'reserved_topic' ? 'only the server writes to this topic.' : `${topic}: you may not publish there.`));
      return { topic, type, data, key, class: cls as Draft['class'] };
    });
  }

  sees(principal: Principal, topic: string): boolean {
    if (maySee(principal, topic)) return true;
    const [root, id, more] = topic.split('/');
    return root === 'jobs' && id !== undefined && more === undefined && this.jobs.isShownTo(id, principal);
  }
}
