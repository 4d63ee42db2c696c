// SPDX-License-Identifier: Apache-2.0
// The components below a provider, over the real hooks and a client whose events the test makes.
import { act, cleanup, fireEvent, render, screen } from '@testing-library/react';
import { StrictMode, type ReactNode } from 'react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Client, ConnectionState } from '@tidings/client';
import { TidingsProvider, useEdit, type EditUse } from '@tidings/react';
import { FakeClient } from '../../client/test/fake_client.ts';
import { ConflictBanner, ConnectionIndicator, JobProgress, LiveUpdateToasts, LogView, PresenceStack, StaleNotice, TokenText } from '../src/index.ts';

beforeEach(() => {
  vi.stubGlobal('requestAnimationFrame', (fn: () => void) => frames.push(fn));
  vi.stubGlobal('cancelAnimationFrame', () => undefined);
});
const frames: (() => void)[] = [];
const frame = () => act(() => { for (const fn of frames.splice(0)) fn(); });
afterEach(() => {
  cleanup();
  frames.length = 0;
  vi.unstubAllGlobals();
});

function show(children: ReactNode, fake = new FakeClient()) {
  const tree = (inner: ReactNode) => <StrictMode><TidingsProvider client={fake as unknown as Client}>{inner}</TidingsProvider></StrictMode>;
  const { rerender, unmount, container } = render(tree(children));
  const say = (topic: string, event: object) => act(() => fake.followed(topic).say(event));
  return { fake, container, unmount, say, again: (next: ReactNode) => rerender(tree(next)) };
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });
const changed = (action: 'CREATED' | 'UPDATED' | 'DELETED', id: string, version: number, more: object = {}) => ({
  topic: `entities/sheets/${id}`, type: `ENTITY_${action}`, key: 'entity', id: `e.${version}`, actor: 'bob',
  data: { payload: { name: id }, version }, ...more });

test('the indicator shows the connection of the provider, and connects at once when asked', () => {
  const waiting: ConnectionState = { phase: 'waiting', status: 'disconnected', attempt: 1, since: 0, retryAt: 4000, lastSeen: 0 };
  const fake = new FakeClient();
  fake.state = waiting;
  const switchTo = vi.spyOn(fake, 'switchTo');
  show(<ConnectionIndicator />, fake);
  expect(screen.getByText('in 4 s')).toBeDefined();
  fireEvent.click(button('Connection: Reconnecting'));
  fireEvent.click(button('Try now'));
  expect(switchTo.mock.calls).toEqual([['auto']]);
});

test('a job shows how it goes, is cancelled, and gives its result', async () => {
  const done = vi.fn();
  const running = { job_id: 'j1', kind: 'report', state: 'running', owner: 'ann', viewers: [], topic: 'p/1', progress: 40, message: 'at work' };
  const { fake, say, again, container } = show(<JobProgress id="j1" onDone={done}>{result => `${(result as { n: number }).n} pages`}</JobProgress>);
  say('jobs/j1', { type: 'status', key: 'job', data: running });
  expect(screen.getByRole('progressbar', { name: 'report' }).getAttribute('aria-valuenow')).toBe('40');
  fireEvent.click(button('Cancel'));
  await act(async () => { await fake.clock.advance(0); });
  expect([...fake.asked.map(asked => asked.path), ...fake.commands.map(([type]) => type)].join()).toContain('cancel');
  say('jobs/j1', { type: 'status', key: 'job', data: { ...running, state: 'done', progress: 100, result: { n: 3 } } });
  expect(screen.getByText('3 pages')).toBeDefined();
  expect(done).toHaveBeenCalledTimes(1);
  again(<JobProgress id={null} />);
  expect(container.textContent).toBe('');
});

test('a log shows what its job writes', () => {
  const { say } = show(<LogView jobId="j1" />);
  expect(screen.getByText('Nothing yet.')).toBeDefined();
  say('jobs/j1', { type: 'status', key: 'job', data: { job_id: 'j1', kind: 'k', state: 'running', progress: 0, topic: 'p/1' } });
  say('p/1', { type: 'output', data: { job_id: 'j1', line: 'hello \x1b[32mgreen\x1b[0m', stream: 'stderr' } });
  frame();
  expect(screen.getByText('1 line')).toBeDefined();
  expect(document.querySelector('.td-log-bad .td-log-text')!.textContent).toBe('hello green');
});

test('a text grows by frames, and is stopped', async () => {
  const { fake, say, again, container } = show(<TokenText source={{ topic: 'p/1', jobId: 'j1' }} />);
  say('p/1', { type: 'token', key: 'j1', data: { job_id: 'j1', offset: 0, content: 'Hel' } });
  say('p/1', { type: 'token', key: 'j1', data: { job_id: 'j1', offset: 3, content: 'lo' } });
  frame();
  expect(screen.getByRole('group', { name: 'Answer' }).textContent).toBe('Hello');
  fireEvent.click(button('Stop'));
  await act(async () => { await fake.clock.advance(0); });
  expect([...fake.asked.map(asked => asked.path), ...fake.commands.map(([type]) => type)].join()).toContain('cancel');
  again(<TokenText source={null} />);
  expect(container.textContent).toBe('');
});

test('notes come of what others change, not of what oneself does in another tab, and not of what is filtered out', () => {
  const { fake } = show(<LiveUpdateToasts types={['sheets']} filter={change => change.id !== 's9'} clock={new FakeClient().clock} />);
  const list = screen.getByRole('region').querySelector('ol')!;
  const topic = fake.topics.findLast(one => !one.closed)!;
  act(() => topic.become('live'));
  act(() => topic.say(changed('UPDATED', 's1', 2, { origin: 'c1' })));
  act(() => topic.say(changed('UPDATED', 's9', 3, { origin: 'c2' })));
  act(() => topic.say(changed('UPDATED', 's2', 3, { origin: 'c2', actor: 'ann' })));
  expect(list.childElementCount).toBe(0);
  act(() => topic.say(changed('UPDATED', 's1', 4, { origin: 'c2' })));
  expect(list.textContent).toContain('Updated by another user');
  expect(list.textContent).toContain('bob');
});

test('a stale notice comes with the first change elsewhere, and goes when it is refreshed', () => {
  const onRefresh = vi.fn();
  const { fake, container } = show(<StaleNotice types={['sheets']} onRefresh={onRefresh} />);
  const topic = fake.topics.findLast(one => !one.closed)!;
  act(() => topic.become('live'));
  expect(container.textContent).toBe('');
  act(() => { topic.say(changed('UPDATED', 's1', 2)); topic.say(changed('CREATED', 's2', 3)); topic.say(changed('UPDATED', 's1', 4)); });
  expect(container.textContent).toContain('2 changes since this was loaded');
  fireEvent.click(button('Refresh'));
  expect([onRefresh.mock.calls.length, container.textContent]).toEqual([1, '']);
});

interface Sheet { name: string; size: number }

function editing() {
  const use: { edit: EditUse<Sheet> } = {} as never;
  function Form() {
    use.edit = useEdit({ type: 'sheets', id: 's1', base: { name: 'one', size: 1 }, version: 3 }) as EditUse<Sheet>;
    return <ConflictBanner edit={use.edit} names={{ name: 'Name' }} />;
  }
  const shown = show(<Form />);
  act(() => shown.fake.followed('entities/sheets/s1').become('live'));
  const theirs = (version: number, payload: Sheet) => shown.say('entities/sheets/s1', { ...changed('UPDATED', 's1', version), data: { payload, version } });
  return { ...shown, use, theirs };
}

test('a conflict is settled by taking theirs, by merging, or by going on, which stays said until it is saved', () => {
  const { use, theirs, container } = editing();
  expect(container.textContent).toBe('');
  act(() => use.edit.set({ name: 'mine' }));
  theirs(4, { name: 'theirs', size: 1 });
  expect(screen.getByRole('alert').textContent).toContain('bob changed this while you were editing: Name.');
  fireEvent.click(button('Continue editing'));
  expect([use.edit.draft, use.edit.conflict]).toEqual([{ name: 'mine', size: 1 }, 'none']);
  expect(container.textContent).toContain('saving may overwrite what bob changed');
  theirs(5, { name: 'again', size: 1 });
  expect(screen.getByRole('alert')).toBeDefined();
  fireEvent.click(button('Refresh'));
  expect([use.edit.draft, use.edit.dirty, container.textContent]).toEqual([{ name: 'again', size: 1 }, false, '']);
  act(() => use.edit.set({ name: 'mine', size: 2 }));
  theirs(6, { name: 'third', size: 7 });
  fireEvent.click(button('Merge…'));
  fireEvent.click(screen.getAllByRole('radio')[1]!);
  fireEvent.click(button('Use this'));
  expect([use.edit.draft, use.edit.conflict]).toEqual([{ name: 'third', size: 2 }, 'none']);
});

test('what fits together is shown when asked', () => {
  const { use, theirs } = editing();
  act(() => use.edit.set({ name: 'mine' }));
  theirs(4, { name: 'one', size: 9 });
  expect(screen.getByRole('status').textContent).toContain('bob changed size. You did not touch that');
  fireEvent.click(button('Show it here'));
  expect([use.edit.draft, use.edit.conflict]).toEqual([{ name: 'mine', size: 9 }, 'none']);
});

test('presence lists who follows a topic, oneself as such', async () => {
  const { fake, container } = show(<PresenceStack topic="p/1" name={user => user.toUpperCase()} />);
  expect(container.textContent).toBe('');
  act(() => fake.followed('p/1').become('live'));
  const users = ['ann', 'bob'].map((user, n) => ({ user, connection_id: `c${n}`, since: '2026-01-01T00:00:01.000Z' }));
  await act(async () => { await fake.next().answer({ topic: 'p/1', count: 2, users }); });
  frame();
  expect(screen.getAllByRole('listitem').map(item => item.title)).toEqual(['BOB', 'You']);
});

test('nothing is left when the page goes', async () => {
  const { fake, unmount } = show(<><ConnectionIndicator /><JobProgress id="j1" /><LogView jobId="j1" /><TokenText source={{ topic: 'p/1' }} />
    <LiveUpdateToasts types={['sheets']} /><StaleNotice types={['sheets']} /><PresenceStack topic="p/1" /></>);
  expect(fake.topics.filter(topic => !topic.closed).length).toBeGreaterThan(2);
  unmount();
  await fake.clock.advance(5000);
  expect(fake.idle).toBe(true);
});
