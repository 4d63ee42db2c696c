// SPDX-License-Identifier: Apache-2.0
// Publishing: at once, later, or again, and never twice.
import { expect, test } from 'vitest';
import { online, settled, world } from './world.ts';

test('over the socket, with a key of its own', async () => {
  const it = await online();
  const done = it.client.publish('rooms/1', 'said', { a: 1 }, { key: 'k', class: 'latest' });
  await settled();
  const [command] = it.socket.commands('publish');
  expect(command!.event).toEqual({ topic: 'rooms/1', type: 'said', data: { a: 1 }, key: 'k', class: 'latest', dedup: expect.any(String) });
  it.socket.control('published', { ref: command!.ref, id: 'e.1', position: 'e.1', durable: true });
  expect(await done).toEqual({ id: 'e.1', position: 'e.1', durable: true });
});

test('an answer that was lost: repeated with the same key', async () => {
  const it = await online();
  const done = it.client.publish('rooms/1', 'said', 1);
  await settled();
  const [first] = it.socket.commands('publish');
  it.socket.end();
  await it.clock.tick(1000);
  it.socket.welcome();
  await settled();
  const [again] = it.socket.commands('publish');
  expect(again!.event).toEqual(first!.event);
  it.socket.control('published', { ref: again!.ref, id: 'e.1', position: 'e.1', durable: true });
  expect((await done).id).toBe('e.1');
});

test('while there is no connection it waits, in order', async () => {
  const it = world();
  const done = [1, 2, 3].map(n => it.client.publish('a', 'said', n));
  await settled();
  it.socket.welcome();
  await settled();
  const commands = it.socket.commands('publish');
  expect(commands.map(one => one.event.data)).toEqual([1, 2, 3]);
  for (const { ref } of commands) it.socket.control('published', { ref, id: 'e.1', position: 'e.1', durable: true });
  await Promise.all(done);
});

test('so many, for so long', async () => {
  const it = world({ outbox: { max: 2, ttl: 5000 } });
  const settle = [1, 2].map(n => it.client.publish('a', 'said', n).catch(error => error.code));
  await settled();
  await expect(it.client.publish('a', 'said', 3)).rejects.toMatchObject({ code: 'outbox_full' });
  await it.clock.tick(5000);
  expect(await Promise.all(settle)).toEqual(['timeout', 'timeout']);
});

test('volatile and ephemeral ones wait for nothing, and are not repeated', async () => {
  const it = world();
  await expect(it.client.publish('a', 'said', 1, { volatile: true })).rejects.toMatchObject({ code: 'network' });
  await expect(it.client.publish('a', 'typing', 1, { class: 'ephemeral' })).rejects.toMatchObject({ code: 'network' });
  const other = await online();
  const done = other.client.publish('a', 'typing', 1, { class: 'ephemeral' }).catch(error => error.code);
  await settled();
  expect(other.socket.commands('publish')[0]!.event.dedup).toBeUndefined();
  other.socket.end();
  expect(await done).toBe('network');
  await other.clock.tick(1000);
  other.socket.welcome();
  await settled();
  expect(other.socket.commands('publish')).toEqual([]);
});

test('refused; or too early, and then again', async () => {
  const it = await online();
  const refused = it.client.publish('jobs/1', 'said');
  await settled();
  it.socket.control('command_error', { ref: it.socket.commands('publish')[0]!.ref, code: 'reserved_topic', message: 'Only the server writes to this topic.' });
  await expect(refused).rejects.toMatchObject({ code: 'reserved_topic' });
  const early = it.client.publish('a', 'said');
  await settled();
  it.socket.control('command_error', { ref: it.socket.commands('publish')[1]!.ref, code: 'rate_limited', message: 'Slow down.', retry_after: 2 });
  await settled();
  await it.clock.tick(2000);
  const last = it.socket.commands('publish')[2]!;
  expect(last.event.dedup).toBe(it.socket.commands('publish')[1]!.event.dedup);
  it.socket.control('published', { ref: last.ref, id: 'e.1', position: 'e.1', durable: true });
  await early;
});

test('what can not be carried out now is repeated a second later, not at once', async () => {
  const it = await online();
  const done = it.client.publish('a', 'said');
  await settled();
  it.socket.control('command_error', { ref: it.socket.commands('publish')[0]!.ref, code: 'unavailable', message: 'Not now.' });
  await it.clock.tick(999);
  expect(it.socket.commands('publish')).toHaveLength(1);
  await it.clock.tick(1);
  expect(it.socket.commands('publish')).toHaveLength(2);
  it.socket.control('published', { ref: it.socket.commands('publish')[1]!.ref, id: 'e.1', position: 'e.1', durable: true });
  await done;
});

test('close() ends what waits; an abort ends one', async () => {
  const it = world();
  const control = new AbortController();
  const one = it.client.publish('a', 'said', 1, { signal: control.signal }).catch(error => error.code);
  const other = it.client.publish('a', 'said', 2).catch(error => error.code);
  await settled();
  control.abort();
  expect(await one).toBe('aborted');
  it.client.close();
  expect(await other).toBe('closed');
  await expect(it.client.publish('a', 'said')).rejects.toMatchObject({ code: 'closed' });
  expect(it.clock.timers.size).toBe(0);
});

test('commands: answered by ref, aborted, timed out', async () => {
  const it = await online();
  const answer = it.client.command('start', { kind: 'x' });
  await settled();
  const { ref } = it.socket.commands('start')[0]!;
  it.socket.control('started', { ref, job_id: 'j1' });
  expect(await answer).toMatchObject({ job_id: 'j1' });
  const control = new AbortController();
  const aborted = it.client.command('ping', {}, control.signal);
  await settled();
  control.abort();
  await expect(aborted).rejects.toMatchObject({ code: 'aborted' });
  const late = it.client.command('ping').catch(error => error.code);
  await it.clock.tick(30_000);
  expect(await late).toBe('timeout');
});
