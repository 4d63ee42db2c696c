// SPDX-License-Identifier: Apache-2.0
// Who follows a topic of those of which presence is kept: `projects/*` (docs/protocol.md, Presence).
import type { Answer } from './entities.ts';
import { Refusal } from './formats.ts';
import { isPattern, maySee } from './names.ts';
import type { Principal } from './names.ts';
import type { Reader, World } from './world.ts';

interface Entry { topic: string; user: string; connection_id: string; since: string }

const KEPT = /^projects\/[^/*]+$/;

export class PresenceTable {
  #world: World;
  #entries: Entry[] = [];

  constructor(world: World) { this.#world = world; }

  /** Whoever reads these patterns now, and no others, is present by them. */
  sync(reader: Reader, patterns: Iterable<string>): void {
    const topics = new Set([...patterns].map(pattern => pattern.replace(/\/\*\*$/, '')).filter(topic => KEPT.test(topic)));
    for (const entry of this.#entries.filter(one => one.connection_id === reader.id)) {
      if (topics.delete(entry.topic)) continue;
      this.#entries = this.#entries.filter(one => one !== entry);
      this.#tell('presence_left', entry);
    }
    for (const topic of topics) {
      const entry = { topic, user: reader.principal.sub, connection_id: reader.id, since: this.#world.time() };
      this.#entries.push(entry);
      this.#tell('presence_joined', entry);
    }
  }

  serve(principal: Principal, query: URLSearchParams): Answer {
    const topic = query.get('topic') ?? '', limit = Number(query.get('limit') ?? 100);
    if (!isPattern(topic)) throw new Refusal('bad_request', '`topic` is not a topic.');
    if (!maySee(principal, topic)) throw new Refusal('forbidden', 'Nothing of it is granted to you.');
    if (!KEPT.test(topic)) throw new Refusal('not_found', 'No presence is kept of this topic; see presence.topics.');
    const there = this.#entries.filter(entry => entry.topic === topic);
    return { status: 200, body: { topic, count: there.length, users: there.slice(0, limit).map(({ user, connection_id, since }) => ({ user, connection_id, since })) } };
  }

  /** Told to all but themselves. */
  #tell(type: string, { topic, user, connection_id }: Entry): void {
    const event = { topic, type, data: { user, connection_id }, seq: this.#world.log.head, time: this.#world.time(), class: 'ephemeral' as const, actor: user, origin: connection_id };
    for (const reader of [...this.#world.readers]) if (reader.id !== connection_id) reader.live(event);
  }
}
