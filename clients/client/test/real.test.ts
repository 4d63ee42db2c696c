// SPDX-License-Identifier: Apache-2.0
// Against the real server: what is missed comes, once, in order, by each transport.
import { describe, expect, onTestFinished, test } from 'vitest';
import { createClient } from '../src/index.ts';
import type { ClientOptions } from '../src/index.ts';
import { isBuilt, realServer } from './server.ts';
import type { RealServer } from './server.ts';

const SOON = { timeout: 15_000 };

function clientOf(server: RealServer, options: Partial<ClientOptions> = {}) {
  const client = createClient({ url: server.url, token: server.token, backoff: { base: 50, factor: 2, max: 400 }, ...options });
  onTestFinished(() => client.close());
  return client;
}

const event = (n: number) => ({ topic: `rooms/${n % 3}`, type: 'said', data: n });

describe.runIf(isBuilt).each(['websocket', 'sse', 'longpoll'] as const)('%s', { timeout: 30_000 }, transport => {
  test('a server that is killed loses and doubles nothing', async () => {
    const server = await realServer();
    const client = clientOf(server, { transports: [transport] });
    const got: unknown[] = [];
    await client.topic('rooms/*', { onEvent: one => got.push(one.data) }).ready;
    expect(client.state).toMatchObject({ phase: 'online', transport });
    await server.publish([1, 2].map(event));
    await expect.poll(() => got, SOON).toEqual([1, 2]);
    await server.publishWhileAway([3, 4, 5].map(event));
    await expect.poll(() => got, SOON).toEqual([1, 2, 3, 4, 5]);
    await server.publish([event(6)]);
    await expect.poll(() => got, SOON).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('a topic that is added reads from the beginning, and the others go on', async () => {
    const server = await realServer();
    const client = clientOf(server, { transports: [transport] });
    const got: unknown[] = [], old: unknown[] = [], state: unknown[] = [];
    await client.topic('rooms/*', { onEvent: one => got.push(one.data) }).ready;
    await server.publish([{ topic: 'notes/1', type: 'kept', key: 'k', data: 'a' }, { topic: 'notes/1', type: 'kept', key: 'k', data: 'b' }, event(1), event(2)]);
    const history = client.topic('rooms/*', { since: 'earliest', onEvent: one => old.push(one.data) });
    const shown = client.topic('notes/**', { onEvent: one => state.push([one.data, one.state ?? false]) });
    await Promise.all([history.ready, shown.ready]);
    await server.publish([event(3), { topic: 'notes/1', type: 'kept', key: 'k', data: 'c' }]);
    await expect.poll(() => [got, old, state], SOON).toEqual([[1, 2, 3], [1, 2, 3], [['b', true], ['c', false]]]);
  });

  test('what is published while the server is away goes out, once', async () => {
    const server = await realServer();
    const client = clientOf(server, { transports: [transport] });
    const got: unknown[] = [];
    await client.topic('rooms/*', { onEvent: one => got.push(one.data) }).ready;
    await server.kill9();
    const sent = [1, 2, 3].map(n => client.publish('rooms/1', 'said', n));
    await server.up();
    const answers = await Promise.all(sent);
    expect(answers.every(answer => answer.durable)).toBe(true);
    await expect.poll(() => got, SOON).toEqual([1, 2, 3]);
  });

  test('a topic that is not granted is denied, the others live', async () => {
    const server = await realServer();
    const client = clientOf(server, { transports: [transport], token: server.sign('eve', '--subscribe', 'rooms/**') });
    const topic = client.topic('rooms/1'), denied = client.topic('secrets/1');
    await expect(denied.ready).rejects.toMatchObject({ code: 'forbidden' });
    await topic.ready;
    expect([topic.phase, denied.phase, client.state.phase]).toEqual(['live', 'denied', 'online']);
  });
});
