// SPDX-License-Identifier: Apache-2.0
// Which state the connection says that it is in, when it tries again, and when it does not.
import { describe, expect, test, vi } from 'vitest';
import { online, settled, world } from './world.ts';
import type { World } from './world.ts';

/** What is waited, in seconds, while every try fails at once. */
async function waits(it: World, n: number): Promise<number[]> {
  const seen: number[] = [];
  for (let i = 0; i < n; i++) {
    it.socket.end();
    await settled();
    const { retryAt } = it.client.state;
    if (retryAt === undefined) break;
    seen.push((retryAt - it.clock.now()) / 1000);
    await it.clock.tick(retryAt - it.clock.now());
  }
  return seen;
}

describe('states', () => {
  test('from idle to online, and what is known then', async () => {
    const it = world();
    expect(it.client.state).toMatchObject({ phase: 'idle', status: 'disconnected', attempt: 0 });
    it.client.open();
    expect(it.client.state).toMatchObject({ phase: 'connecting', status: 'connecting', attempt: 1 });
    await settled();
    expect(it.socket.url.href).toBe('ws://tidings.test/ws?format=event');
    expect(it.socket.protocols).toEqual(['tidings', 'bearer.t0']);
    it.socket.welcome({ session: 's' });
    expect(it.client.state).toMatchObject({ phase: 'online', status: 'connected', transport: 'websocket', attempt: 0, since: 1000, lastSeen: 1000 });
    expect([it.client.id, it.client.user, it.client.welcome!.session]).toEqual(['c1', 'ann', 's']);
    it.client.close();
    expect(it.client.state).toMatchObject({ phase: 'closed', status: 'disconnected' });
    expect(it.socket.closed).toBe(1000);
  });

  test.each([
    ['https://tidings.test/base/', 'wss://tidings.test/base/ws?format=event'], ['wss://tidings.test', 'wss://tidings.test/ws?format=event'],
    ['ws://tidings.test:81/a', 'ws://tidings.test:81/a/ws?format=event'],
  ])('%s is %s', async (url, expected) => {
    const it = world({ url: async () => url });
    it.client.open();
    await settled();
    expect(it.socket.url.href).toBe(expected);
  });

  test('a watcher that throws does not keep others from being told', async () => {
    const logged = vi.fn(), error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const it = world({ log: logged });
    const other = vi.fn();
    const stop = it.client.watch(() => { throw new Error('mine'); });
    it.client.watch(other);
    it.client.open();
    stop();
    expect(other).toHaveBeenCalledOnce();
    expect(logged).toHaveBeenCalledWith(expect.objectContaining({ level: 'error', detail: new Error('mine') }));
    error.mockRestore();
  });

  test('lastSeen is kept without telling watchers; the state stays the same object', async () => {
    const it = await online();
    const before = it.client.state, told = it.states.length;
    await it.clock.tick(5000);
    it.socket.control('heartbeat', { position: 'e.0' });
    expect(it.client.state).toBe(before);
    expect([it.states.length, it.client.state.lastSeen]).toEqual([told, 6000]);
  });

  test('nothing is left behind by close', async () => {
    const it = await online();
    const topic = it.client.topic('rooms/*');
    await settled();
    it.socket.subscribed('e.0');
    topic.close();
    it.client.close();
    expect(it.clock.timers.size).toBe(0);
  });

  test('a topic waits behind close for what open() brings', async () => {
    const it = await online(), done = vi.fn();
    const topic = it.client.topic('rooms/*');
    topic.ready.then(() => done('live'), error => done(error.code));
    await settled();
    it.client.close();
    await it.clock.tick(3_600_000);
    expect(done).not.toHaveBeenCalled();
    it.client.open();
    await settled();
    it.socket.welcome();
    await settled();
    it.socket.subscribed('e.1');
    it.socket.caughtUp('e.1');
    await settled();
    expect([topic.phase, done.mock.calls]).toEqual(['live', [['live']]]);
  });

  test('what an older socket says is not listened to', async () => {
    const it = await online();
    const old = it.socket;
    old.end();
    await it.clock.tick(1000);
    it.socket.welcome({ connection_id: 'c2' });
    old.welcome({ connection_id: 'old' });
    old.end(4003);
    expect([it.client.id, it.client.state.phase]).toEqual(['c2', 'online']);
  });
});

describe('backoff', () => {
  test('steady: 1, 2, 4, 8, 16, 30 s and so on', async () => {
    const it = world();
    it.client.open();
    await settled();
    expect(await waits(it, 8)).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
    expect(it.client.state).toMatchObject({ phase: 'connecting', attempt: 9, reason: { name: 'network', retry: true } });
  });

  test('brief: five tries, then it polls, and still looks for better', async () => {
    const it = world({
      backoff: { base: 2000, factor: 1.5, max: 30_000, attempts: 5, jitter: 'none' },
      answer: url => Response.json(url.searchParams.get('topic') === '**' || url.searchParams.get('since') !== 'p.1'
        ? { events: [], position: 'p.1', more: false } : { events: [{ id: 'p.2', topic: 'a', type: 'said', data: 1 }], position: 'p.2', more: false }),
    });
    const got: unknown[] = [];
    it.client.topic('a', { onEvent: event => got.push(event.data) });
    await settled();
    expect(await waits(it, 5)).toEqual([2, 3, 4.5, 6.75, 10.125]);
    it.socket.end();
    await settled();
    await it.clock.tick(0);
    expect(it.client.state).toMatchObject({ phase: 'polling', status: 'connected', transport: 'poll' });
    expect(got).toEqual([1]);
    // Beside it the WebSocket is tried, and takes over.
    const tries = it.sockets.length;
    await it.clock.tick(30_000);
    expect(it.sockets.length).toBe(tries + 1);
    expect(it.client.state.phase).toBe('polling');
    it.socket.welcome();
    await settled();
    expect(it.client.state).toMatchObject({ phase: 'online', transport: 'websocket' });
    expect(it.socket.commands('SUBSCRIBE')).toMatchObject([{ topics: ['a'], since: 'p.2' }]);
  });

  test('without polling it fails, and open() begins anew', async () => {
    const it = world({ backoff: { base: 1000, factor: 1, max: 1000, attempts: 2, jitter: 'none' }, degrade: false });
    it.client.open();
    await settled();
    expect(await waits(it, 5)).toEqual([1, 1]);
    expect(it.client.state).toMatchObject({ phase: 'failed', status: 'error', reason: { retry: false } });
    it.client.open();
    await settled();
    it.socket.welcome();
    expect(it.client.state.phase).toBe('online');
  });

  test('the count begins anew only behind 10 s online', async () => {
    const it = world();
    it.client.open();
    await settled();
    await waits(it, 3);
    it.socket.welcome();
    await it.clock.tick(9000);
    expect(await waits(it, 1)).toEqual([8]);
    it.socket.welcome();
    await it.clock.tick(10_000);
    expect(await waits(it, 1)).toEqual([1]);
  });

  test('the server says when, and that is not hastened', async () => {
    const it = await online();
    it.socket.control('draining', { retry_after: 3.5 });
    it.socket.end(1001, 'draining: the server is stopping');
    expect(it.client.state).toMatchObject({ phase: 'waiting', retryAt: 4500, reason: { code: 1001, name: 'draining' } });
  });

  test('4029: slower', async () => {
    const it = await online();
    it.socket.end(4029);
    expect(it.client.state).toMatchObject({ retryAt: 31_000, reason: { name: 'rate_limited' } });
  });
});

describe('endings', () => {
  test.each([[4003, 'forbidden'], [4004, 'not_found']])('%i: not again, until open()', async (code, name) => {
    const it = await online();
    it.socket.end(code, 'the reason');
    await it.clock.tick(3_600_000);
    expect(it.client.state).toMatchObject({ phase: 'failed', status: 'error', reason: { code, name, message: 'the reason', retry: false } });
    expect(it.sockets.length).toBe(1);
    it.client.open();
    await settled();
    expect(it.sockets.length).toBe(2);
  });

  test('a command and a publish then fail at once', async () => {
    const it = await online();
    const underway = it.client.command('ping');
    it.socket.end(4003);
    // Nobody knows whether that was carried out.
    await expect(underway).rejects.toMatchObject({ name: 'TidingsError', code: 'network' });
    await expect(it.client.command('ping')).rejects.toMatchObject({ code: 'forbidden' });
    await expect(it.client.publish('a', 'b')).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('transports', () => {
  const answer = () => Response.json({ events: [], position: 'p.1', more: false });

  test('no welcome within 5 s: the next one, which is remembered', async () => {
    const it = world({ transports: ['websocket', 'longpoll'], answer });
    it.client.open();
    await it.clock.tick(4999);
    expect(it.client.state.phase).toBe('connecting');
    await it.clock.tick(1);
    expect(it.client.state).toMatchObject({ phase: 'online', transport: 'longpoll' });
    expect(it.socket.closed).toBe(1000);
    const stored = new Map([['tidings:transport:http://tidings.test', JSON.stringify({ name: 'longpoll', until: Date.now() + 1000 })]]);
    vi.stubGlobal('localStorage', { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => stored.set(key, value) });
    const other = world({ transports: ['websocket', 'longpoll'], answer });
    other.client.open();
    await settled();
    expect(other.client.state).toMatchObject({ phase: 'online', transport: 'longpoll' });
    expect(other.sockets).toEqual([]);
    vi.unstubAllGlobals();
  });

  test('where there is no WebSocket the others are taken', async () => {
    vi.stubGlobal('WebSocket', undefined);
    const it = world({ transports: ['websocket', 'longpoll'], answer, WebSocket: undefined });
    vi.unstubAllGlobals();
    it.client.open();
    await settled();
    expect(it.client.state.transport).toBe('longpoll');
  });

  test('a server that is away is not looked for by all of them', async () => {
    const it = await online({ transports: ['websocket', 'sse', 'longpoll'] });
    it.socket.end();
    await it.clock.tick(1000);
    it.socket.end();
    await settled();
    expect(it.requests).toEqual([]);
    expect(it.client.state).toMatchObject({ phase: 'waiting' });
  });

  test('three that break within a minute, right behind the welcome: another for ten minutes', async () => {
    const it = await online({ transports: ['websocket', 'longpoll'], answer });
    for (let n = 0; n < 2; n++) {
      it.socket.end();
      await it.clock.tick(5000);
      it.socket.welcome();
      await settled();
    }
    it.socket.end();
    await it.clock.tick(5000);
    expect(it.client.state).toMatchObject({ phase: 'online', transport: 'longpoll' });
  });

  test('with nothing to read it still knows whether the server is there', async () => {
    let isThere = true;
    const it = world({ transports: ['longpoll'], answer: () => isThere ? answer() : new Response('', { status: 502 }) });
    it.client.open();
    await it.clock.tick(600_000);
    expect(it.phases).toEqual(['connecting', 'online']);
    isThere = false;
    await it.clock.tick(21_000);
    expect(it.client.state).toMatchObject({ reason: { code: 502 } });
  });

  test('the only one there is is taken all the same', async () => {
    const it = await online();
    for (let n = 0; n < 5; n++) {
      it.socket.end();
      await it.clock.tick(it.client.state.retryAt! - it.clock.now());
      it.socket.welcome();
      await settled();
    }
    expect(it.client.state).toMatchObject({ phase: 'online', transport: 'websocket' });
  });

  test('switchTo, and back', async () => {
    const it = await online({ transports: ['websocket', 'longpoll'], answer });
    it.client.switchTo('poll');
    await settled();
    expect(it.client.state).toMatchObject({ phase: 'polling', transport: 'poll', status: 'connected' });
    it.client.switchTo('longpoll');
    await settled();
    expect(it.client.state).toMatchObject({ phase: 'online', transport: 'longpoll' });
    it.client.switchTo('auto');
    await settled();
    it.socket.welcome();
    expect(it.client.state).toMatchObject({ phase: 'online', transport: 'websocket' });
  });
});

test('what passes can be watched, but for tokens', async () => {
  const it = world();
  const seen: string[] = [];
  it.client.tap((direction, text) => seen.push(`${direction} ${text}`));
  it.client.open();
  await settled();
  it.socket.welcome();
  void it.client.reauth('secret');
  await settled();
  expect(seen.some(text => text.startsWith('in {"type":"connection"'))).toBe(true);
  expect(seen.filter(text => text.includes('auth'))).toEqual(['out {"token":"…","type":"auth","ref":1}']);
  it.socket.control('authenticated', { ref: 1, user: 'ann', lost: [] });
});
