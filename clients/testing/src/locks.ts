// SPDX-License-Identifier: Apache-2.0
// Locks: leases on names, ended by the clock (docs/protocol.md, Locks).
import type { Answer } from './entities.ts';
import { clean, isObject, Refusal } from './formats.ts';
import { isTopic, maySee, mayPublish } from './names.ts';
import type { Principal } from './names.ts';
import type { World } from './world.ts';

interface Held { name: string; holder: string; fence: number; until: number; timer: unknown }

export class Locks {
  #world: World;
  #held = new Map<string, Held>();

  constructor(world: World) { this.#world = world; }

  serve(principal: Principal, method: string, name: string, body: unknown): Answer {
    if (!isTopic(name)) throw new Refusal('bad_request', 'The name of a lock is a topic.');
    const held = this.#held.get(name), { sub } = principal;
    const forbidden = method === 'GET' ? !maySee(principal, name) : mayPublish(principal, name) !== undefined;
    if (forbidden) throw new Refusal('forbidden', 'You may not lock it, or not see its lock.');
    if (method === 'PUT') {
      const ttl = isObject(body) ? Number(body.ttl) : 30;
      if (held && held.holder !== sub) throw this.#refusal(held);
      const event = this.take(name, sub, ttl);
      return { status: held ? 200 : 201, body: this.#shown(this.#held.get(name)!), headers: { 'tidings-position': event } };
    }
    if (!held) throw new Refusal('not_found', 'Nobody holds this lock.');
    if (method === 'GET') return { status: 200, body: this.#shown(held) };
    if (held.holder !== sub && !principal.roles.includes('admin')) throw this.#refusal(held);
    return { status: 204, headers: { 'tidings-position': this.free(name, 'lock_released')! } };
  }

  /** Takes or renews it for somebody; returns the event's id. */
  take(name: string, holder: string, ttl: number): string {
    const before = this.#held.get(name), { clock } = this.#world;
    if (before) clock.clearTimeout(before.timer);
    const timer = clock.setTimeout(() => this.free(name, 'lock_expired'), ttl * 1000);
    const held: Held = { name, holder, fence: before?.fence ?? this.#world.log.head + 1, until: clock.now() + ttl * 1000, timer };
    this.#held.set(name, held);
    return this.#tell(before ? 'lock_renewed' : 'lock_acquired', held, ttl, before?.fence);
  }

  free(name: string, type: 'lock_released' | 'lock_expired'): string | undefined {
    const held = this.#held.get(name);
    if (!held) return undefined;
    this.#world.clock.clearTimeout(held.timer);
    this.#held.delete(name);
    return this.#tell(type, held, undefined, held.fence);
  }

  #shown({ name, holder, fence, until }: Held): Record<string, unknown> {
    return { name, holder, fence, expires_in: Math.ceil((until - this.#world.clock.now()) / 1000) };
  }

  #refusal(held: Held): Refusal { return new Refusal('lock_held', 'Somebody else holds this lock.', this.#shown(held)); }

  #tell(type: string, { name, holder }: Held, ttl: number | undefined, fence: number | undefined): string {
    const until = ttl === undefined ? undefined : this.#world.time(ttl * 1000), cls = type === 'lock_renewed' ? 'latest' as const : undefined, clears = ttl === undefined;
    const actor = type === 'lock_expired' ? undefined : holder, common = { key: 'lock', class: cls, clears, actor };
    const event = this.#world.append({ topic: `locks/${name}`, type, data: clean({ name, holder, fence, until, ttl }), ...common });
    const [root, id, more] = name.split('/');
    if (root !== 'projects' || id === undefined || more !== undefined) return event.id!;
    const data = { project_id: id, locked: !clears, holder: clears ? null : holder, until: until ?? null };
    this.#world.append({ topic: name, type: 'lock_changed', data, ...common });
    return event.id!;
  }
}
