// SPDX-License-Identifier: Apache-2.0
// Who is there: asked for once the topic is followed, then told (docs/protocol.md, Presence).
import { codeOf, follow, isObject, plain, Watched } from './parts.ts';
import type { Client, Presence, PresenceMember, Schema, Stop, TidingsErrorShape, TidingsEvent, Topic } from './types.ts';

/** The server tells nothing of who comes when there are more (its presence.announce); then it is asked now and then. */
const CROWD = 250;
const CROWD_MS = 30_000;
/** A stream that is made anew for another topic misses what is told meanwhile, and pages are told nothing at all: by HTTP it is asked now and then, too. */
const BY_HTTP_MS = 10_000;
const AGAIN_MS = 3000;

interface Page { count: number; users: { user: string; connection_id: string; since: string }[] }

class Following implements Presence {
  status: Presence['status'] = 'loading';
  error?: TidingsErrorShape;
  #client: Client<Schema>;
  #name: string;
  #topic: Topic;
  #watched = new Watched<undefined>(undefined);
  /** By their connections. */
  #members = new Map<string, PresenceMember>();
  /** Connections that the server counts beyond those it lists. */
  #unlisted = 0;
  #users: readonly PresenceMember[] | undefined;
  /** Comings and goings since the list was asked for; undefined when no answer is awaited. */
  #meanwhile: TidingsEvent[] | undefined;
  /** Counts the questions, so that an answer to an old one is not taken. */
  #asked = 0;
  #timer: unknown;

  constructor(client: Client<Schema>, name: string) {
    this.#client = client;
    this.#name = name;
    this.#topic = follow(client, name, {
      event: event => {
        if (event.topic !== this.#name || (event.type !== 'presence_joined' && event.type !== 'presence_left')) return;
        this.#meanwhile?.push(event);
        this.#take(event);
        this.#tell();
      },
      gap: () => this.#ask(),
      phase: phase => {
        if (phase === 'live') this.#ask();
        else if (phase === 'denied') this.#refuse(this.#topic.error);
        else if (phase === 'paused' && this.status === 'live') {
          this.status = 'stale';
          this.#tell();
        }
      },
    }, { state: false, types: ['presence_joined', 'presence_left'] });
  }

  get users(): readonly PresenceMember[] {
    if (!this.#users) {
      const users = new Map<string, PresenceMember>();
      for (const member of this.#members.values()) {
        const before = users.get(member.user);
        if (!before || (member.since ?? '') < (before.since ?? '')) users.set(member.user, member);
      }
      this.#users = [...users.values()];
    }
    return this.#users;
  }

  get count(): number { return this.users.length + this.#unlisted; }

  watch(fn: () => void): Stop { return this.#watched.watch(fn); }

  close(): void {
    this.#asked++;
    this.#client.clock.clearTimeout(this.#timer);
    this.#topic.close();
    this.#watched.clear();
  }

  #tell(): void {
    this.#users = undefined;
    this.#watched.tell();
  }

  #take({ type, data, time }: TidingsEvent): void {
    if (!isObject(data)) return;
    const { user, connection_id: connectionId } = data as { user: string; connection_id: string };
    if (type === 'presence_left') this.#members.delete(connectionId);
    else if (!this.#members.has(connectionId)) this.#members.set(connectionId, { user, connectionId, since: time });
  }

  #ask(): void {
    const number = ++this.#asked;
    this.#client.clock.clearTimeout(this.#timer);
    this.#meanwhile = [];
    this.#client.request<Page>('GET', '/api/v1/presence', { query: { topic: this.#name, limit: 1000 } }).then(({ data }) => {
      if (number !== this.#asked) return;
      this.#members = new Map(data.users.map(({ user, connection_id: connectionId, since }) => [connectionId, { user, connectionId, since }]));
      this.#unlisted = data.count - data.users.length;
      for (const event of this.#meanwhile ?? []) this.#take(event);
      this.#meanwhile = undefined;
      this.status = this.#topic.phase === 'live' ? 'live' : 'stale';
      const again = this.#client.state.transport !== 'websocket' ? BY_HTTP_MS : data.count >= CROWD ? CROWD_MS : undefined;
      if (again) this.#timer = this.#client.clock.setTimeout(() => this.#ask(), again);
      this.#tell();
    }, (error: TidingsErrorShape) => {
      if (number !== this.#asked) return;
      // Neither granted nor kept of this topic: asking again would not change that.
      if (['not_found', 'forbidden'].includes(codeOf(error) ?? '')) this.#refuse(error);
      else if (this.#topic.phase === 'live') this.#timer = this.#client.clock.setTimeout(() => this.#ask(), AGAIN_MS);
    });
  }

  #refuse(error: TidingsErrorShape | undefined): void {
    this.status = 'denied';
    this.error = error;
    this.#members.clear();
    this.#tell();
  }
}

/** Follows who is present on a topic, oneself too. Close it when nobody looks any more. */
export function presence<S extends Schema>(client: Client<S>, topic: string): Presence {
  return new Following(plain(client), topic);
}
