// SPDX-License-Identifier: Apache-2.0
// Subscribing, resuming, and what is shown to whom, once and in order.
import { describe, expect, test, vi } from 'vitest';
import type { Gap } from '../src/index.ts';
import { collector, online, settled, world } from './world.ts';
import type { FakeSocket, World } from './world.ts';

/** `rooms/*` is live at e.1. */
async function live(options?: object): Promise<World & { got: unknown[]; topic: ReturnType<World['client']['topic']> }> {
  const it = await online();
  const { got, onEvent } = collector();
  const topic = it.client.topic('rooms/*', { onEvent, ...options });
  await settled();
  it.socket.subscribed('e.1');
  it.socket.caughtUp('e.1');
  return Object.assign(it, { got, topic });
}

async function reconnect(it: World): Promise<FakeSocket> {
  it.socket.end();
  await it.clock.tick(it.client.state.retryAt! - it.clock.now());
  it.socket.welcome({ connection_id: 'c2', position: 'e.99' });
  await settled();
  return it.socket;
}

describe('subscribing', () => {
  test('what one turn of the event loop asks for is one command', async () => {
    const it = await online();
    for (const name of ['a', 'b', 'c', 'a']) it.client.topic(name);
    it.client.topic('d', { state: false });
    await settled();
    expect(it.socket.commands('SUBSCRIBE')).toEqual([
      { type: 'SUBSCRIBE', topics: ['d'], ref: expect.any(Number) },
      { type: 'SUBSCRIBE', topics: ['a', 'b', 'c'], state: true, ref: expect.any(Number) },
    ]);
  });

  test('phases, position, ready; state first, then what comes', async () => {
    const it = await online();
    const { got, onEvent } = collector();
    const topic = it.client.topic('rooms/*', { onEvent });
    const phases = [topic.phase];
    topic.watch(() => phases.push(topic.phase));
    await settled();
    it.socket.subscribed('e.1');
    it.socket.event('rooms/1', 'e.0', 'kept', { state: true });
    it.socket.caughtUp('e.1');
    await topic.ready;
    expect(topic.position).toBe('e.1');
    it.socket.event('rooms/2', 'e.5', 'new');
    it.socket.event('other/2', 'e.6', 'not ours');
    expect(got).toEqual([['state', 'kept'], 'new']);
    expect(topic.position).toBe('e.6');
    expect(phases).toEqual(['joining', 'catching-up', 'live']);
  });

  test('handlers by type, types, a handler that throws', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const it = await live({ types: ['said', 'left'] });
    const said: unknown[] = [], left: unknown[] = [];
    it.topic.on('said', () => { throw new Error('mine'); });
    it.topic.on('said', event => said.push(event.data));
    const stop = it.topic.on('left', event => left.push(event.data));
    it.socket.event('rooms/1', 'e.2', 1);
    it.socket.event('rooms/1', 'e.3', 2, { type: 'left' });
    it.socket.event('rooms/1', 'e.4', 3, { type: 'hidden' });
    stop();
    it.socket.event('rooms/1', 'e.5', 4, { type: 'left' });
    expect([said, left, it.got]).toEqual([[1], [2], [1, 2, 4]]);
    expect(error).toHaveBeenCalledOnce();
    error.mockRestore();
  });

  test('not a pattern', () => {
    expect(() => world().client.topic('a//b')).toThrow('Not a pattern: a//b');
  });

  test('several uses share a subscription; the last one leaves it, a little later', async () => {
    const it = await live();
    const other = it.client.topic('rooms/*', { state: false });
    await settled();
    expect(it.socket.commands('SUBSCRIBE').length).toBe(2);
    it.socket.subscribed('e.1');
    other.close();
    await it.clock.tick(2000);
    expect(it.socket.commands('UNSUBSCRIBE')).toEqual([]);
    it.topic.close();
    it.socket.event('rooms/1', 'e.2', 'too late');
    await it.clock.tick(999);
    const again = it.client.topic('rooms/*');
    await it.clock.tick(2000);
    expect(it.socket.commands('UNSUBSCRIBE')).toEqual([]);
    it.socket.subscribed('e.2');
    it.socket.caughtUp('e.2');
    again.close();
    await it.clock.tick(1000);
    expect(it.socket.commands('UNSUBSCRIBE')).toEqual([{ type: 'UNSUBSCRIBE', topics: ['rooms/*'] }]);
    expect(it.got).toEqual([]);
  });

  test('a thousand uses come and go: nothing is left', async () => {
    const it = await online();
    for (let n = 0; n < 1000; n++) it.client.topic(`rooms/${n % 50}`, { state: false }).close();
    await it.clock.tick(1000);
    for (const [n] of it.socket.commands('SUBSCRIBE').entries()) it.socket.subscribed('e.1', n);
    await it.clock.tick(5000);
    const asked = new Set(it.socket.commands('SUBSCRIBE').flatMap(one => one.topics));
    const left = new Set(it.socket.commands('UNSUBSCRIBE').flatMap(one => one.topics));
    expect(left).toEqual(asked);
  });

  test('more commands than the server takes wait their turn', async () => {
    const it = await online();
    const pings = Array.from({ length: 60 }, () => it.client.command('ping').catch(() => {}));
    await settled();
    const atOnce = it.socket.sent.length;
    expect(atOnce).toBeLessThanOrEqual(40);
    await it.clock.tick(1000);
    expect(it.socket.sent.length - atOnce).toBeLessThanOrEqual(20);
    await it.clock.tick(1000);
    expect(it.socket.sent.length).toBe(61);
    it.client.close();
    await Promise.all(pings);
  });

  test('by for await', async () => {
    const it = await live();
    const seen: unknown[] = [];
    const done = (async () => { for await (const event of it.topic) if (seen.push(event.data) === 2) break; })();
    await settled();
    for (const n of [2, 3, 4]) it.socket.event('rooms/1', `e.${n}`, n);
    await done;
    expect(seen).toEqual([2, 3]);
  });
});

describe('refused', () => {
  test('one is denied, the others live', async () => {
    const it = await online();
    const denied = it.client.topic('audit/**'), good = it.client.topic('a', { state: false });
    await settled();
    it.socket.subscribed('e.1', 0);
    const { ref } = it.socket.commands('SUBSCRIBE')[1]!;
    it.socket.control('command_error', { ref, code: 'forbidden', message: 'audit/**: nothing of it is granted to you.' });
    await expect(denied.ready).rejects.toMatchObject({ code: 'forbidden' });
    expect([denied.phase, good.phase]).toEqual(['denied', 'live']);
    // Another token may grant it.
    const socket = await reconnect(it);
    expect(socket.commands('SUBSCRIBE')[0]).toMatchObject({ topics: ['a'], since: 'e.1' });
    socket.caughtUp('e.1');
    await settled();
    expect(socket.commands('SUBSCRIBE')[1]).toMatchObject({ topics: ['audit/**'], state: true });
  });

  test('what passes is asked again', async () => {
    const it = await online();
    const topic = it.client.topic('a', { state: false });
    await settled();
    const { ref } = it.socket.commands('SUBSCRIBE')[0]!;
    it.socket.control('command_error', { ref, code: 'unavailable', message: 'a: the authorizer gives no answer; try again.', retry_after: 3 });
    expect([topic.phase, topic.error?.code]).toEqual(['joining', 'unavailable']);
    await it.clock.tick(3000);
    it.socket.subscribed('e.1');
    expect([topic.phase, topic.error]).toEqual(['live', undefined]);
  });

  test('access that is lost', async () => {
    const it = await live();
    it.socket.control('access_lost', { topics: ['rooms/*'], reason: 'revoked' });
    it.socket.event('rooms/1', 'e.3', 1);
    expect([it.topic.phase, it.topic.error?.code, it.got]).toEqual(['denied', 'forbidden', []]);
  });
});

describe('resuming', () => {
  test('one SUBSCRIBE of what was live, since the last position; what is new behind it', async () => {
    const it = await live();
    it.client.topic('other', { state: false });
    await settled();
    it.socket.subscribed('e.1');
    it.socket.event('rooms/1', 'e.2', 2);
    it.socket.end();
    expect(it.topic.phase).toBe('paused');
    const fresh = it.client.topic('new', { state: false });
    await it.clock.tick(1000);
    it.socket.welcome({ position: 'e.99' });
    await settled();
    expect(it.socket.commands('SUBSCRIBE')).toEqual([
      { type: 'SUBSCRIBE', topics: ['rooms/*', 'other'], since: 'e.2', ref: expect.any(Number) },
    ]);
    it.socket.subscribed('e.2');
    it.socket.event('rooms/1', 'e.3', 3);
    expect(it.topic.phase).toBe('catching-up');
    it.socket.caughtUp('e.9');
    await settled();
    expect([it.topic.phase, it.topic.position, fresh.phase]).toEqual(['live', 'e.9', 'joining']);
    expect(it.socket.commands('SUBSCRIBE')[1]).toMatchObject({ topics: ['new'] });
    expect(it.got).toEqual([2, 3]);
  });

  test('the position that counts: of events, heartbeats and caught_up, never of state or history', async () => {
    const it = await live();
    it.socket.event('rooms/1', 'e.3', 3);
    it.socket.event('rooms/1', 'e.1', 'old', { state: true });
    it.socket.event('rooms/1', 'e.2', 'old', { history: true, ref: 7 });
    it.socket.event('rooms/1', undefined, 'typing');
    expect(it.topic.position).toBe('e.3');
    it.socket.control('heartbeat', { position: 'e.7' });
    expect((await reconnect(it)).commands('SUBSCRIBE')[0]).toMatchObject({ since: 'e.7' });
    expect(it.got).toEqual([3, 'typing']);
  });

  test('a connection that breaks while it catches up goes on from there', async () => {
    const it = await live();
    await reconnect(it);
    it.socket.subscribed('e.1');
    it.socket.event('rooms/1', 'e.2', 2);
    await reconnect(it);
    expect(it.socket.commands('SUBSCRIBE')[0]).toMatchObject({ since: 'e.2' });
  });

  test('state that was on its way is asked for once more', async () => {
    const it = await online();
    it.client.topic('rooms/*');
    await settled();
    it.socket.subscribed('e.1');
    await reconnect(it);
    expect(it.socket.commands('SUBSCRIBE')).toMatchObject([{ topics: ['rooms/*'], since: 'e.1' }]);
    it.socket.subscribed('e.1');
    it.socket.caughtUp('e.1');
    await settled();
    expect(it.socket.commands('SUBSCRIBE')[1]).toEqual({ type: 'SUBSCRIBE', topics: ['rooms/*'], state: true, ref: expect.any(Number) });
  });

  test('more than 256 patterns: the rest beside the stream, nothing doubled', async () => {
    const it = await online();
    const seen: string[] = [];
    for (let n = 0; n < 300; n++) it.client.topic(`rooms/${n}`, { state: false, onEvent: event => seen.push(`${event.topic} ${event.id}`) });
    await settled();
    it.socket.subscribed('e.1', 0);
    it.socket.subscribed('e.1', 1);
    const socket = await reconnect(it);
    const [first, second] = socket.commands('SUBSCRIBE');
    expect([first!.topics.length, first!.since, second!.topics.length, second!.since]).toEqual([256, 'e.1', 44, 'e.1']);
    socket.subscribed('e.1', 0);
    socket.subscribed('e.3', 1);
    socket.event('rooms/299', 'e.4', 'live');
    socket.event('rooms/299', 'e.2', 'missed', { history: true, ref: second!.ref });
    socket.event('rooms/299', 'e.4', 'live', { history: true, ref: second!.ref });
    socket.caughtUp('e.4', 1);
    socket.event('rooms/299', 'e.5', 'new');
    socket.caughtUp('e.5', 0);
    expect(seen).toEqual(['rooms/299 e.2', 'rooms/299 e.4', 'rooms/299 e.5']);
  });

  test('gaps are told, and state is shown behind them', async () => {
    const gaps: Gap[] = [];
    const it = await live({ onGap: (gap: Gap) => gaps.push(gap) });
    await reconnect(it);
    it.socket.subscribed('e.1');
    it.socket.control('gap', { from: 'e.1', to: 'e.50', reason: 'retention', topics: ['rooms/*'] });
    it.socket.event('rooms/1', 'e.40', 'kept', { state: true });
    it.socket.caughtUp('e.50');
    expect(gaps).toMatchObject([{ from: 'e.1', to: 'e.50', reason: 'retention' }]);
    expect(it.got).toEqual([['state', 'kept']]);
  });

  test('positions survive a reload, where that is wanted', async () => {
    const stored = new Map<string, string>();
    vi.stubGlobal('sessionStorage', { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => stored.set(key, value) });
    const it = await online({ resume: 'session' });
    it.client.topic('rooms/*');
    await settled();
    it.socket.subscribed('e.1');
    it.socket.caughtUp('e.1');
    it.socket.event('rooms/1', 'e.2', 2);
    it.client.close();
    const other = await online({ resume: 'session' });
    other.client.topic('rooms/*');
    other.client.topic('new', { state: false });
    await settled();
    expect(other.socket.commands('SUBSCRIBE')).toMatchObject([{ topics: ['new'] }, { topics: ['rooms/*'], since: 'e.2' }]);
    vi.unstubAllGlobals();
  });
});

describe('history', () => {
  test('of a use that is added: alone for it, then what was live meanwhile', async () => {
    const it = await live();
    const { got, onEvent } = collector();
    const topic = it.client.topic('rooms/*', { since: 'earliest', onEvent });
    await settled();
    const { ref } = it.socket.subscribed('e.4');
    it.socket.event('rooms/1', 'e.5', 5);
    it.socket.event('rooms/1', 'e.2', 2, { history: true, ref });
    it.socket.event('rooms/1', 'e.3', 3, { history: true, ref });
    expect([got, topic.phase, topic.position]).toEqual([[2, 3], 'catching-up', 'e.3']);
    it.socket.event('rooms/1', 'e.5', 5, { history: true, ref });
    it.socket.caughtUp('e.5');
    it.socket.event('rooms/1', 'e.6', 6);
    expect([got, it.got, topic.phase]).toEqual([[2, 3, 5, 6], [5, 6], 'live']);
  });

  test('a connection that breaks in it: from where it had come to', async () => {
    const it = await live();
    it.client.topic('rooms/*', { since: 'earliest' });
    await settled();
    const { ref } = it.socket.subscribed('e.4');
    it.socket.event('rooms/1', 'e.2', 2, { history: true, ref });
    await reconnect(it);
    it.socket.subscribed('e.1');
    it.socket.caughtUp('e.4');
    await settled();
    expect(it.socket.commands('SUBSCRIBE')[1]).toMatchObject({ topics: ['rooms/*'], since: 'e.2' });
  });

  test('alone on its connection it is the stream', async () => {
    const it = await online();
    const { got, onEvent } = collector();
    const topic = it.client.topic('rooms/*', { since: 'e.3', onEvent });
    await settled();
    expect(it.socket.commands('SUBSCRIBE')).toMatchObject([{ since: 'e.3' }]);
    it.socket.subscribed('e.3');
    it.socket.event('rooms/1', 'e.4', 4);
    it.socket.caughtUp('e.4');
    expect([got, topic.phase, topic.position]).toEqual([[4], 'live', 'e.4']);
  });

  test('more meanwhile than is kept: read on from the log, nothing lost', async () => {
    const it = await live();
    const seen: unknown[] = [];
    it.client.topic('rooms/*', { since: 'earliest', onEvent: event => seen.push(event.data) });
    await settled();
    const { ref } = it.socket.subscribed('e.4');
    for (let n = 0; n < 1200; n++) it.socket.event('rooms/1', `e.${n + 10}`, n);
    it.socket.event('rooms/1', 'e.2', 'old', { history: true, ref });
    it.socket.caughtUp('e.4');
    await settled();
    expect(it.socket.commands('SUBSCRIBE').at(-1)).toMatchObject({ topics: ['rooms/*'], since: 'e.2' });
    const again = it.socket.subscribed('e.1209');
    for (let n = 0; n < 1200; n++) it.socket.event('rooms/1', `e.${n + 10}`, n, { history: true, ref: again.ref });
    it.socket.caughtUp('e.1209');
    expect(seen).toEqual(['old', ...Array.from({ length: 1200 }, (_, n) => n)]);
  });
});

describe('snapshots', () => {
  /** One that is answered by hand. */
  function hand() {
    const calls: { position: string; signal: AbortSignal; done: (value?: unknown) => void; failed: (error: unknown) => void }[] = [];
    const snapshot = (o: { position: string; signal: AbortSignal }) =>
      new Promise<unknown>((done, failed) => { calls.push({ ...o, done, failed }); });
    return { calls, snapshot };
  }

  test('what happens while it loads comes behind it', async () => {
    const it = await online();
    const { calls, snapshot } = hand(), { got, onEvent } = collector();
    const topic = it.client.topic('rooms/*', { snapshot, onEvent });
    await settled();
    expect(calls).toEqual([]);
    it.socket.subscribed('e.1');
    expect(calls).toMatchObject([{ position: 'e.1' }]);
    it.socket.event('rooms/1', 'e.2', 2);
    expect([got, topic.phase, topic.position]).toEqual([[], 'catching-up', 'e.1']);
    calls[0]!.done();
    await topic.ready;
    it.socket.event('rooms/1', 'e.3', 3);
    expect([got, topic.phase, topic.position]).toEqual([[2, 3], 'live', 'e.3']);
  });

  test('a position that it gives leaves out what it has', async () => {
    const it = await online();
    const { calls, snapshot } = hand(), { got, onEvent } = collector();
    it.client.topic('rooms/*', { snapshot, onEvent });
    await settled();
    it.socket.subscribed('e.1');
    for (const n of [2, 3, 4]) it.socket.event('rooms/1', `e.${n}`, n);
    calls[0]!.done('e.3');
    await settled();
    expect(got).toEqual([4]);
  });

  test('not again when the connection breaks; again behind a gap', async () => {
    const it = await online();
    const { calls, snapshot } = hand(), { got, onEvent } = collector();
    const topic = it.client.topic('rooms/*', { snapshot, onEvent });
    await settled();
    it.socket.subscribed('e.1');
    it.socket.event('rooms/1', 'e.2', 2);
    await reconnect(it);
    expect(it.socket.commands('SUBSCRIBE')).toMatchObject([{ since: 'e.2' }]);
    it.socket.subscribed('e.2');
    it.socket.event('rooms/1', 'e.3', 3);
    it.socket.caughtUp('e.3');
    calls[0]!.done();
    await settled();
    expect([got, topic.phase, calls.length]).toEqual([[2, 3], 'live', 1]);
    it.socket.control('gap', { from: 'e.3', to: 'e.50', reason: 'retention', topics: ['rooms/*'] });
    it.socket.event('rooms/1', 'e.51', 51);
    expect([calls.length, calls[1]!.position, topic.phase, got]).toEqual([2, 'e.50', 'catching-up', [2, 3]]);
    calls[1]!.done();
    await settled();
    expect([got, topic.phase]).toEqual([[2, 3, 51], 'live']);
  });

  test('too much meanwhile: told as a gap, and begun anew', async () => {
    const it = await online();
    const { calls, snapshot } = hand(), gaps: Gap[] = [];
    const topic = it.client.topic('rooms/*', { snapshot, onGap: gap => gaps.push(gap) });
    await settled();
    it.socket.subscribed('e.1');
    for (let n = 2; n < 1010; n++) it.socket.event('rooms/1', `e.${n}`, n);
    await settled();
    expect(gaps).toEqual([{ from: 'e.1', to: 'e.1002', reason: 'overflow' }]);
    expect(calls[0]!.signal.aborted).toBe(true);
    it.socket.subscribed('e.1009');
    expect(calls[1]!.position).toBe('e.1009');
    calls[1]!.done();
    await topic.ready;
    expect(topic.phase).toBe('live');
  });

  test('by bytes, too', async () => {
    const it = await online();
    const { snapshot } = hand(), gaps: Gap[] = [];
    it.client.topic('rooms/*', { snapshot, onGap: gap => gaps.push(gap) });
    await settled();
    it.socket.subscribed('e.1');
    for (let n = 2; n < 5; n++) it.socket.event('rooms/1', `e.${n}`, 'x'.repeat(400_000));
    expect(gaps).toMatchObject([{ reason: 'overflow' }]);
  });

  test('one that fails is tried again; one that is closed is aborted', async () => {
    const it = await online();
    const { calls, snapshot } = hand(), { got, onEvent } = collector();
    const topic = it.client.topic('rooms/*', { snapshot, onEvent });
    await settled();
    it.socket.subscribed('e.1');
    it.socket.event('rooms/1', 'e.2', 2);
    calls[0]!.failed(new Error('503'));
    await settled();
    expect([topic.phase, topic.error?.code]).toEqual(['catching-up', 'snapshot']);
    await it.clock.tick(1000);
    calls[1]!.done();
    await settled();
    expect([topic.phase, topic.error, got]).toEqual(['live', undefined, [2]]);
    const other = it.client.topic('b', { snapshot });
    await settled();
    it.socket.subscribed('e.3');
    other.close();
    expect(calls[2]!.signal.aborted).toBe(true);
  });
});

describe('an endpoint with topics of its own', () => {
  test('goes on by its URL, with its session; messages are handed on', async () => {
    const messages: unknown[] = [];
    const it = world({ path: '/ws/enhance', format: 'flat', query: { a: '1' }, onMessage: message => messages.push(message.event_id) });
    it.client.open();
    await settled();
    it.socket.welcome({ session: 's1' });
    it.socket.control('caught_up', { position: 'e.1' });
    it.socket.say({ type: 'partial', text: 'x', event_id: 'e.2', topic: 'enhance/ann/s1', timestamp: 't' });
    it.socket.say({ type: 'partial', text: 'x', event_id: 'e.0', topic: 'enhance/ann/s1', timestamp: 't', state: true });
    await reconnect(it);
    expect(it.sockets.map(socket => socket.url.search)).toEqual(['?a=1&format=flat', '?a=1&session=s1&format=flat&since=e.2']);
    expect(messages).toEqual(['e.2', 'e.0']);
  });

  test('what is subscribed besides is resumed beside it', async () => {
    const it = world({ path: '/ws/projects/42' });
    const { got, onEvent } = collector();
    it.client.topic('rooms/*', { onEvent, state: false });
    await settled();
    it.socket.welcome();
    await settled();
    it.socket.subscribed('e.1');
    it.socket.control('caught_up', { position: 'e.1' });
    await reconnect(it);
    expect(it.socket.url.search).toBe('?format=event&since=e.1');
    const { ref } = it.socket.subscribed('e.3');
    it.socket.event('rooms/1', 'e.4', 4);
    it.socket.event('rooms/1', 'e.2', 2, { history: true, ref });
    it.socket.caughtUp('e.3');
    expect(got).toEqual([2, 4]);
  });
});
