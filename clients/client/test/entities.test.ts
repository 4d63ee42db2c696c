// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { changes, entities, entity, isOwn } from '../src/entities.ts';
import type { Client, EntityChange, EntityState } from '../src/types.ts';
import { FakeClient, problem } from './fake_client.ts';

interface Schema { entities: { sheet: { name: string; size?: number | null } } }
const open = () => {
  const fake = new FakeClient();
  return { fake, client: fake as unknown as Client<Schema> };
};
const TOPIC = 'entities/sheet/s1';
const event = (action: string, version: number, name: string, members: object = {}) =>
  ({ topic: TOPIC, type: `ENTITY_${action}`, key: 'entity', id: `e.${version}`, actor: 'bob', data: { payload: { name }, version }, ...members });
const answer = (version: number, name: string) =>
  ({ entity_type: 'sheet', entity_id: 's1', version, payload: { name }, event_id: `e.${version}`, timestamp: '2026-01-01T00:00:00.000Z', actor: 'ann' });

function watching(client: Client<Schema>) {
  const one = entity(client, 'sheet', 's1'), seen: [EntityState, EntityChange | undefined][] = [];
  one.watch((state, change) => seen.push([state, change]));
  return { one, seen, changes: () => seen.filter(([, change]) => change).map(([, change]) => `${change!.action} ${change!.version}${change!.own ? ' own' : ''}`) };
}

describe('an entity', () => {
  test('is what the state shows, then what changes', () => {
    const { fake, client } = open(), { one, changes } = watching(client), topic = fake.followed(TOPIC);
    topic.say(event('UPDATED', 3, 'a', { state: true }));
    expect(one.state).toMatchObject({ status: 'live', version: 3, data: { name: 'a' }, etag: 'e.3', actor: 'bob' });
    topic.become('live');
    topic.say(event('UPDATED', 4, 'b'));
    topic.say({ type: 'comment', data: {} });
    topic.say(event('DELETED', 5, 'b'));
    expect(one.state).toMatchObject({ status: 'deleted', data: { name: 'b' } });
    topic.say(event('CREATED', 1, 'c', { id: 'e.6' }));
    expect(one.state).toMatchObject({ status: 'live', version: 1, data: { name: 'c' } });
    expect(changes()).toEqual(['updated 4', 'deleted 5', 'created 1']);
  });

  test('that is not there is missing, until it is made', () => {
    const { fake, client } = open(), { one } = watching(client), topic = fake.followed(TOPIC);
    topic.become('live');
    expect(one.state.status).toBe('missing');
    topic.say(event('CREATED', 1, 'a'));
    expect(one.state.status).toBe('live');
  });

  test('is stale while away, and denied when it is not granted', () => {
    const { fake, client } = open(), { one, seen } = watching(client), topic = fake.followed(TOPIC);
    topic.say(event('UPDATED', 3, 'a', { state: true }));
    topic.become('live');
    topic.become('paused');
    expect(one.state).toMatchObject({ status: 'stale', data: { name: 'a' } });
    topic.become('catching-up');
    topic.say(event('UPDATED', 4, 'b'));
    expect(one.state).toMatchObject({ status: 'stale', data: { name: 'b' } });
    topic.become('live');
    expect(one.state.status).toBe('live');
    topic.become('denied', problem(403, 'forbidden'));
    expect(one.state.status).toBe('denied');
    expect(seen).toHaveLength(5);
  });

  test('that is granted again is what is shown then', () => {
    const { fake, client } = open(), { one } = watching(client), topic = fake.followed(TOPIC);
    topic.say(event('UPDATED', 3, 'a', { state: true }));
    topic.become('live');
    topic.become('denied', problem(403, 'forbidden'));
    topic.become('catching-up');
    topic.say(event('UPDATED', 5, 'b', { state: true }));
    topic.become('live');
    expect(one.state).toMatchObject({ status: 'live', version: 5 });
    topic.become('denied', problem(403, 'forbidden'));
    topic.become('catching-up');
    topic.become('live');
    expect(one.state.status).toBe('deleted');
  });

  test('behind a gap is what is shown then, or was deleted', () => {
    const { fake, client } = open(), { one, changes } = watching(client), topic = fake.followed(TOPIC);
    topic.say(event('UPDATED', 3, 'a', { state: true }));
    topic.become('live');
    topic.gap();
    topic.say(event('UPDATED', 3, 'a', { state: true }));
    topic.become('live');
    expect(changes()).toEqual([]);
    topic.gap();
    topic.say(event('UPDATED', 7, 'b', { state: true }));
    topic.become('live');
    expect(changes()).toEqual(['updated 7']);
    topic.gap();
    topic.become('catching-up');
    topic.become('live');
    expect(one.state.status).toBe('deleted');
  });

  test('changed by us shows the answer at once, and knows the change again', async () => {
    const { fake, client } = open(), { one, changes } = watching(client), topic = fake.followed(TOPIC);
    topic.say(event('UPDATED', 3, 'a', { state: true }));
    topic.become('live');
    const writing = one.put({ name: 'mine' }, { ifVersion: 4 }), asked = fake.next();
    expect([asked.method, asked.path, asked.options.headers?.['If-Match']]).toEqual(['PUT', '/api/v1/entities/sheet/s1', '4']);
    await asked.answer(answer(5, 'mine'));
    expect(await writing).toMatchObject({ version: 5, data: { name: 'mine' } });
    topic.say(event('UPDATED', 4, 'older'));
    expect(one.state.version).toBe(5);
    topic.say(event('UPDATED', 5, 'mine', { actor: 'ann' }));
    topic.say(event('UPDATED', 6, 'later'));
    expect(one.state).toMatchObject({ version: 6, data: { name: 'later' } });
    expect(changes()).toEqual(['updated 5 own', 'updated 6']);
  });

  test('whose change comes before its answer waits for that to know whose it is', async () => {
    const { fake, client } = open(), { one, changes } = watching(client), topic = fake.followed(TOPIC);
    topic.say(event('UPDATED', 3, 'a', { state: true }));
    topic.become('live');
    const writing = one.patch({ size: null }, { ifVersion: 'e.3' }), asked = fake.next();
    expect([asked.options.headers?.['If-Match'], asked.options.contentType]).toEqual(['"e.3"', 'application/merge-patch+json']);
    topic.say(event('UPDATED', 4, 'theirs'));
    expect(one.state.version).toBe(4);
    topic.say(event('UPDATED', 5, 'mine', { actor: 'ann' }));
    topic.say(event('UPDATED', 6, 'later'));
    expect(one.state.version).toBe(4);
    await asked.answer(answer(5, 'mine'));
    await writing;
    expect(one.state.version).toBe(6);
    expect(changes()).toEqual(['updated 4', 'updated 5 own', 'updated 6']);
  });

  test('a refused write lets go of what waited for it', async () => {
    const { fake, client } = open(), { one, changes } = watching(client), topic = fake.followed(TOPIC);
    topic.become('live');
    const writing = one.put({ name: 'x' }, { create: true }), asked = fake.next();
    expect(asked.options.headers?.['If-None-Match']).toBe('*');
    topic.say(event('CREATED', 1, 'other tab', { actor: 'ann' }));
    await asked.refuse(problem(412, 'version_conflict', { current: answer(1, 'other tab') }));
    await expect(writing).rejects.toMatchObject({ code: 'version_conflict', problem: { current: { version: 1 } } });
    expect(changes()).toEqual(['created 1']);
  });

  test('removed by us stays so, whatever comes from before', async () => {
    const { fake, client } = open(), { one, changes } = watching(client), topic = fake.followed(TOPIC);
    topic.say(event('UPDATED', 3, 'a', { state: true }));
    topic.become('live');
    const removing = one.remove();
    await fake.next().answer(answer(5, 'b'));
    await removing;
    expect(one.state.status).toBe('deleted');
    topic.say(event('UPDATED', 4, 'b'));
    expect(one.state.status).toBe('deleted');
    topic.say(event('DELETED', 5, 'b', { actor: 'ann' }));
    expect(changes()).toEqual(['deleted 5 own']);
    one.close();
    expect(fake.idle).toBe(true);
  });

  test('published on this connection is ours', () => {
    const { fake, client } = open(), { changes } = watching(client), topic = fake.followed(TOPIC);
    topic.become('live');
    topic.say(event('CREATED', 1, 'a', { origin: 'c1', actor: 'ann' }));
    topic.say(event('UPDATED', 2, 'a', { origin: 'c2', actor: 'ann' }));
    expect(changes()).toEqual(['created 1 own', 'updated 2']);
  });
});

describe('a list', () => {
  const of = (id: string, action: string, version: number, members: object = {}) =>
    ({ topic: `entities/sheet/${id}`, type: `ENTITY_${action}`, id: `${id}.${version}`, data: { payload: { name: id }, version }, ...members });

  test('is complete once live, in the order of ids, and follows', () => {
    const { fake, client } = open(), list = entities(client, 'sheet', { limit: 2 }), topic = fake.followed('entities/sheet/*'), changes: string[] = [];
    list.watch(change => { if (change) changes.push(`${change.action} ${change.id}`); });
    topic.say(of('b', 'UPDATED', 2, { state: true }));
    topic.say(of('c', 'CREATED', 1, { state: true }));
    expect(list.status).toBe('loading');
    topic.become('live');
    expect([list.status, list.items.map(item => item.id)]).toEqual(['live', ['b', 'c']]);
    topic.say(of('a', 'CREATED', 1));
    expect(list.items.map(item => item.id)).toEqual(['a', 'b']);
    expect(list.items).toBe(list.items);
    topic.say(of('a', 'DELETED', 2));
    expect(list.items.map(item => item.id)).toEqual(['b', 'c']);
    expect(changes).toEqual(['created a', 'deleted a']);
    list.close();
    expect(fake.idle).toBe(true);
  });

  test('behind a gap has what is shown then, and no more', () => {
    const { fake, client } = open(), list = entities(client, 'sheet'), topic = fake.followed('entities/sheet/*');
    topic.say(of('a', 'CREATED', 1, { state: true }));
    topic.say(of('b', 'CREATED', 1, { state: true }));
    topic.become('live');
    topic.become('paused');
    expect(list.status).toBe('stale');
    topic.gap();
    topic.say(of('b', 'CREATED', 1, { state: true }));
    expect(list.items).toHaveLength(2);
    topic.become('live');
    expect([list.status, list.items.map(item => item.id)]).toEqual(['live', ['b']]);
  });

  test('knows what was written through an entity', async () => {
    const { fake, client } = open(), list = entities(client, 'sheet'), one = entity(client, 'sheet', 'a'), topic = fake.followed('entities/sheet/*');
    const own: boolean[] = [];
    list.watch(change => { if (change) own.push(change.own); });
    topic.become('live');
    const writing = one.put({ name: 'a' });
    topic.say({ ...of('a', 'CREATED', 1), actor: 'ann' });
    expect(own).toEqual([]);
    await fake.next().answer({ ...answer(1, 'a'), event_id: 'a.1' });
    await writing;
    expect(own).toEqual([true]);
  });
});

describe('changes', () => {
  test('of all types are told as they come, and which are ours; state is none', async () => {
    const { fake, client } = open(), seen: string[] = [];
    const stop = changes(client, '*', change => seen.push(`${change.action} ${change.type}/${change.id}${change.own ? ' own' : ''}`));
    const topic = fake.followed('entities/*/*');
    expect(topic.options).toMatchObject({ since: 'now', state: false });
    topic.say(event('UPDATED', 2, 'a', { state: true }));
    topic.say(event('UPDATED', 3, 'b'));
    topic.say({ ...event('CREATED', 1, 'c', { id: 'e.9' }), topic: 'entities/book/b1' });
    const one = entity(client, 'sheet', 's1');
    const writing = one.put({ name: 'mine' });
    await fake.next().answer(answer(4, 'mine'));
    await writing;
    topic.say(event('UPDATED', 4, 'mine'));
    expect(seen).toEqual(['updated sheet/s1', 'created book/b1', 'updated sheet/s1 own']);
    expect([isOwn(client, 'e.4'), isOwn(client, 'e.3')]).toEqual([true, false]);
    stop();
    expect(topic.closed).toBe(true);
    one.close();
  });

  test('of one, with gaps and phases', () => {
    const { fake, client } = open(), seen: string[] = [];
    const stop = changes(client, 'sheet', change => seen.push(change.action), { id: 's1', onGap: () => seen.push('gap'), onPhase: phase => seen.push(phase) });
    const topic = fake.followed(TOPIC);
    topic.become('live');
    topic.say(event('UPDATED', 2, 'a'));
    topic.gap();
    topic.become('paused');
    expect(seen).toEqual(['live', 'updated', 'gap', 'paused']);
    stop();
  });
});
