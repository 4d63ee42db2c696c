// SPDX-License-Identifier: Apache-2.0
import { StrictMode } from 'react';
import type { ReactNode } from 'react';
import { act, cleanup, render } from '@testing-library/react';
import { notifyManager, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { afterEach, expect, expectTypeOf, test } from 'vitest';
import { entity } from '@tidings/client/entities';
import type { Client } from '@tidings/client';
import { FakeClient } from '../../client/test/fake_client.ts';
import { TidingsProvider } from '../src/index.ts';
import { useEntity, useEntityList, useEntitySync } from '../src/query.ts';
import type { EntityListOptions, EntityRow, QueryOptions, SyncConfig } from '../src/query.ts';
import type { Sheet } from './schema.ts';

// By itself it waits for a timer of the platform.
notifyManager.setScheduler(queueMicrotask);
afterEach(cleanup);

type Row = EntityRow<Sheet>;

const event = (action: string, id: string, version: number, payload: object | null, more: object = {}) =>
  ({ topic: `entities/sheets/${id}`, type: `ENTITY_${action}`, key: 'entity', id: `e.${id}.${version}`, actor: 'bob', data: { payload, version }, ...more });
const answer = (id: string, version: number, payload: object) => ({ entity_type: 'sheets', entity_id: id, version, payload, event_id: `e.${id}.${version}` });

function page(children: ReactNode) {
  const fake = new FakeClient();
  const cache = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const tree = (inner: ReactNode) => (
    <StrictMode><TidingsProvider client={fake as unknown as Client}><QueryClientProvider client={cache}>{inner}</QueryClientProvider></TidingsProvider></StrictMode>
  );
  const { rerender, unmount } = render(tree(children));
  const settle = () => act(async () => { await fake.clock.advance(0); });
  return {
    fake, cache, unmount, settle,
    again: (inner: ReactNode) => rerender(tree(inner)),
    wait: (ms: number) => act(() => fake.clock.advance(ms)),
    async live(topic: string) {
      act(() => fake.followed(topic).become('live'));
      await settle();
    },
    async say(topic: string, ...args: Parameters<typeof event>) {
      act(() => fake.followed(topic).say(event(...args)));
      await settle();
    },
    async answer(data: unknown) {
      await act(() => fake.next().answer(data));
      await settle();
    },
  };
}

function one(query: Parameters<typeof useEntity<'sheets', Row>>[2] = {}) {
  const seen = {} as { sheet: ReturnType<typeof useEntity<'sheets', Row>>; renders: number };
  function Detail() {
    seen.sheet = useEntity<'sheets', Row>('sheets', 's1', query);
    seen.renders = (seen.renders ?? 0) + 1;
    return <p>{seen.sheet.data?.data.name}</p>;
  }
  const shown = page(<Detail />);
  return { ...shown, seen, Detail, get sheet() { return seen.sheet; } };
}

const ONE = 'entities/sheets/s1';
const ALL = 'entities/sheets/*';

test('first the subscription, then the fetch; then what is newer is written to the cache, and nothing is fetched', async () => {
  const it = one();
  await it.settle();
  expect(it.fake.asked.length).toBe(0);
  await it.live(ONE);
  await it.answer(answer('s1', 3, { name: 'a', size: 1 }));
  expect(it.sheet.data).toEqual({ id: 's1', version: 3, data: { name: 'a', size: 1 } });
  await it.say(ONE, 'UPDATED', 's1', 3, { name: 'as old', size: 0 });
  expect(it.sheet.data?.data.name).toBe('a');
  await it.say(ONE, 'UPDATED', 's1', 4, { name: 'b', size: 1 });
  expect(it.sheet.data).toMatchObject({ version: 4, data: { name: 'b' } });
  expect(it.sheet.changed).toMatchObject({ action: 'updated', actor: 'bob', version: 4 });
  await it.wait(5000);
  expect(it.fake.asked.length).toBe(0);
});

test('a subscription that takes long is not waited for, but fetched behind again', async () => {
  const it = one();
  await it.wait(1000);
  await it.answer(answer('s1', 3, { name: 'a', size: 1 }));
  expect(it.sheet.data?.version).toBe(3);
  await it.live(ONE);
  await it.wait(2300);
  await it.answer(answer('s1', 5, { name: 'b', size: 1 }));
  expect(it.sheet.data?.version).toBe(5);
});

test('a fetch under way can not bring back what is older', async () => {
  const it = one();
  await it.live(ONE);
  await it.answer(answer('s1', 3, { name: 'a', size: 1 }));
  act(() => void it.cache.refetchQueries({ queryKey: ['tidings', 'sheets', 's1'] }));
  await it.settle();
  const late = it.fake.next();
  await it.say(ONE, 'UPDATED', 's1', 4, { name: 'b', size: 1 });
  await act(() => late.answer(answer('s1', 3, { name: 'a', size: 1 })));
  await it.settle();
  expect(it.sheet.data).toMatchObject({ version: 4, data: { name: 'b' } });
});

test('a change during the first fetch is followed by another fetch', async () => {
  const it = one();
  await it.live(ONE);
  const first = it.fake.next();
  await it.say(ONE, 'UPDATED', 's1', 4, { name: 'b', size: 1 });
  await it.wait(400);
  expect(it.fake.asked.length).toBe(0);
  await act(() => first.answer(answer('s1', 3, { name: 'a', size: 1 })));
  await it.settle();
  await it.answer(answer('s1', 4, { name: 'b', size: 1 }));
  expect(it.sheet.data?.version).toBe(4);
});

test('rows of your own: many changes are one fetch, `project` none', async () => {
  let fetched = 0;
  const query = { queryKey: ['mine'], queryFn: async () => ({ id: 's1', version: 3 + fetched++, data: { name: 'fetched', size: 1 } }) };
  const it = one(query);
  await it.live(ONE);
  expect([fetched, it.sheet.data?.data.name]).toEqual([1, 'fetched']);
  for (let version = 10; version < 20; version++) await it.say(ONE, 'UPDATED', 's1', version, { name: 'b', size: 1 });
  await it.wait(299);
  expect(fetched).toBe(1);
  await it.wait(1);
  expect(fetched).toBe(2);
  const other = one({ ...query, project: (change, before) => ({ ...before!, version: change.version!, data: { ...before!.data, name: 'projected' } }) });
  await other.live(ONE);
  await other.say(ONE, 'UPDATED', 's1', 20, { name: 'b', size: 1 });
  await other.wait(1000);
  expect([fetched, other.sheet.data?.data.name, other.sheet.data?.version]).toEqual([3, 'projected', 20]);
});

test('deleted: the last of it stays to be seen, and made anew it is shown again', async () => {
  const it = one();
  await it.live(ONE);
  await it.answer(answer('s1', 3, { name: 'a', size: 1 }));
  expect(it.sheet.deleted).toBe(false);
  await it.say(ONE, 'DELETED', 's1', 4, { name: 'a', size: 1 });
  expect([it.sheet.deleted, it.sheet.data?.data.name]).toEqual([true, 'a']);
  await it.say(ONE, 'CREATED', 's1', 1, { name: 'again', size: 1 });
  expect([it.sheet.deleted, it.sheet.data]).toEqual([false, { id: 's1', version: 1, data: { name: 'again', size: 1 } }]);
});

test('own changes are shown, and are no news', async () => {
  const it = one();
  await it.live(ONE);
  await it.answer(answer('s1', 3, { name: 'a', size: 1 }));
  const sheet = entity(it.fake as unknown as Client, 'sheets', 's1');
  const writing = sheet.patch({ name: 'mine' });
  await it.answer(answer('s1', 4, { name: 'mine', size: 1 }));
  await act(() => writing);
  // Both follow the same topic here.
  for (const topic of it.fake.topics) if (topic.name === ONE && !topic.closed) act(() => topic.say(event('UPDATED', 's1', 4, { name: 'mine', size: 1 }, { actor: 'ann' })));
  await it.settle();
  expect([it.sheet.data?.data.name, it.sheet.changed]).toEqual(['mine', undefined]);
  sheet.close();
});

test('behind a gap it is fetched again, once, within the next two seconds', async () => {
  const it = one();
  await it.live(ONE);
  await it.answer(answer('s1', 3, { name: 'a', size: 1 }));
  act(() => it.fake.followed(ONE).gap());
  act(() => it.fake.followed(ONE).gap());
  await it.wait(299);
  expect(it.fake.asked.length).toBe(0);
  await it.wait(2001);
  expect(it.fake.asked.length).toBe(1);
});

test('what came while nobody looked is fetched by who looks again', async () => {
  const it = one({ staleTime: Infinity });
  await it.live(ONE);
  await it.answer(answer('s1', 3, { name: 'a', size: 1 }));
  it.again(null);
  await it.say(ONE, 'UPDATED', 's1', 4, { name: 'b', size: 1 });
  it.again(<it.Detail />);
  await it.wait(2300);
  expect(it.fake.asked.length).toBe(1);
});

test('a component renders for the members that it reads', async () => {
  const it = one();
  await it.live(ONE);
  await it.answer(answer('s1', 3, { name: 'a', size: 1 }));
  const before = it.seen.renders;
  await act(async () => { void it.cache.refetchQueries({ queryKey: ['tidings', 'sheets', 's1'] }); });
  await it.answer(answer('s1', 3, { name: 'a', size: 1 }));
  expect(it.seen.renders).toBe(before);
});

function many(options: EntityListOptions<Sheet, Row> = {}, query: QueryOptions<Row[]> = {}) {
  const seen = {} as { list: ReturnType<typeof useEntityList<'sheets', Row>> };
  function List() {
    seen.list = useEntityList<'sheets', Row>('sheets', options, query);
    return null;
  }
  const shown = page(<List />);
  return { ...shown, names: () => seen.list.data?.map(row => row.data.name).join(), get list() { return seen.list; } };
}

const two = { entities: [answer('a', 1, { name: 'a', size: 1 }), answer('b', 1, { name: 'b', size: 9 })], more: false };

test('a list: what belongs to it comes in, what does not any more goes', async () => {
  const it = many({ where: sheet => sheet.size < 5, sort: (a, b) => a.data.name.localeCompare(b.data.name) });
  await it.live(ALL);
  await it.answer({ entities: [two.entities[0]], more: true });
  await it.answer({ entities: [two.entities[1]], more: false });
  expect(it.names()).toBe('a');
  await it.say(ALL, 'CREATED', 'c', 1, { name: 'c', size: 1 });
  await it.say(ALL, 'CREATED', 'd', 1, { name: 'd', size: 7 });
  await it.say(ALL, 'UPDATED', 'b', 2, { name: 'b', size: 2 });
  expect(it.names()).toBe('a,b,c');
  await it.say(ALL, 'UPDATED', 'a', 1, { name: 'older', size: 1 });
  await it.say(ALL, 'UPDATED', 'b', 3, { name: 'b', size: 20 });
  await it.say(ALL, 'DELETED', 'c', 2, { name: 'c', size: 1 });
  expect(it.names()).toBe('a');
  await it.wait(5000);
  expect(it.fake.asked.length).toBe(0);
});

test('notify: what is new is counted until it is wanted; the rest is kept up to date', async () => {
  const it = many({ mode: 'notify' });
  await it.live(ALL);
  await it.answer(two);
  await it.say(ALL, 'CREATED', 'c', 1, { name: 'c', size: 1 });
  await it.say(ALL, 'UPDATED', 'c', 2, { name: 'c2', size: 1 });
  await it.say(ALL, 'CREATED', 'd', 1, { name: 'd', size: 1 });
  await it.say(ALL, 'CREATED', 'e', 1, { name: 'e', size: 1 });
  await it.say(ALL, 'DELETED', 'e', 2, { name: 'e', size: 1 });
  await it.say(ALL, 'UPDATED', 'a', 2, { name: 'a2', size: 1 });
  await it.say(ALL, 'DELETED', 'b', 2, { name: 'b', size: 9 });
  expect([it.names(), it.list.arrivals]).toEqual(['a2', 2]);
  const apply = it.list.applyArrivals;
  act(() => it.list.applyArrivals());
  await it.settle();
  expect([it.names(), it.list.arrivals]).toEqual(['a2,c2,d', 0]);
  expect(it.list.applyArrivals).toBe(apply);
});

test('notify: what oneself makes is shown at once', async () => {
  const it = many({ mode: 'notify' });
  await it.live(ALL);
  await it.answer(two);
  const sheet = entity(it.fake as unknown as Client, 'sheets', 'c');
  const writing = sheet.put({ name: 'mine', size: 1 });
  await it.answer(answer('c', 1, { name: 'mine', size: 1 }));
  await act(() => writing);
  await it.say(ALL, 'CREATED', 'c', 1, { name: 'mine', size: 1 }, { actor: 'ann' });
  expect([it.names(), it.list.arrivals]).toEqual(['a,b,mine', 0]);
  sheet.close();
});

test('a list by your own query, without `project`: fetched again for what changes; new ones are counted in notify', async () => {
  let fetched = 0;
  const row = (id: string, name: string): Row => ({ id, version: 1, data: { name, size: 1 } });
  const it = many({ mode: 'notify' }, { queryKey: ['mine'], queryFn: async () => [row('a', `a${++fetched}`)] });
  await it.live(ALL);
  await it.say(ALL, 'CREATED', 'c', 1, { name: 'c', size: 1 });
  await it.wait(1000);
  expect([fetched, it.list.arrivals]).toEqual([1, 1]);
  await it.say(ALL, 'UPDATED', 'a', 2, { name: 'a', size: 1 });
  await it.wait(300);
  expect([fetched, it.names()]).toEqual([2, 'a2']);
  act(() => it.list.applyArrivals());
  await it.wait(0);
  expect([fetched, it.list.arrivals]).toEqual([3, 0]);
});

test('useEntitySync: details and lists wherever they are, those on the screen only', async () => {
  const shown = { inactive: 0, list: 0 };
  const config: SyncConfig = {
    sheets: { key: id => ['sheet', id], listKeys: [['sheets']], project: change => ({ version: change.version, name: change.data!.name }) as never },
  };
  function App() {
    useEntitySync(config);
    useEntityList('sheets', { where: () => false }, { queryKey: ['sheets', 'mine'], queryFn: async () => { shown.list++; return []; } });
    return null;
  }
  const it = page(<App />);
  for (const topic of it.fake.topics) if (!topic.closed) act(() => topic.become('live'));
  await it.settle();
  const say = async (...args: Parameters<typeof event>) => {
    for (const topic of it.fake.topics) if (!topic.closed) act(() => topic.say(event(...args)));
    await it.settle();
  };
  it.cache.setQueryData(['sheet', 's1'], { version: 1, name: 'a' });
  await it.cache.prefetchQuery({ queryKey: ['sheets', 'other'], queryFn: async () => { shown.inactive++; return []; } });
  for (let version = 2; version < 9; version++) await say('UPDATED', 's1', version, { name: `v${version}`, size: 1 });
  expect(it.cache.getQueryData(['sheet', 's1'])).toEqual({ version: 8, name: 'v8' });
  await it.wait(1000);
  expect(shown).toEqual({ inactive: 1, list: 2 });
  await say('DELETED', 's1', 9, null);
  expect(it.cache.getQueryData(['sheet', 's1'])).toBe(undefined);
  it.unmount();
  await it.wait(3000);
  expect(it.fake.topics.filter(topic => !topic.closed)).toEqual([]);
  expect(it.fake.clock.pending).toBe(0);
});

test('types', () => {
  expectTypeOf<ReturnType<typeof useEntity<'sheets'>>['data']>().toEqualTypeOf<EntityRow<Sheet> | undefined>();
  expectTypeOf<ReturnType<typeof useEntityList<'sheets'>>['data']>().toEqualTypeOf<EntityRow<Sheet>[] | undefined>();
});
