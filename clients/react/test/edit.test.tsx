// SPDX-License-Identifier: Apache-2.0
import { StrictMode } from 'react';
import { act, cleanup, render } from '@testing-library/react';
import { afterEach, expect, test } from 'vitest';
import { entity } from '@tidings/client/entities';
import type { Client } from '@tidings/client';
import { FakeClient, problem } from '../../client/test/fake_client.ts';
import { TidingsProvider, useEdit } from '../src/index.ts';
import type { EditUse, SaveFunction } from '../src/index.ts';
import type { Sheet } from './schema.ts';

afterEach(cleanup);

const TOPIC = 'entities/sheets/s1';
const base: Sheet = { name: 'one', size: 1 };

const event = (action: string, version: number, payload: object, more: object = {}) =>
  ({ topic: TOPIC, type: `ENTITY_${action}`, key: 'entity', id: `e.${version}`, actor: 'bob', data: { payload, version }, ...more });
const answer = (version: number, payload: object) =>
  ({ entity_type: 'sheets', entity_id: 's1', version, payload, event_id: `e.${version}`, timestamp: '2026-01-01T00:00:00.000Z', actor: 'ann' });

function editing(options: { base?: Sheet; version?: number } = { base, version: 3 }) {
  const fake = new FakeClient();
  const client = fake as unknown as Client;
  const seen: { edit: EditUse<Sheet> } = {} as never;
  function Form(given: { base?: Sheet; version?: number }) {
    seen.edit = useEdit({ type: 'sheets', id: 's1', ...given });
    return null;
  }
  const tree = (given: object) => <StrictMode><TidingsProvider client={client}><Form {...given} /></TidingsProvider></StrictMode>;
  const { rerender, unmount } = render(tree(options));
  const topic = fake.followed(TOPIC);
  const say = (...args: Parameters<typeof event>) => act(() => topic.say(event(...args)));
  act(() => {
    topic.say(event('UPDATED', 3, base, { state: true }));
    topic.become('live');
  });
  return {
    fake, client, topic, say, unmount,
    get edit() { return seen.edit; },
    again: (given: object) => rerender(tree(given)),
    set: (changes: Partial<Sheet>) => act(() => seen.edit.set(changes)),
    /** Begun, and as far as it comes without an answer. */
    async save(fn?: SaveFunction<Sheet>) {
      let saving!: Promise<'saved' | 'conflict'>;
      await act(async () => {
        saving = seen.edit.save(fn);
        saving.catch(() => undefined);
      });
      return { saving };
    },
  };
}

test('a draft is dirty when it is another, and not when it is typed back', () => {
  const form = editing();
  expect(form.edit).toMatchObject({ draft: base, dirty: false, conflict: 'none', version: 3, saving: false });
  form.set({ name: 'two' });
  expect(form.edit).toMatchObject({ draft: { name: 'two', size: 1 }, dirty: true });
  act(() => form.edit.set(draft => ({ ...draft, name: 'one' })));
  expect(form.edit.dirty).toBe(false);
});

test('without a base it begins with what the server has, once', () => {
  const form = editing({});
  expect(form.edit).toMatchObject({ draft: base, version: 3, dirty: false });
  form.say('UPDATED', 4, { name: 'theirs', size: 1 });
  expect(form.edit).toMatchObject({ draft: base, conflict: 'other-fields' });
});

test('what somebody else changes: other fields, same fields, the same change, and back', () => {
  const form = editing();
  form.set({ name: 'mine' });
  form.say('UPDATED', 4, { name: 'one', size: 7 });
  expect(form.edit).toMatchObject({ conflict: 'other-fields', draft: { name: 'mine', size: 1 }, remote: { fields: ['size'], both: [], by: 'bob', version: 4, data: { size: 7 } } });
  form.say('UPDATED', 5, { name: 'theirs', size: 7 });
  expect(form.edit).toMatchObject({ conflict: 'same-fields', remote: { fields: ['name', 'size'], both: ['name'], version: 5 } });
  // Typing what they have is agreeing with it.
  form.set({ name: 'theirs', size: 7 });
  expect(form.edit).toMatchObject({ conflict: 'none', dirty: false, version: 5 });
  expect(form.edit.remote).toBe(undefined);
  form.say('UPDATED', 5, { name: 'older', size: 0 }, { id: 'e.4b' });
  expect(form.edit.conflict).toBe('none');
});

test('keepMine, takeTheirs, merge', async () => {
  const conflicted = () => {
    const form = editing();
    form.set({ name: 'mine' });
    form.say('UPDATED', 4, { name: 'theirs', size: 7 });
    return form;
  };
  const kept = conflicted();
  act(() => kept.edit.keepMine());
  expect(kept.edit).toMatchObject({ conflict: 'none', draft: { name: 'mine', size: 1 }, version: 4, dirty: true });
  const { saving } = await kept.save();
  const asked = kept.fake.next();
  expect([asked.method, asked.options.headers?.['If-Match'], asked.options.body]).toEqual(['PUT', '"e.4"', { name: 'mine', size: 1 }]);
  await act(() => asked.answer(answer(5, { name: 'mine', size: 1 })));
  expect(await saving).toBe('saved');
  const taken = conflicted();
  act(() => taken.edit.takeTheirs());
  expect(taken.edit).toMatchObject({ conflict: 'none', draft: { name: 'theirs', size: 7 }, version: 4, dirty: false });
  const merged = conflicted();
  act(() => merged.edit.merge());
  expect(merged.edit).toMatchObject({ conflict: 'none', draft: { name: 'mine', size: 7 }, version: 4, dirty: true });
  const picked = conflicted();
  act(() => picked.edit.merge({ name: 'theirs' }));
  expect(picked.edit).toMatchObject({ draft: { name: 'theirs', size: 7 }, dirty: false });
  const joined = conflicted();
  act(() => joined.edit.merge((field, { mine, theirs }) => `${field}: ${mine} & ${theirs}`));
  expect(joined.edit.draft).toEqual({ name: 'name: mine & theirs', size: 7 });
});

test('deleted by somebody else: taken so, or made anew', async () => {
  const taken = editing();
  taken.say('DELETED', 4, base);
  expect(taken.edit).toMatchObject({ conflict: 'deleted', remote: { by: 'bob', fields: [] } });
  act(() => taken.edit.takeTheirs());
  expect(taken.edit).toMatchObject({ conflict: 'none', draft: undefined, dirty: false });
  const kept = editing();
  kept.say('DELETED', 4, base);
  act(() => kept.edit.keepMine());
  expect(kept.edit).toMatchObject({ conflict: 'none', draft: base, dirty: true, version: undefined });
  await kept.save();
  expect(kept.fake.next().options.headers).toMatchObject({ 'If-None-Match': '*' });
  // Somebody made it anew meanwhile: its versions begin at 1 again.
  const again = editing();
  again.set({ size: 2 });
  again.say('DELETED', 4, base);
  again.say('CREATED', 1, { name: 'another', size: 1 }, { id: 'e.9' });
  expect(again.edit).toMatchObject({ conflict: 'other-fields', remote: { fields: ['name'], version: 1 } });
});

test('saving: what is typed meanwhile stays, and what comes of it from the server is no conflict', async () => {
  const form = editing();
  form.set({ name: 'mine' });
  const { saving } = await form.save();
  expect(form.edit.saving).toBe(true);
  form.set({ size: 9 });
  const asked = form.fake.next();
  expect(asked.options.headers?.['If-Match']).toBe('"e.3"');
  // The event may come before the answer.
  form.say('UPDATED', 4, { name: 'mine', size: 1 }, { actor: 'ann' });
  await act(() => asked.answer(answer(4, { name: 'mine', size: 1 })));
  expect(await saving).toBe('saved');
  expect(form.edit).toMatchObject({ conflict: 'none', saving: false, version: 4, dirty: true, draft: { name: 'mine', size: 9 } });
  // And it is saved on top of that version.
  await form.save();
  expect(form.fake.next().options.headers?.['If-Match']).toBe('"e.4"');
});

test('saving twice at once is saving once', async () => {
  const form = editing();
  form.set({ name: 'mine' });
  const first = await form.save();
  const second = await form.save();
  await act(() => form.fake.next().answer(answer(4, { name: 'mine', size: 1 })));
  expect(await Promise.all([first.saving, second.saving])).toEqual(['saved', 'saved']);
  expect(() => form.fake.next()).toThrow('nothing was asked');
});

test('what was typed back to the old value while it was saved is a change', async () => {
  const form = editing();
  form.set({ name: 'mine' });
  const { saving } = await form.save();
  form.set({ name: 'one' });
  await act(() => form.fake.next().answer(answer(4, { name: 'mine', size: 1 })));
  await saving;
  expect(form.edit).toMatchObject({ dirty: true, draft: { name: 'one' }, base: { name: 'mine' } });
});

test('a 412 opens the same conflict', async () => {
  const form = editing();
  form.set({ name: 'mine' });
  const { saving } = await form.save();
  await act(() => form.fake.next().refuse(problem(412, 'version_conflict', { current: answer(8, { name: 'theirs', size: 1 }) })));
  expect(await saving).toBe('conflict');
  expect(form.edit).toMatchObject({ conflict: 'same-fields', saving: false, remote: { version: 8, fields: ['name'] } });
  // Nothing is sent before it is settled.
  expect(await (await form.save()).saving).toBe('conflict');
  act(() => form.edit.merge());
  await form.save();
  expect(form.fake.next().options.headers?.['If-Match']).toBe('"e.8"');
});

test('what others changed in other fields is merged by saving', async () => {
  const form = editing();
  form.set({ name: 'mine' });
  form.say('UPDATED', 4, { name: 'one', size: 7 });
  expect(form.edit.conflict).toBe('other-fields');
  const { saving } = await form.save();
  const asked = form.fake.next();
  expect([asked.options.headers?.['If-Match'], asked.options.body]).toEqual(['"e.4"', { name: 'mine', size: 7 }]);
  await act(() => asked.answer(answer(5, { name: 'mine', size: 7 })));
  expect(await saving).toBe('saved');
  expect(form.edit).toMatchObject({ conflict: 'none', dirty: false, version: 5 });
});

test('a 412 because it was deleted', async () => {
  const form = editing();
  form.set({ name: 'mine' });
  const { saving } = await form.save();
  await act(() => form.fake.next().refuse(problem(412, 'version_conflict', { current: null })));
  expect(await saving).toBe('conflict');
  expect(form.edit.conflict).toBe('deleted');
});

test('a function of yours saves: it is given what it needs, and its 412 is asked about', async () => {
  const form = editing();
  form.set({ name: 'mine' });
  let given: unknown;
  expect(await (await form.save(async request => { given = request; })).saving).toBe('saved');
  expect(given).toMatchObject({ draft: { name: 'mine', size: 1 }, base, changes: { name: 'mine' }, version: 3, etag: 'e.3' });
  expect(form.edit).toMatchObject({ dirty: false, version: 4 });
  // The backend published it, as somebody: that is what was saved.
  form.say('UPDATED', 4, { name: 'mine', size: 1 }, { actor: 'backend' });
  expect(form.edit.conflict).toBe('none');
  form.set({ size: 2 });
  const { saving } = await form.save(() => Promise.reject(Object.assign(new Error('Conflict'), { response: { status: 412 } })));
  const asked = form.fake.next();
  expect([asked.method, asked.path]).toEqual(['GET', '/api/v1/entities/sheets/s1']);
  await act(() => asked.answer(answer(5, { name: 'theirs', size: 1 })));
  expect(await saving).toBe('conflict');
  expect(form.edit).toMatchObject({ conflict: 'other-fields', remote: { fields: ['name'], version: 5 } });
});

test('an error of another kind is the caller\'s, and nothing is lost', async () => {
  const form = editing();
  form.set({ name: 'mine' });
  const { saving } = await form.save(() => Promise.reject(new Error('no network')));
  await expect(saving).rejects.toThrow('no network');
  expect(form.edit).toMatchObject({ dirty: true, saving: false, conflict: 'none', draft: { name: 'mine' } });
});

test('a refused number with the same document is tried once more, and not for ever', async () => {
  const form = editing();
  form.set({ name: 'mine' });
  let tries = 0;
  const { saving } = await form.save(async () => {
    tries++;
    throw problem(412, 'version_conflict', { current: answer(3 + tries, base) });
  });
  await expect(saving).rejects.toThrow('version_conflict');
  expect(tries).toBe(2);
});

test('what oneself does elsewhere on the page comes into the draft', async () => {
  const form = editing();
  form.set({ name: 'mine' });
  const other = entity(form.client, 'sheets', 's1');
  const writing = other.patch({ size: 5 });
  await act(() => form.fake.next().answer(answer(4, { name: 'one', size: 5 })));
  await writing;
  form.say('UPDATED', 4, { name: 'one', size: 5 }, { actor: 'ann' });
  expect(form.edit).toMatchObject({ conflict: 'none', draft: { name: 'mine', size: 5 }, dirty: true, version: 4 });
  other.close();
});

test('a newer base that the page has read is an other\'s change; an older one is nothing', () => {
  const form = editing();
  form.set({ name: 'mine' });
  form.again({ base: { name: 'old', size: 0 }, version: 2 });
  expect(form.edit.conflict).toBe('none');
  form.again({ base: { name: 'one', size: 4 }, version: 4 });
  expect(form.edit).toMatchObject({ conflict: 'other-fields', remote: { fields: ['size'], version: 4 } });
});

test('nothing is left behind', async () => {
  const form = editing();
  form.unmount();
  await form.fake.clock.advance(1000);
  expect(form.topic.closed).toBe(true);
  expect(form.fake.clock.pending).toBe(0);
});
