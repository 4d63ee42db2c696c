// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
// The hooks over the real client and the real server.
import './dom.ts';
import { StrictMode } from 'react';
import type { ReactNode } from 'react';
import { cleanup, render } from '@testing-library/react';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createClient } from '@tidings/client';
import type { ClientOptions } from '@tidings/client';
import { isBuilt, realServer } from '../../client/test/server.ts';
import type { RealServer } from '../../client/test/server.ts';
import {
  TidingsProvider, useChanges, useConnection, useEdit, useEntityLive, useEvents, useJob, useLock, useLog, usePresence, useStartJob, useTokenStream, useTopic,
} from '../src/index.ts';
import type { EditUse, LockUse, LogUse, PresenceUse, StartJobUse, TokenStreamUse } from '../src/index.ts';
import { useEntityList } from '../src/query.ts';
import type { Sheet } from './schema.ts';

const SOON = { timeout: 15_000 };

// Nothing is turned by hand here, so nothing waits for act().
beforeAll(() => { globalThis.IS_REACT_ACT_ENVIRONMENT = false; });
afterEach(cleanup);

function clientOf(server: RealServer, options: Partial<ClientOptions> = {}) {
  const client = createClient({ url: server.url, token: server.token, backoff: { base: 50, factor: 2, max: 400 }, ...options });
  onTestFinished(() => client.close());
  return client;
}

function page(client: ReturnType<typeof clientOf>, children: ReactNode) {
  const tree = (inner: ReactNode) => <StrictMode><TidingsProvider client={client}>{inner}</TidingsProvider></StrictMode>;
  const { rerender, container } = render(tree(children), { container: document.body.appendChild(document.createElement('div')) });
  return { container, again: (inner: ReactNode) => rerender(tree(inner)) };
}

// What the server counts.
async function metric(server: RealServer, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return text.split('\n').filter(line => line.startsWith(name + ' ') || line.startsWith(name + '{')).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

describe.runIf(isBuilt)('with the real server', { timeout: 60_000 }, () => {
  test('the transport of these tests is the one that is meant', async () => {
    const client = clientOf(await realServer());
    await client.topic('rooms/1').ready;
    expect(client.state.transport).toBe('websocket');
  });

  test('many components in StrictMode are one subscription; 10,000 that come and go leave none', async () => {
    const server = await realServer();
    const client = clientOf(server);
    const said: string[] = [];
    client.tap((direction, text) => { if (direction === 'out' && text.includes('SUBSCRIBE')) said.push(text); });
    const seen: unknown[] = [];
    function Room({ name }: { name: string }) {
      useTopic(name, event => seen.push(event.data));
      return <i>{useEvents(name).length}</i>;
    }
    const { again, container } = page(client, Array.from({ length: 50 }, (_, i) => <Room key={i} name="rooms/1" />));
    await expect.poll(() => metric(server, 'tidings_subscriptions'), SOON).toBe(1);
    expect(said.map(text => (JSON.parse(text) as { topics: string[] }).topics)).toEqual([['rooms/1']]);
    await server.publish([{ topic: 'rooms/1', type: 'said', data: 1 }]);
    await expect.poll(() => container.textContent, SOON).toBe('1'.repeat(50));
    expect(seen.length).toBe(50);
    expect(said.filter(text => text.includes('UNSUBSCRIBE'))).toEqual([]);
    for (let round = 0; round < 100; round++)
      again(Array.from({ length: 100 }, (_, i) => <Room key={`${round} ${i}`} name={`rooms/${i % 5}`} />));
    again(null);
    await expect.poll(() => metric(server, 'tidings_subscriptions'), SOON).toBe(0);
    expect(client.state.phase).toBe('online');
  });

  test('each component is shown the state, also one that comes later', async () => {
    const server = await realServer();
    await server.publish([{ topic: 'notes/1', type: 'kept', key: 'k', data: 'a' }]);
    const seen: string[] = [];
    function Note({ name }: { name: string }) {
      useTopic('notes/1', event => seen.push(`${name} ${event.data}`));
      return null;
    }
    const { again } = page(clientOf(server), <Note name="first" />);
    await expect.poll(() => seen, SOON).toEqual(['first a']);
    again(<><Note name="first" /><Note name="second" /></>);
    await expect.poll(() => seen, SOON).toEqual(['first a', 'second a']);
  });

  test('a job is started, watched by another page, and its lines are all there', async () => {
    const server = await realServer();
    let use!: StartJobUse<{ project_id: string; proposal_id: string; path?: string }, unknown>;
    let log!: LogUse;
    const done: unknown[] = [];
    function Starts() {
      use = useStartJob('validate', { onDone: result => done.push(result) });
      log = useLog(use.job?.id ?? null);
      return <p>{use.job?.status}</p>;
    }
    const { container } = page(clientOf(server), <Starts />);
    const { id } = await use.start({ project_id: 'demo', proposal_id: '7' });
    function Watches() {
      return <p>{useJob(id).status} {useLog(id).total > 0 ? 'lines' : ''}</p>;
    }
    const other = page(clientOf(server), <Watches />);
    await expect.poll(() => container.textContent, SOON).toBe('done');
    await expect.poll(() => other.container.textContent, SOON).toBe('done lines');
    await expect.poll(() => log.lines.length, SOON).toBeGreaterThan(0);
    expect(done.length).toBe(1);
    expect(log.lines.every(line => line.stream === 'stdout' || line.stream === 'stderr')).toBe(true);
    await expect(use.start({ project_id: 'no such/segment', proposal_id: '7' })).rejects.toMatchObject({ code: 'bad_request' });
    await expect.poll(() => use.error?.code, SOON).toBe('bad_request');
  });

  test('the text of a model grows, and is whole at its end', async () => {
    const server = await realServer();
    let use!: StartJobUse<{ text: string }, { text: string }>;
    let text!: TokenStreamUse;
    const shown = new Set<string>();
    function Enhances() {
      use = useStartJob('enhance');
      text = useTokenStream(use.job?.topic ? { topic: use.job.topic, jobId: use.job.id } : null);
      shown.add(text.text);
      return null;
    }
    const client = clientOf(server, { path: '/ws/enhance' });
    page(client, <Enhances />);
    await expect.poll(() => client.state.phase, SOON).toBe('online');
    await use.start({ text: 'write a till' }, { requestId: 'r1' });
    await expect.poll(() => text.status, SOON).toBe('done');
    expect(text.text).toBe(use.job?.result?.text);
    expect(shown.size).toBeGreaterThan(2);
  });

  test('two who edit: other fields are merged, the same field is a conflict, one\'s own is none', async () => {
    const server = await realServer();
    const [ann, bob] = [clientOf(server), clientOf(server, { token: server.sign('bob') })];
    await ann.request('PUT', '/api/v1/entities/sheets/s1', { body: { name: 'one', size: 1 } satisfies Sheet });
    const edits: { [who: string]: EditUse<Sheet> } = {};
    const changes: string[] = [];
    function Form({ who }: { who: string }) {
      edits[who] = useEdit({ type: 'sheets', id: 's1' });
      useChanges(change => changes.push(`${who} is told of ${change.actor}'s ${change.version}`), { types: ['sheets'] });
      return null;
    }
    page(ann, <Form who="ann" />);
    page(bob, <Form who="bob" />);
    await expect.poll(() => [edits.ann!.version, edits.bob!.version], SOON).toEqual([1, 1]);
    // Changes are told from when their topic is live; a publish through it says that it is.
    await expect.poll(() => metric(server, 'tidings_subscriptions'), SOON).toBe(4);
    edits.bob!.set({ size: 2 });
    edits.ann!.set({ name: 'ann\'s' });
    expect(await edits.ann!.save()).toBe('saved');
    await expect.poll(() => edits.bob!.conflict, SOON).toBe('other-fields');
    expect(edits.ann).toMatchObject({ conflict: 'none', version: 2, dirty: false });
    expect(await edits.bob!.save()).toBe('saved');
    await expect.poll(() => edits.ann!.remote?.fields, SOON).toEqual(['size']);
    edits.ann!.takeTheirs();
    await expect.poll(() => edits.ann!.draft, SOON).toEqual({ name: 'ann\'s', size: 2 });
    // At the same time: one of them is refused.
    edits.ann!.set({ name: 'a' });
    edits.bob!.set({ name: 'b' });
    const ends = await Promise.all([edits.ann!.save(), edits.bob!.save()]);
    expect(ends.toSorted()).toEqual(['conflict', 'saved']);
    await expect.poll(() => [edits.ann!.conflict, edits.bob!.conflict].toSorted(), SOON).toEqual(['none', 'same-fields']);
    const loser = ends[0] === 'conflict' ? 'ann' : 'bob';
    edits[loser]!.merge();
    expect(await edits[loser]!.save()).toBe('saved');
    expect(edits[loser]).toMatchObject({ conflict: 'none', dirty: false, version: 5 });
    await expect.poll(() => changes.length, SOON).toBe(4);
    expect(changes.slice(0, 2)).toEqual(['bob is told of ann\'s 2', 'ann is told of bob\'s 3']);
  });

  test('who is there, and who holds the lock', async () => {
    const server = await realServer();
    const [ann, bob] = [clientOf(server), clientOf(server, { token: server.sign('bob') })];
    const people: { [who: string]: PresenceUse } = {};
    const locks: { [who: string]: LockUse } = {};
    function Project({ who }: { who: string }) {
      people[who] = usePresence('projects/42');
      locks[who] = useLock('projects/42');
      return null;
    }
    const shown = page(ann, <Project who="ann" />);
    page(bob, <Project who="bob" />);
    await expect.poll(() => people.ann!.others.map(other => other.user), SOON).toEqual(['bob']);
    await expect.poll(() => people.bob!.others.map(other => other.user), SOON).toEqual(['ann']);
    expect(people.bob!.count).toBe(2);
    await locks.ann!.acquire();
    expect(locks.ann).toMatchObject({ mine: true, holder: 'ann' });
    await expect.poll(() => locks.bob!.holder, SOON).toBe('ann');
    await expect(locks.bob!.acquire()).rejects.toMatchObject({ code: 'lock_held' });
    // Who leaves gives it back.
    shown.again(null);
    await expect.poll(() => locks.bob!.holder, SOON).toBe(undefined);
    await expect.poll(() => people.bob!.count, SOON).toBe(1);
  });

  test('a list in a cache lives through a restart of the server', async () => {
    const server = await realServer();
    const client = clientOf(server);
    const put = (id: string, name: string) => client.request('PUT', `/api/v1/entities/sheets/${id}`, { body: { name, size: 1 } });
    await put('a', 'a');
    const cache = new QueryClient();
    function List() {
      const { data } = useEntityList('sheets');
      return <p>{data?.map(row => row.data.name).join()}</p>;
    }
    function One() {
      return <p>{useEntityLive('sheets', 'a', state => state.data?.name)} {useConnection(state => state.phase)}</p>;
    }
    const { container } = page(client, <QueryClientProvider client={cache}><List /><One /></QueryClientProvider>);
    await expect.poll(() => container.textContent, SOON).toBe('aa online');
    await put('b', 'b');
    await expect.poll(() => container.textContent, SOON).toBe('a,ba online');
    await server.publishWhileAway([
      { topic: 'entities/sheets/a', type: 'ENTITY_UPDATED', data: { name: 'a2', size: 1 } },
      { topic: 'entities/sheets/c', type: 'ENTITY_CREATED', data: { name: 'c', size: 1 } },
      { topic: 'entities/sheets/b', type: 'ENTITY_DELETED' },
    ]);
    await expect.poll(() => container.textContent, SOON).toBe('a2,ca2 online');
  });
});
