// SPDX-License-Identifier: Apache-2.0
// Against the real server: jobs of its examples, texts, entities, presence and locks.
import { describe, expect, onTestFinished, test } from 'vitest';
import { entities, entity } from '../src/entities.ts';
import { createClient } from '../src/index.ts';
import type { ClientOptions } from '../src/index.ts';
import { job, logLine, startJob } from '../src/jobs.ts';
import { lock } from '../src/locks.ts';
import { presence } from '../src/presence.ts';
import { tokenStream } from '../src/streams.ts';
import { isBuilt, realServer } from './server.ts';
import type { RealServer } from './server.ts';

const SOON = { timeout: 20_000 };

function clientOf(server: RealServer, user: string, options: Partial<ClientOptions> = {}) {
  const client = createClient({ url: server.url, token: server.sign(user), backoff: { base: 50, factor: 2, max: 400 }, ...options });
  onTestFinished(() => client.close());
  return client;
}

describe.runIf(isBuilt).each(['websocket', 'sse'] as const)('by %s', { timeout: 60_000 }, transport => {
  const transports = [transport];

  test('a pipeline is watched to its end, with its text and its lines, by who started it and by who comes late', async () => {
    const server = await realServer(), client = clientOf(server, 'ann', { transports }), params = { project_id: 'demo', proposal_id: '7', instruction: 'Replace day_total by total' };
    const started = await startJob(client, 'iterate', params, { viewers: ['bob'] }), types: string[] = [], deltas: string[] = [];
    started.onEvent(event => types.push(event.type));
    const text = tokenStream(client, { topic: started.state.topic!, jobId: started.id });
    const reading = (async () => { for await (const delta of text) deltas.push(delta); })();
    await expect.poll(() => text.text.length, SOON).toBeGreaterThan(20);
    const late = job(clientOf(server, 'bob', { transports }), started.id), stranger = job(clientOf(server, 'eve', { transports }), started.id);
    await expect.poll(() => late.state.status, SOON).toBe('running');
    await expect.poll(() => stranger.state.refused?.code, SOON).toBe('not_found');
    const result = await started.done as { files_modified: string[] };
    expect(result.files_modified).toEqual(['src/till.py']);
    await late.done;
    await reading;
    expect([text.status, deltas.join('')]).toEqual(['done', text.text]);
    await expect.poll(() => types.at(-1), SOON).toBe('iteration_complete');
    const again = tokenStream(client, { topic: started.state.topic!, jobId: started.id });
    await expect.poll(() => again.status, SOON).toBe('done');
    const lines: string[] = [], validating = await startJob(client, 'validate', { project_id: 'demo', proposal_id: '7', path: 'drafts' });
    validating.onEvent(event => { const line = logLine(event); if (line) lines.push(line.text); });
    await validating.done;
    await expect.poll(() => lines.length, SOON).toBeGreaterThan(0);
    for (const one of [started, text, late, stranger, again, validating]) one.close();
  });

  test('a job survives the client’s connection, and its end the server', async () => {
    const server = await realServer(), client = clientOf(server, 'ann', { transports });
    const started = await startJob(client, 'journal', { pages: '20000' });
    await expect.poll(() => started.state.progress, SOON).toBeGreaterThan(0);
    await server.kill9();
    await server.up();
    await expect(started.done).rejects.toMatchObject({ code: 'orphaned' });
    expect(started.state).toMatchObject({ status: 'failed', error: { code: 'orphaned' } });
    started.close();
  });

  test('entities of two clients are the same, also behind a server that was killed', async () => {
    const server = await realServer(), ann = clientOf(server, 'ann', { transports }), bob = clientOf(server, 'bob', { transports });
    const mine = entity(ann, 'sheet', 'a'), theirs = entity(bob, 'sheet', 'a'), list = entities(bob, 'sheet'), own: boolean[] = [], foreign: boolean[] = [];
    mine.watch((_, change) => { if (change) own.push(change.own); });
    theirs.watch((_, change) => { if (change) foreign.push(change.own); });
    await expect.poll(() => [mine.state.status, theirs.state.status, list.status], SOON).toEqual(['missing', 'missing', 'live']);
    await mine.put({ n: 1 }, { create: true });
    await mine.patch({ n: 2 }, { ifVersion: 1 });
    await expect.poll(() => [theirs.state.version, list.items[0]?.data], SOON).toEqual([2, { n: 2 }]);
    await expect(theirs.put({ n: 9 }, { ifVersion: 1 })).rejects.toMatchObject({ code: 'version_conflict', problem: { current: { version: 2 } } });
    await server.kill9();
    await expect.poll(() => theirs.state.status, SOON).toBe('stale');
    await server.up();
    await theirs.put({ n: 3 }, { ifVersion: 2 });
    await expect.poll(() => [mine.state.status, mine.state.version], SOON).toEqual(['live', 3]);
    await expect.poll(() => [own, foreign], SOON).toEqual([[true, true, false], [false, false, true]]);
    await mine.remove();
    await expect.poll(() => [theirs.state.status, list.items.length], SOON).toEqual(['deleted', 0]);
    for (const one of [mine, theirs, list]) one.close();
  });

  test('who is there, and who holds the lock', async () => {
    const server = await realServer(), ann = clientOf(server, 'ann', { transports }), bob = clientOf(server, 'bob', { transports });
    const there = presence(ann, 'projects/demo'), other = presence(bob, 'projects/demo');
    await expect.poll(() => [there.users.map(one => one.user).sort(), other.count], SOON).toEqual([['ann', 'bob'], 2]);
    const mine = lock(ann, 'projects/demo'), theirs = lock(bob, 'projects/demo'), name = lock(ann, 'notes/x@y');
    const { fence } = await mine.acquire({ ttl: 3 });
    expect(fence).toBeGreaterThan(0);
    await expect.poll(() => [theirs.state.holder, theirs.state.mine], SOON).toEqual(['ann', false]);
    await expect(theirs.acquire()).rejects.toMatchObject({ code: 'lock_held', problem: { holder: 'ann' } });
    expect(Date.parse(theirs.state.until!) - Date.now()).toBeGreaterThan(0);
    await mine.release();
    await expect.poll(() => theirs.state.holder, SOON).toBeUndefined();
    expect((await theirs.acquire()).fence).toBeGreaterThan(fence!);
    theirs.close();
    await expect.poll(() => mine.state.holder, SOON).toBeUndefined();
    await name.acquire();
    await name.release();
    other.close();
    bob.close();
    await expect.poll(() => there.count, SOON).toBe(1);
    for (const one of [there, mine, name]) one.close();
  });
});

test.runIf(isBuilt)('a kind that lives in a session is started on its endpoint', { timeout: 60_000 }, async () => {
  const server = await realServer(), client = clientOf(server, 'ann', { path: '/ws/enhance', transports: ['websocket'] });
  client.open();
  await expect.poll(() => client.welcome?.session, SOON).toBeTruthy();
  const started = await startJob(client, 'enhance', { text: 'write a till' }, { requestId: 'r1' });
  await expect.poll(() => started.state.topic, SOON).toBeTruthy();
  const text = tokenStream(client, { topic: started.state.topic!, requestId: 'r1' });
  await started.done;
  await expect.poll(() => text.status, SOON).toBe('done');
  expect(text.text.length).toBeGreaterThan(20);
  expect((await startJob(client, 'enhance', { text: 'write a till' }, { requestId: 'r1' })).id).toBe(started.id);
  started.close();
  text.close();
});
