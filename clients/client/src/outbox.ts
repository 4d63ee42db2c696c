// SPDX-License-Identifier: Apache-2.0
// Publishing: a command that waits for a connection, and is repeated when one breaks before it has answered.
import type { TidingsError } from './errors.ts';
import type { Core } from './rest.ts';
import type { Message } from './transport/link.ts';
import type { Published, PublishOptions } from './types.ts';

/**
 * `waiting` has the publishes that are not answered, and what ends the wait before a repeat; no more than `max` of them when there is no connection,
 * for `ttl` milliseconds.
 */
export async function publish(
  d: Core, waiting: Map<Message, () => void>, { max, ttl }: { max: number; ttl: number }, members: Message, o: PublishOptions,
): Promise<Published> {
  const { clock, TidingsError } = d;
  // What is not stored can't be known to be a repeat.
  const repeats = o.class !== 'ephemeral', end = clock.now() + ttl;
  const event = { ...members, key: o.key, class: o.class, dedup: repeats ? o.dedup ?? newKey() : undefined };
  if (!d.connection.isOnline) {
    if (o.volatile || !repeats) throw new TidingsError('network', 'There is no connection to publish on.');
    if (waiting.size >= max) throw new TidingsError('outbox_full', `${max} publishes wait for a connection already.`);
  }
  waiting.set(event, () => {});
  try {
    for (;;) {
      try {
        const answer = await d.command('publish', { event }, o.signal, Math.max(0, end - clock.now())) as unknown as Published;
        return { id: answer.id, position: answer.position, durable: answer.durable };
      } catch (error) {
        // Whether it was stored is not known: its key keeps a repeat from doubling it.
        if (!repeats || !d.isPassing(error)) throw error;
        // Without a connection the command waits for one by itself.
        const wait = ((error as TidingsError).retryAfter ?? 1) * 1000;
        if (d.connection.isOnline) await new Promise<void>(resume => {
          const stop = d.later(wake, Math.min(wait, Math.max(0, end - clock.now())));
          function wake() {
            stop();
            o.signal?.removeEventListener('abort', wake);
            resume();
          }
          waiting.set(event, wake);
          o.signal?.addEventListener('abort', wake);
        });
      }
    }
  } finally {
    waiting.delete(event);
  }
}

// Not crypto.randomUUID(), which pages without TLS do not have.
function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(36)).join('');
}
