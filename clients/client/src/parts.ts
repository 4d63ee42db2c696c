// SPDX-License-Identifier: Apache-2.0
// What jobs, streams, entities, presence and locks share: something watched, a topic followed, a request that is safe to repeat.
import { TidingsError } from './errors.ts';
import type { Answer, Client, RequestOptions, Schema, Stop, TidingsErrorShape, TidingsEvent, Topic, TopicOptions, TopicPhase } from './types.ts';

/** The same client, read without a schema: what is inside of these parts is checked by hand. */
export function plain<S extends Schema>(client: Client<S>): Client<Schema> {
  return client as unknown as Client<Schema>;
}

/** A state and who watches it. An error of one watcher reaches the page as its own, and no other watcher misses anything. */
export class Watched<S, C = undefined> {
  state: S;
  #watchers = new Set<(state: S, change?: C) => void>();

  constructor(state: S) { this.state = state; }

  watch(fn: (state: S, change?: C) => void): Stop {
    // Wrapped, so that the same function watching twice is stopped once by each.
    const watcher = (state: S, change?: C) => fn(state, change);
    this.#watchers.add(watcher);
    return () => { this.#watchers.delete(watcher); };
  }

  /** The next state, or the same one with something changed inside. */
  tell(state: S = this.state, change?: C): void {
    this.state = state;
    for (const watcher of [...this.#watchers]) {
      try {
        watcher(state, change);
      } catch (error) {
        queueMicrotask(() => { throw error; });
      }
    }
  }

  /** Nobody watches any more. */
  clear(): void { this.#watchers.clear(); }
}

export interface Follower {
  event(event: TidingsEvent): void;
  phase?(phase: TopicPhase, topic: Topic): void;
  gap?(): void;
}

/** Follows a topic from now on, its state first unless `options` say otherwise. */
export function follow(client: Client<Schema>, pattern: string, follower: Follower, options?: TopicOptions): Topic {
  // `since` is said, because a client that resumes after a reload would leave the state out.
  const topic = client.topic(pattern, { since: 'now', state: true, onEvent: follower.event, onGap: follower.gap, ...options }) as Topic;
  topic.ready.catch(() => { /* told by its phase */ });
  topic.watch(() => follower.phase?.(topic.phase, topic));
  return topic;
}

export function failure(shape: TidingsErrorShape): TidingsError {
  return new TidingsError(shape.code, shape.message, shape);
}

/** The code of whatever was thrown. */
export function codeOf(error: unknown): string | undefined {
  return (error as Partial<TidingsErrorShape> | null)?.code;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** 128 random bits as text. (crypto.randomUUID would want a secure context.) */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
}

const REPEATS_MS = [1000, 2000, 4000];

/**
 * A request with an Idempotency-Key: when its answer gets lost it is sent again, three times at most, and still counts once.
 * `repeated` tells that it was.
 */
export async function sendOnce<T>(client: Client<Schema>, method: string, path: string, options: RequestOptions, key = randomKey()):
Promise<Answer<T> & { repeated: boolean }> {
  const headers = { ...options.headers, 'Idempotency-Key': key };
  for (let i = 0; ; i++) {
    try {
      return { ...await client.request<T>(method, path, { ...options, headers }), repeated: i > 0 };
    } catch (error) {
      const wait = REPEATS_MS[i];
      if (wait === undefined || options.signal?.aborted || (codeOf(error) !== 'network' && codeOf(error) !== 'timeout')) throw error;
      await new Promise<void>(done => { client.clock.setTimeout(done, wait); });
    }
  }
}
