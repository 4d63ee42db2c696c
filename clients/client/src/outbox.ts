// SPDX-License-Identifier: Apache-2.0
// What is published while there is no connection, or on one that breaks before it has answered.
import type { Commands } from './commands.ts';
import { TidingsError } from './errors.ts';
import type { Message } from './transport/link.ts';
import type { Clock, Published, PublishOptions } from './types.ts';

interface Letter {
  event: Message;
  signal?: AbortSignal;
  dueMs: number;
  underway: boolean;
  timer?: unknown;
  resolve(answer: Published): void;
  reject(error: unknown): void;
}

export interface OutboxDeps {
  limits: { max: number; ttl: number };
  clock: Clock;
  commands: Commands;
  isOnline(): boolean;
}

export interface Outbox {
  publish(topic: string, type: string, data: unknown, options: PublishOptions): Promise<Published>;
  online(): void;
  /** No connection will come. */
  fail(error: TidingsError): void;
}

export function outbox(d: OutboxDeps): Outbox {
  const letters = new Set<Letter>();

  function finish(letter: Letter, answer: Published | undefined, error?: unknown) {
    letters.delete(letter);
    d.clock.clearTimeout(letter.timer);
    if (answer) letter.resolve(answer);
    else letter.reject(error);
  }

  async function send(letter: Letter) {
    letter.underway = true;
    d.clock.clearTimeout(letter.timer);
    try {
      finish(letter, await d.commands.command('publish', { event: letter.event }, letter.signal) as unknown as Published);
    } catch (error) {
      letter.underway = false;
      const { code, retryAfter } = error as TidingsError;
      const left = letter.dueMs - d.clock.now();
      const wait = code === 'rate_limited' || code === 'unavailable' || code === 'draining' ? (retryAfter ?? 1) * 1000 : 0;
      // Whether it was stored is not known: its key keeps a repeat from doubling it. Without one it can't be repeated.
      if (!letter.event.dedup || (!wait && code !== 'network') || left <= wait) return finish(letter, undefined, error);
      if (wait) letter.timer = d.clock.setTimeout(() => { if (d.isOnline()) send(letter); else expire(letter); }, wait);
      else expire(letter);
    }
  }

  function expire(letter: Letter) {
    letter.timer = d.clock.setTimeout(() => {
      finish(letter, undefined, new TidingsError('timeout', `Not published within ${d.limits.ttl} ms: there was no connection.`));
    }, letter.dueMs - d.clock.now());
  }

  return {
    publish(topic, type, data, { key, class: kind, dedup, volatile, signal }) {
      const isEphemeral = kind === 'ephemeral';
      const isOnline = d.isOnline();
      if (!isOnline && (volatile || isEphemeral))
        return Promise.reject(new TidingsError('network', 'There is no connection to publish on.'));
      if (letters.size >= d.limits.max && !isOnline)
        return Promise.reject(new TidingsError('outbox_full', `${d.limits.max} publishes wait for a connection already.`));
      return new Promise((resolve, reject) => {
        const letter: Letter = {
          event: { topic, type, data, key, class: kind, dedup: isEphemeral ? undefined : dedup ?? newKey() },
          signal, dueMs: d.clock.now() + d.limits.ttl, underway: false, resolve, reject,
        };
        letters.add(letter);
        if (signal?.aborted) return finish(letter, undefined, new TidingsError('aborted', 'The publish was aborted.'));
        signal?.addEventListener('abort', () => {
          if (!letter.underway) finish(letter, undefined, new TidingsError('aborted', 'The publish was aborted.'));
        });
        if (isOnline) send(letter);
        else expire(letter);
      });
    },
    online() {
      for (const letter of letters) if (!letter.underway) send(letter);
    },
    fail(error) {
      for (const letter of [...letters]) finish(letter, undefined, error);
    },
  };
}

// Not crypto.randomUUID(), which pages without TLS do not have.
function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(36)).join('');
}
