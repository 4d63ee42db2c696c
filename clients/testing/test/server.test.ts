// SPDX-License-Identifier: Apache-2.0
// The server in memory with the client that it is for: what a test can make happen, and that nothing is lost or doubled then.
import { createClient } from '@tidings/client';
import type { ClientOptions, TidingsEvent } from '@tidings/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createTestServer } from '../src/index.ts';
import type { TestServer } from '../src/index.ts';

function connect(server: TestServer, options: Partial<ClientOptions> = {}) {
  const client = createClient({ ...server.options(), ...options });
  onTestFinished(async () => {
    client.close();
    await server.clock.flush();
    expect([server.connections.length, server.clock.pending]).toEqual([0, 0]);
  });
  return client;
}

describe.each(['websocket', 'sse', 'longpoll'] as const)('by %s', transport => {
  const open = (server: TestServer, options: Partial<ClientOptions> = {}) => connect(server, { transports: [transport], ...options });

  test('what happens while a connection is broken comes behind it, once', async () => {
    const server = createTestServer(), client = open(server), seen: unknown[] = [];
    const topic = client.topic('rooms/*', { onEvent: event => seen.push(event.data) });
    await server.clock.until(() => topic.phase === 'live');
    expect(client.state.transport).toBe(transport);
    server.publish('rooms/1', 'said', 1);
    await server.clock.until(() => seen.length === 1);
    for (const connection of server.connections) connection.drop();
    server.publish('rooms/2', 'said', 2);
    await server.clock.flush();
    expect(client.state.phase).toBe('waiting');
    await server.clock.advance(2000);
    await server.clock.until(() => topic.phase === 'live');
    server.publish('rooms/1', 'said', 3);
    await server.clock.until(() => seen.length === 3);
    expect(seen).toEqual([1, 2, 3]);
  });

  test('a transport that keeps breaking is gone on with when there is no other', async () => {
    const server = createTestServer(), client = open(server);
    const topic = client.topic('rooms/1');
    for (let drops = 0; drops < 6; drops++) {
      await server.clock.until(() => topic.phase === 'live');
      for (const connection of server.connections) connection.drop();
      await server.clock.advance(32_000 * Math.min(1, drops));
      await server.clock.advance(2000);
    }
    await server.clock.until(() => topic.phase === 'live');
  });

  test('what was dropped is told as a gap, and the state follows', async () => {
    const server = createTestServer(), client = open(server), seen: unknown[] = [];
    const topic = client.topic('rooms/*', { onEvent: event => seen.push([event.data, event.state ?? false]), onGap: gap => seen.push(gap.reason) });
    await server.clock.until(() => topic.phase === 'live');
    server.down();
    server.publish('rooms/1', 'said', 'lost');
    server.publish('rooms/1', 'at', 'here', { key: 'place' });
    server.trim();
    server.publish('rooms/1', 'said', 'kept');
    await server.clock.advance(5000);
    expect(client.state.status).not.toBe('connected');
    server.up();
    await server.clock.advance(30_000);
    await server.clock.until(() => topic.phase === 'live');
    // A page holds the state as of its end, behind its events.
    const behind = [['here', true], ['kept', false]];
    expect(seen).toEqual(['retention', ...transport === 'longpoll' ? behind.reverse() : behind]);
  });

  test('a log that is another one is told, and read from its beginning', async () => {
    const server = createTestServer(), client = open(server), seen: unknown[] = [];
    const topic = client.topic('rooms/*', { onEvent: event => seen.push(event.data), onGap: gap => seen.push(gap.reason) });
    server.publish('rooms/1', 'said', 1);
    await server.clock.until(() => topic.phase === 'live');
    server.down();
    server.newEpoch();
    server.publish('rooms/1', 'said', 2);
    server.up();
    await server.clock.advance(2000);
    await server.clock.until(() => topic.phase === 'live');
    expect(seen).toEqual(['epoch', 2]);
  });

  test('a publish whose answer is lost counts once', async () => {
    const server = createTestServer(), client = open(server);
    const topic = client.topic('rooms/1');
    await server.clock.until(() => topic.phase === 'live');
    // By HTTP the answer is lost; a WebSocket takes so long that it breaks in between.
    if (transport === 'websocket') server.connections[0]!.delay(100);
    else server.fault('POST', '/api/v1/events', 'lost');
    let isSent = false;
    client.tap((direction, text) => { isSent ||= direction === 'out' && text.includes('"publish"'); });
    const publishing = client.publish('rooms/1', 'said', 'once');
    // Behind a module that is loaded for it, which takes real time.
    await server.clock.until(() => isSent);
    await server.clock.advance(100);
    await server.clock.until(() => server.events.length === 1);
    for (const connection of server.connections) connection.drop();
    await server.clock.advance(3000);
    await expect(publishing).resolves.toMatchObject({ id: server.events[0]!.id, durable: true });
    expect(server.events).toHaveLength(1);
  });
});

test('a token that expires is renewed in place; one that is refused is not sent again', async () => {
  const server = createTestServer(), why: string[] = [], tokens: string[] = [];
  const client = connect(server, {
    token: reason => {
      why.push(reason);
      tokens.push(server.token('ann', { expiresIn: 300 }));
      return tokens.at(-1)!;
    },
  });
  const topic = client.topic('rooms/1');
  await server.clock.until(() => topic.phase === 'live');
  const [connection] = server.connections;
  await server.clock.advance(290_000);
  expect(why).toEqual(['first', 'expiring']);
  expect(server.connections[0]!.id).toBe(connection!.id);
  for (const token of tokens) server.revoke(token);
  server.connections[0]!.drop();
  await server.clock.advance(3000);
  await server.clock.until(() => topic.phase === 'live');
  expect(why).toEqual(['first', 'expiring', 'rejected']);
});

test('a black hole is noticed by the client alone', async () => {
  const server = createTestServer(), client = connect(server), seen: unknown[] = [];
  const topic = client.topic('rooms/1', { onEvent: event => seen.push(event.data) });
  await server.clock.until(() => topic.phase === 'live');
  server.connections[0]!.blackHole();
  server.publish('rooms/1', 'said', 1);
  await server.clock.advance(1000);
  expect([seen.length, client.state.phase]).toEqual([0, 'online']);
  await server.clock.advance(60_000);
  await server.clock.until(() => seen.length === 1);
});

test('delays, closes and drains are what the client sees', async () => {
  const server = createTestServer(), client = connect(server), seen: TidingsEvent[] = [];
  const topic = client.topic('rooms/1', { onEvent: event => seen.push(event) });
  await server.clock.until(() => topic.phase === 'live');
  server.connections[0]!.delay(100);
  server.publish('rooms/1', 'said', 1);
  await server.clock.advance(99);
  expect(seen).toHaveLength(0);
  await server.clock.advance(1);
  expect(seen).toHaveLength(1);
  server.connections[0]!.delay(0);
  server.drain(4);
  await server.clock.advance(200);
  expect(client.state).toMatchObject({ phase: 'waiting', reason: { name: 'draining' } });
  await server.clock.advance(3700);
  expect(client.state.phase).toBe('waiting');
  await server.clock.advance(200);
  await server.clock.until(() => topic.phase === 'live');
  server.connections[0]!.close(4003, 'forbidden');
  await server.clock.flush();
  expect(client.state).toMatchObject({ phase: 'failed', reason: { name: 'forbidden', retry: false } });
});

test('a quiet connection gets heartbeats, an idle one is closed', async () => {
  const server = createTestServer(), messages: string[] = [];
  const socket = new server.WebSocket(`ws://tidings.test/ws`, ['tidings', `bearer.${server.token('ann')}`]);
  socket.onmessage = ({ data }) => { messages.push(JSON.parse(data).type); };
  const ends: number[] = [];
  socket.onclose = ({ code }) => { ends.push(code); };
  await server.clock.advance(60_000);
  expect(messages).toEqual(['connection', 'heartbeat', 'heartbeat']);
  await server.clock.advance(600_000);
  expect([ends, server.clock.pending]).toEqual([[4008], 0]);
});

test('too many commands are refused, and then the connection', async () => {
  const server = createTestServer(), codes: unknown[] = [];
  const socket = new server.WebSocket(`ws://tidings.test/ws`, ['tidings', `bearer.${server.token('ann')}`]);
  let end = 0;
  socket.onmessage = ({ data }) => { codes.push(JSON.parse(data).code ?? JSON.parse(data).type); };
  socket.onclose = ({ code }) => { end = code; };
  await server.clock.flush();
  for (let i = 0; i < 81; i++) socket.send('{"type":"ping"}');
  await server.clock.flush();
  expect([codes.filter(code => code === 'pong').length, codes.filter(code => code === 'rate_limited').length, end]).toEqual([40, 40, 4029]);
});

test('a fault answers one request, and what was asked can be looked at', async () => {
  const server = createTestServer(), client = connect(server);
  server.fault('GET', '/api/v1/presence', 503);
  await expect(client.request('GET', '/api/v1/presence', { query: { topic: 'projects/1' } })).rejects.toMatchObject({ status: 503 });
  await expect(client.request('GET', '/api/v1/presence', { query: { topic: 'projects/1' } })).resolves.toMatchObject({ data: { count: 0 } });
  expect(server.requests.map(({ method, path, query }) => [method, path, query])).toEqual(Array(2).fill(['GET', '/api/v1/presence', '?topic=projects%2F1']));
});
