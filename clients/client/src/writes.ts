// SPDX-License-Identifier: Apache-2.0
// Which changes are ours.  A write by HTTP has no `origin`; its answer names the event, and that may come before the answer or behind it.
import type { Client, Position, Schema, Stop } from './types.ts';

/** So many answers are remembered: the event of an older one has long come by. */
const REMEMBERED = 256;

export class Writes {
  #made = new Set<Position>();
  #underWay = new Map<string, number>();
  #settled = new Set<() => void>();

  /** Whether an event is a write of ours. */
  made(id: Position): boolean { return this.#made.has(id); }

  /** Whether a write of ours to that topic has no answer yet. */
  underWay(topic: string): boolean { return this.#underWay.has(topic); }

  /** Told whenever an answer has come, or will not. */
  settled(fn: () => void): Stop {
    this.#settled.add(fn);
    return () => { this.#settled.delete(fn); };
  }

  /** Runs a write. `made` notes its event, and says whether that is news. */
  async during<T>(topic: string, write: (made: (id: Position) => boolean) => Promise<T>): Promise<T> {
    this.#underWay.set(topic, (this.#underWay.get(topic) ?? 0) + 1);
    try {
      return await write(id => {
        if (this.#made.has(id)) return false;
        this.#made.add(id);
        for (const oldest of this.#made) {
          if (this.#made.size <= REMEMBERED) break;
          this.#made.delete(oldest);
        }
        return true;
      });
    } finally {
      const left = this.#underWay.get(topic)! - 1;
      if (left > 0) this.#underWay.set(topic, left);
      else this.#underWay.delete(topic);
      for (const fn of [...this.#settled]) fn();
    }
  }
}

const ofClients = new WeakMap<Client<Schema>, Writes>();

/** Shared by all that stands on a client. */
export function ownWrites(client: Client<Schema>): Writes {
  let writes = ofClients.get(client);
  if (!writes) ofClients.set(client, writes = new Writes());
  return writes;
}
