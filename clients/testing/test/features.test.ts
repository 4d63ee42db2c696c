// SPDX-License-Identifier: Apache-2.0
// Jobs, texts, entities, presence and locks with the whole client, through what happens to connections.
import { createClient } from '@tidings/client';
import type { Client } from '@tidings/client';
import { entities, entity } from '@tidings/client/entities';
import { job, startJob } from '@tidings/client/jobs';
import { lock } from '@tidings/client/locks';
import { presence } from '@tidings/client/presence';
import { tokenStream } from '@tidings/client/streams';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createTestServer } from '../src/index.ts';
import type { TestJob, TestServer } from '../src/index.ts';

const EVENTS = { start: 'started', text: 'token', output: 'output', complete: 'complete', error: 'failed', cancelled: 'cancelled' };

describe.each(['websocket', 'sse', 'longpoll'] as const)('by %s', transport => {
  const clients: Client[] = [];

  function connect(server: TestServer, user = 'ann'): Client {
    const client = createClient({ ...server.options(user), transports: [transport] });
    clients.push(client);
    if (clients.length > 1) return client;
    onTestFinished(async () => {
      for (const one of clients.splice(0)) one.close();
      await server.clock.flush();
      expect(server.clock.pending).toBe(0);
    });
    return client;
  }

  function withJobs(server: TestServer): { current?: TestJob } {
    const started: { current?: TestJob } = {};
    server.job('write', one => { started.current = one; }, { topic: 'projects/{project_id}', events: EVENTS });
    return started;
  }

  const again = async (server: TestServer, condition: () => unknown) => {
    for (const connection of server.connections) connection.drop();
    await server.clock.advance(3000);
    await server.clock.until(condition);
  };

  test('a job and its text survive broken connections', async () => {
    const server = createTestServer(), started = withJobs(server), client = connect(server);
    const watched = await startJob(client, 'write', { project_id: 'p1' }), lines: unknown[] = [], deltas: string[] = [];
    watched.onEvent(event => lines.push(event.type));
    const text = tokenStream(client, { topic: watched.state.topic!, jobId: watched.id });
    const reading = (async () => { for await (const delta of text) deltas.push(delta); })();
    await server.clock.until(() => started.current);
    started.current!.progress(10).text('Grü').output('one');
    await server.clock.until(() => watched.state.progress === 10 && text.text === 'Grü');
    for (const connection of server.connections) connection.drop();
    started.current!.text('ße').progress(60, 'nearly');
    await server.clock.advance(3000);
    await server.clock.until(() => watched.state.message === 'nearly' && text.text === 'Grüße');
    started.current!.text('!').complete({ text: 'Grüße!' });
    await server.clock.until(() => text.status === 'done');
    await reading;
    expect(await watched.done).toEqual({ text: 'Grüße!' });
    await server.clock.until(() => lines.includes('complete'));
    expect([deltas.join(''), lines]).toEqual(['Grüße!', ['token', 'output', 'token', 'token', 'complete']]);
    watched.close();
    text.close();
  });

  test('who comes late has the whole job, also what it said before', async () => {
    const server = createTestServer(), started = withJobs(server);
    const watched = await startJob(connect(server), 'write', { project_id: 'p1' }, { viewers: ['bob'] });
    await server.clock.until(() => started.current);
    started.current!.progress(30).output('one').text('Hel').text('lo');
    const client = connect(server, 'bob'), late = job(client, watched.id), lines: unknown[] = [];
    late.onEvent(event => { if (event.type === 'output') lines.push((event.data as { line: string }).line); });
    const text = tokenStream(client, { topic: 'projects/p1', jobId: watched.id });
    await server.clock.until(() => late.state.progress === 30 && text.text === 'Hello' && lines.length === 1);
    expect(await late.cancel()).toBe('cancelling');
    await server.clock.until(() => late.state.status === 'cancelled' && text.status === 'cancelled');
    await expect(watched.done).rejects.toMatchObject({ code: 'cancelled' });
    const stranger = job(connect(server, 'eve'), watched.id), none = job(connect(server, 'eve'), 'nothing');
    await server.clock.until(() => stranger.state.refused && none.state.refused);
    expect(stranger.state.refused!.code).toBe(none.state.refused!.code);
    const after = tokenStream(client, { topic: 'projects/p1', jobId: watched.id });
    await server.clock.until(() => after.status === 'cancelled');
    for (const one of [watched, late, text, stranger, none, after]) one.close();
  });

  test('an entity and a list are what the server has, behind a gap too', async () => {
    const server = createTestServer(), client = connect(server);
    server.putEntity('sheet', 'a', { n: 1 });
    const one = entity<Sheets, 'sheet'>(client as unknown as Client<Sheets>, 'sheet', 'a'), list = entities(client as unknown as Client<Sheets>, 'sheet'), own: boolean[] = [];
    one.watch((_, change) => { if (change) own.push(change.own); });
    await server.clock.until(() => one.state.status === 'live' && list.status === 'live');
    expect([one.state.data, list.items.length]).toEqual([{ n: 1 }, 1]);
    await one.patch({ n: 2 }, { ifVersion: one.state.version });
    server.putEntity('sheet', 'a', { n: 3 }, 'bob');
    server.putEntity('sheet', 'b', { n: 1 }, 'bob');
    await server.clock.until(() => one.state.version === 3 && list.items.length === 2);
    expect(own).toEqual([true, false]);
    await expect(one.put({ n: 9 }, { ifVersion: 2 })).rejects.toMatchObject({ code: 'version_conflict', problem: { current: { version: 3 } } });
    for (const connection of server.connections) connection.drop();
    await server.clock.until(() => one.state.status === 'stale' && list.status === 'stale');
    server.putEntity('sheet', 'a', { n: 4 }, 'bob');
    server.deleteEntity('sheet', 'b', 'bob');
    server.trim();
    await again(server, () => one.state.status === 'live' && list.status === 'live');
    expect([one.state.data, one.state.version, list.items.map(item => item.id)]).toEqual([{ n: 4 }, 4, ['a']]);
    await one.remove();
    await server.clock.until(() => list.items.length === 0);
    expect(one.state.status).toBe('deleted');
    one.close();
    list.close();
  });

  test('a lock is renewed, told, and lost when nobody can renew it', async () => {
    const server = createTestServer(), client = connect(server), other = connect(server, 'bob');
    const mine = lock(client, 'projects/p1'), theirs = lock(other, 'projects/p1');
    await server.clock.until(() => client.state.phase === 'online' && other.state.phase === 'online');
    await server.clock.flush();
    await mine.acquire({ ttl: 30 });
    await server.clock.until(() => theirs.state.holder === 'ann');
    await expect(theirs.acquire()).rejects.toMatchObject({ code: 'lock_held', problem: { holder: 'ann' } });
    await server.clock.advance(120_000);
    expect([mine.state.mine, theirs.state.holder]).toEqual([true, 'ann']);
    server.down();
    await server.clock.advance(31_000);
    expect(mine.state).toMatchObject({ mine: false, lost: true });
    server.up();
    await server.clock.advance(60_000);
    await server.clock.until(() => theirs.state.holder === undefined);
    mine.close();
    theirs.close();
  });
});

interface Sheets { entities: { sheet: { n: number } } }

test.each(['websocket', 'sse'] as const)('by %s: who is present is known, and again behind a broken connection', async transport => {
  const server = createTestServer(), ann = createClient({ ...server.options('ann'), transports: [transport] }), bob = createClient({ ...server.options('bob'), transports: [transport] });
  const there = presence(ann, 'projects/p1');
  await server.clock.until(() => there.status === 'live' && there.count === 1);
  const other = presence(bob, 'projects/p1');
  await server.clock.until(() => there.count === 2 && other.count === 2);
  expect(there.users.map(member => member.user).sort()).toEqual(['ann', 'bob']);
  server.connections.find(connection => connection.user === 'ann')!.drop();
  await server.clock.until(() => there.status === 'stale');
  other.close();
  bob.close();
  await server.clock.advance(3000);
  await server.clock.until(() => there.status === 'live' && there.count === 1);
  there.close();
  ann.close();
  await server.clock.flush();
  expect(server.clock.pending).toBe(0);
});
