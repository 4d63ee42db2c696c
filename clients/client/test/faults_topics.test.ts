// SPDX-License-Identifier: Apache-2.0
// Topics when something breaks, ends or is refused in the middle of something else.
import { describe, expect, test, vi } from 'vitest';
import { collector, online, settled } from './world.ts';
import type { FakeSocket, World } from './world.ts';

async function reconnect(it: World): Promise<FakeSocket> {
  it.socket.end();
  await it.clock.tick(it.client.state.retryAt! - it.clock.now());
  it.socket.welcome({ connection_id: 'c2', position: 'e.99' });
  await settled();
  return it.socket;
}

describe('where the connection stands', () => {
  test('of two that begin at different positions the second waits until the first has caught up', async () => {
    const it = await online();
    it.client.topic('jobs/1', { since: 'earliest' });
    it.client.topic('rooms/*', { since: 'e.7' });
    it.client.topic('new', { since: 'e.8' });
    await settled();
    expect(it.socket.commands('SUBSCRIBE')).toMatchObject([{ topics: ['jobs/1'], since: 'earliest' }]);
    it.socket.subscribed('e.0');
    it.socket.caughtUp('e.9');
    await settled();
    expect(it.socket.commands('SUBSCRIBE').slice(1)).toMatchObject([{ topics: ['rooms/*'], since: 'e.7' }, { topics: ['new'], since: 'e.8' }]);
  });

  test('what begins now does not begin where an earlier one is still reading', async () => {
    const it = await online();
    it.client.topic('jobs/1', { since: 'earliest' });
    await settled();
    it.socket.subscribed('e.0');
    it.client.topic('rooms/*', { state: false });
    await settled();
    expect(it.socket.commands('SUBSCRIBE').length).toBe(1);
    it.socket.caughtUp('e.9');
    await settled();
    expect(it.socket.commands('SUBSCRIBE').length).toBe(2);
  });

  test('a topic that came later is not resumed from before it came', async () => {
    const it = await online();
    it.client.topic('rooms/*', { state: false });
    await settled();
    it.socket.subscribed('e.1');
    it.client.topic('other', { state: false });
    await settled();
    it.socket.subscribed('e.9');
    const socket = await reconnect(it);
    expect(socket.commands('SUBSCRIBE')).toMatchObject([{ topics: ['rooms/*', 'other'], since: 'e.9' }]);
  });

  test('with nothing subscribed any more, a `since` moves the connection again', async () => {
    const it = await online();
    it.client.topic('rooms/*', { state: false });
    await settled();
    it.socket.subscribed('e.1');
    it.socket.event('rooms/1', 'e.100', 1);
    it.client.close();
    it.client.open();
    await settled();
    it.socket.welcome();
    await settled();
    it.socket.subscribed('e.100');
    it.socket.caughtUp('e.100');
    const topic = it.client.topic('jobs/1', { since: 'e.50' });
    await settled();
    const { ref } = it.socket.subscribed('e.100');
    expect([topic.phase, topic.position]).toEqual(['catching-up', 'e.50']);
    it.socket.event('jobs/1', 'e.60', 6, { history: true, ref });
    it.socket.caughtUp('e.100');
    expect(topic.phase).toBe('live');
  });

  test('the same, behind an UNSUBSCRIBE', async () => {
    const it = await online();
    const first = it.client.topic('rooms/*', { state: false });
    await settled();
    it.socket.subscribed('e.100');
    first.close();
    await it.clock.tick(1000);
    const topic = it.client.topic('jobs/1', { since: 'e.50' });
    await settled();
    it.socket.subscribed('e.50');
    it.client.topic('late', { state: false });
    await settled();
    // The server goes on from there, and so has a connection that breaks now.
    expect([topic.position, it.socket.commands('SUBSCRIBE').length]).toEqual(['e.50', 2]);
    const socket = await reconnect(it);
    expect(socket.commands('SUBSCRIBE')).toMatchObject([{ topics: ['jobs/1'], since: 'e.50' }]);
  });
});

describe('what is not answered any more', () => {
  test('access that is lost before it has caught up stays lost', async () => {
    const it = await online();
    const topic = it.client.topic('rooms/*');
    await settled();
    it.socket.subscribed('e.1');
    it.socket.control('access_lost', { topics: ['rooms/*'], reason: 'revoked' });
    it.socket.caughtUp('e.1');
    await settled();
    expect([topic.phase, topic.error?.code]).toEqual(['denied', 'forbidden']);
  });

  test('begun anew while it is subscribed: only the new answer counts', async () => {
    const it = await online();
    const calls: unknown[] = [];
    const topic = it.client.topic('rooms/*', { state: true, snapshot: () => new Promise(() => { calls.push(1); }) });
    await settled();
    it.socket.subscribed('e.1');
    for (let n = 2; n < 1010; n++) it.socket.event('rooms/1', `e.${n}`, n);
    await settled();
    it.socket.caughtUp('e.1010');
    expect(topic.phase).toBe('joining');
    await settled();
    it.socket.subscribed('e.1010', 1);
    it.socket.caughtUp('e.1010', 1);
    expect([topic.phase, calls.length]).toEqual(['catching-up', 2]);
  });

  test('closed before it is subscribed: its snapshot is not asked for', async () => {
    const it = await online();
    const snapshot = vi.fn(async () => { throw new Error('503'); });
    const topic = it.client.topic('rooms/*', { snapshot });
    await settled();
    topic.close();
    it.socket.subscribed('e.1');
    await it.clock.tick(30_000);
    expect(snapshot).not.toHaveBeenCalled();
    expect(it.socket.commands('UNSUBSCRIBE').length).toBe(1);
  });

  test('a snapshot that fails is not asked for any more behind close()', async () => {
    const it = await online();
    const snapshot = vi.fn(async () => { throw new Error('503'); });
    it.client.topic('rooms/*', { snapshot });
    await settled();
    it.socket.subscribed('e.1');
    await settled();
    it.client.close();
    await it.clock.tick(120_000);
    expect([snapshot.mock.calls.length, it.clock.timers.size]).toEqual([1, 0]);
  });

  test('a refusal that passes is not waited for behind close()', async () => {
    const it = await online();
    it.client.topic('a');
    await settled();
    it.socket.control('command_error', { ref: it.socket.commands('SUBSCRIBE')[0]!.ref, code: 'unavailable', message: 'a: again.', retry_after: 60 });
    it.client.close();
    expect(it.clock.timers.size).toBe(0);
  });
});

describe('denied, and granted again', () => {
  test('who began at a position goes on from where he was', async () => {
    const it = await online();
    const { got, onEvent } = collector();
    it.client.topic('jobs/1', { since: 'earliest', onEvent });
    await settled();
    it.socket.subscribed('e.0');
    it.socket.event('jobs/1', 'e.5', 5);
    it.socket.caughtUp('e.6');
    it.socket.control('access_lost', { topics: ['jobs/1'], reason: 'revoked' });
    it.socket.control('authenticated', { lost: [] });
    await settled();
    expect(it.socket.commands('SUBSCRIBE').at(-1)).toMatchObject({ topics: ['jobs/1'], since: 'e.6' });
    expect(got).toEqual([5]);
  });

  test('one that is not granted for now gets what it misses once', async () => {
    const it = await online();
    const { got, onEvent } = collector();
    it.client.topic('rooms/*', { state: false });
    it.client.topic('rooms/1', { state: false, onEvent });
    await settled();
    it.socket.subscribed('e.1');
    const socket = await reconnect(it);
    const { ref } = socket.commands('SUBSCRIBE')[0]!;
    socket.control('command_error', { ref, code: 'unavailable', message: 'rooms/1: the authorizer gives no answer; try again.', retry_after: 1 });
    socket.subscribed('e.1');
    socket.event('rooms/1', 'e.2', 2);
    socket.caughtUp('e.2');
    await it.clock.tick(1000);
    const again = socket.subscribed('e.2');
    expect(again).toMatchObject({ topics: ['rooms/1'], since: 'e.1' });
    socket.event('rooms/1', 'e.2', 2, { history: true, ref: again.ref });
    socket.caughtUp('e.2');
    expect(got).toEqual([2]);
  });
});

test('iterating what was closed ends', async () => {
  const it = await online();
  const topic = it.client.topic('rooms/*');
  topic.close();
  let isOver = false;
  void (async () => { for await (const _ of topic); isOver = true; })();
  await settled();
  expect(isOver).toBe(true);
});

test('two who come one after the other are each shown the state once', async () => {
  const it = await online();
  const one = collector(), other = collector();
  it.client.topic('rooms/*', { onEvent: one.onEvent });
  await settled();
  it.client.topic('rooms/*', { onEvent: other.onEvent });
  await settled();
  const { socket } = it;
  expect(socket.commands('SUBSCRIBE').length).toBe(1);
  for (const _ of [one, other]) {
    socket.subscribed('e.1');
    socket.event('rooms/1', 'e.0', 'kept', { state: true });
    socket.caughtUp('e.1');
    await settled();
  }
  expect([one.got, other.got]).toEqual([[['state', 'kept']], [['state', 'kept']]]);
});
