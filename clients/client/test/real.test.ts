// SPDX-License-Identifier: Apache-2.0
// Against the real server: what is missed comes, once, in order, by each transport.
import { describe, expect, onTestFinished, test } from 'vitest';
import { createClient } from '../src/index.ts';
import * as project from '../src/project.ts';
import type { Client, ClientOptions } from '../src/index.ts';
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

  test('killed in the middle of a stream, again and again: each event once, in order', async () => {
    const server = await realServer();
    const client = clientOf(server, { transports: [transport] });
    const got: unknown[] = [], gaps: unknown[] = [];
    await client.topic('rooms/*', { onEvent: one => got.push(one.data), onGap: gap => gaps.push(gap) }).ready;
    let isOver = false;
    const kills = (async () => {
      for (let n = 0; n < 3; n++) {
        const before = got.length;
        await expect.poll(() => got.length, SOON).toBeGreaterThan(before + 20);
        await server.kill9();
        await server.up();
      }
      isOver = true;
    })();
    // Each is repeated until it is known to be stored; its key keeps the server from storing it twice.
    let last = 0;
    while (!isOver) {
      const stored = await server.publish([{ ...event(last + 1), dedup: `n${last + 1}` }]).then(() => true, () => false);
      if (stored) last++;
      else await new Promise(resume => setTimeout(resume, 20));
    }
    await kills;
    await expect.poll(() => got.length, SOON).toBe(last);
    expect(got).toEqual(Array.from({ length: last }, (_, n) => n + 1));
    expect(gaps).toEqual([]);
  });

  test('topics that come while events come, and a kill among them: each use has its run, whole', async () => {
    const server = await realServer();
    const client = clientOf(server, { transports: [transport] });
    const follow = (pattern: string, since: 'now' | 'earliest') => {
      const got: number[] = [];
      return { since, got, isClosed: false, topic: client.topic(pattern, { since, onEvent: one => got.push(one.data as number) }) };
    };
    const uses = [follow('rooms/*', 'now')];
    await uses[0]!.topic.ready;
    let last = 0;
    for (let n = 0; n < 60; n++) {
      if (n % 6 === 3) uses.push(follow(n % 12 === 3 ? 'rooms/**' : 'rooms/*', n % 4 === 1 ? 'now' : 'earliest'));
      if (n % 15 === 14) {
        const use = uses[Math.ceil(n / 15)]!;
        use.topic.close();
        use.isClosed = true;
      }
      if (n === 40) await server.kill9().then(() => server.up());
      const stored = await server.publish([{ ...event(last + 1), dedup: `n${last + 1}` }]).then(() => true, () => false);
      if (stored) last++;
      await new Promise(resume => setTimeout(resume, 10));
    }
    const open = uses.filter(use => !use.isClosed);
    await Promise.all(open.map(use => use.topic.ready));
    await server.publish([event(++last)]);
    for (const { got } of open) await expect.poll(() => got.at(-1), SOON).toBe(last);
    for (const { since, got } of uses) {
      const begin = since === 'earliest' ? 1 : got[0] ?? 1;
      expect(got).toEqual(Array.from({ length: got.length }, (_, n) => begin + n));
    }
    expect(uses[0]!.got.length).toBe(last);
  });

  test('a token that ends: another one is asked for, and nothing is lost', async () => {
    const server = await realServer();
    const asked: string[] = [];
    const client = clientOf(server, {
      transports: [transport],
      token: why => {
        asked.push(why);
        return server.sign('ann', '--ttl', '2s');
      },
    });
    const got: unknown[] = [];
    await client.topic('rooms/*', { onEvent: one => got.push(one.data) }).ready;
    let last = 0;
    while (asked.length < 4 && last < 400) {
      await server.publish([event(++last)]);
      await new Promise(resume => setTimeout(resume, 50));
    }
    await expect.poll(() => got, SOON).toEqual(Array.from({ length: last }, (_, n) => n + 1));
    expect(asked.length).toBeGreaterThanOrEqual(4);
    expect(client.state.phase).not.toBe('failed');
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

describe.runIf(isBuilt)('endpoints', { timeout: 30_000 }, () => {
  test('a newer connection takes the place of the oldest (4009), which does not come back by itself', async () => {
    const server = await realServer();
    const clients: Client[] = [];
    for (let n = 0; n < 6; n++) {
      const client = clientOf(server, { transports: ['websocket'], path: '/ws/projects/42' });
      clients.push(client);
      client.open();
      await expect.poll(() => client.state.phase, SOON).toBe('online');
    }
    await expect.poll(() => clients[0]!.state.phase, SOON).toBe('failed');
    expect(clients[0]!.state.reason).toMatchObject({ code: 4009, name: 'replaced', retry: false });
    expect(clients.slice(1).map(client => client.state.phase)).toEqual(Array(5).fill('online'));
  });

  test('forbidden (4003): failed, with what to do', async () => {
    const server = await realServer();
    const client = clientOf(server, { transports: ['websocket'], path: '/ws/audit' });
    client.open();
    await expect.poll(() => client.state.phase, SOON).toBe('failed');
    expect(client.state.reason).toMatchObject({ code: 4003, name: 'forbidden' });
  });

  test.each(['websocket', 'sse'] as const)('the project of one connection, by %s', async transport => {
    const server = await realServer();
    const messages: project.ProjectMessage[] = [], changes: boolean[] = [], errors: unknown[] = [], outputs: unknown[] = [];
    project.configure({ url: server.url, token: server.token, transports: [transport], backoff: { base: 50, factor: 2, max: 400 } });
    project.on('output', message => outputs.push(message.line));
    project.connect('42', message => messages.push(message), error => errors.push(error), is => changes.push(is));
    onTestFinished(project.disconnect);
    await expect.poll(project.isConnected, SOON).toBe(true);
    const output = (line: string) => ({ topic: 'projects/42/proposals/7', type: 'output', data: { line } });
    await server.publish([output('one')]);
    await expect.poll(() => messages, SOON).toMatchObject([{ type: 'output', line: 'one', topic: 'projects/42/proposals/7' }]);
    await server.publishWhileAway([output('two'), output('three')]);
    await expect.poll(() => outputs, SOON).toEqual(['one', 'two', 'three']);
    expect(messages.length).toBe(3);
    expect(changes).toEqual([true, false, true]);
    expect(errors.length).toBeGreaterThan(0);
    if (transport === 'websocket') expect(await project.send({ type: 'ping' })).toMatchObject({ type: 'pong' });
    project.disconnect();
    expect(project.isConnected()).toBe(false);
    await expect(project.send({ type: 'ping' })).rejects.toMatchObject({ code: 'closed' });
  });

  test('the server that stops says when to come back', async () => {
    const server = await realServer();
    const client = clientOf(server, { transports: ['websocket'] });
    client.open();
    await expect.poll(() => client.state.phase, SOON).toBe('online');
    await server.stop();
    await expect.poll(() => client.state.reason?.name, SOON).toBe('draining');
    expect(client.state.retryAt! - client.state.since).toBeGreaterThanOrEqual(900);
  });
});
