// SPDX-License-Identifier: Apache-2.0
// The hooks over the real client and the server in memory, whose clock the test turns: as a user's own tests would.
import { StrictMode } from 'react';
import type { ReactNode } from 'react';
import { act, cleanup, render } from '@testing-library/react';
import { afterEach, expect, test } from 'vitest';
import { createClient } from '@tidings/client';
import { createTestServer } from '@tidings/testing';
import type { TestJob } from '@tidings/testing';
import { TidingsProvider, useConnection, useEdit, useEntityListLive, useEvents, useJob, useLock, useStartJob, useTokenStream, useTopic } from '../src/index.ts';
import type { EditUse, StartJobUse } from '../src/index.ts';
import type { Sheet } from './schema.ts';

afterEach(cleanup);

function app(children: ReactNode) {
  const server = createTestServer();
  const client = createClient(server.options('ann'));
  const tree = (inner: ReactNode) => <StrictMode><TidingsProvider client={client}>{inner}</TidingsProvider></StrictMode>;
  const { rerender, unmount, container } = render(tree(children));
  return {
    server, client, unmount, container,
    again: (inner: ReactNode) => rerender(tree(inner)),
    advance: (ms: number) => act(() => server.clock.advance(ms)),
    until: (condition: () => boolean) => act(() => server.clock.until(condition)),
    subscribed: () => server.connections.flatMap(connection => [...connection.subscriptions]),
  };
}

test('what was missed comes, once; what is shown meanwhile says that it may be old', async () => {
  const seen: unknown[] = [];
  function Room() {
    const { phase } = useTopic('rooms/1', event => seen.push(event.data));
    return <p>{phase} {useConnection(state => state.phase)}</p>;
  }
  const it = app(<Room />);
  await it.until(() => it.container.textContent === 'live online');
  await act(async () => {
    it.server.connections[0]!.drop();
    await it.server.clock.flush();
  });
  expect(it.container.textContent).toBe('paused waiting');
  it.server.publish('rooms/1', 'said', 'missed');
  await it.advance(2000);
  await it.until(() => it.container.textContent === 'live online');
  expect(seen).toEqual(['missed']);
  it.client.close();
});

test('10,000 components that come and go leave no subscription, no listener and no timer', { timeout: 60_000 }, async () => {
  function Room({ name }: { name: string }) {
    useTopic(name, () => undefined);
    return <>{useEvents(name).length}{useJob(null).progress}{useEntityListLive('sheets').items.length}</>;
  }
  const it = app(<Room name="rooms/0" />);
  await it.until(() => it.subscribed().length === 2);
  for (let round = 0; round < 100; round++) {
    it.again(Array.from({ length: 100 }, (_, i) => <Room key={`${round} ${i}`} name={`rooms/${i % 7}`} />));
    if (round % 20 === 0) await it.advance(3000);
  }
  expect(new Set(it.subscribed()).size).toBe(8);
  it.again(null);
  await it.advance(5000);
  expect(it.subscribed()).toEqual([]);
  it.unmount();
  it.client.close();
  await it.advance(5000);
  expect(it.server.clock.pending).toBe(0);
});

test('a job from its start to its end, and its text', async () => {
  let use!: StartJobUse<{ upTo: number }, { sum: number }>;
  const done: unknown[] = [];
  function Counts() {
    use = useStartJob('count', { onDone: result => done.push(result) });
    const text = useTokenStream(use.job?.topic ? { topic: use.job.topic, jobId: use.job.id } : null);
    return <p>{use.job?.status} {use.job?.progress} {text.text}</p>;
  }
  const it = app(<Counts />);
  let running!: TestJob;
  it.server.job('count', job => { running = job.progress(40, 'Counting').text('one, '); }, { topic: 'counts/{sub}', events: { text: 'token', complete: 'counted' } });
  await it.until(() => it.client.state.phase === 'online');
  await act(async () => {
    const starting = use.start({ upTo: 2 });
    await it.server.clock.flush();
    await starting;
  });
  await it.until(() => it.container.textContent === 'running 40 one, ');
  running.text('two').complete({ sum: 3 });
  await it.until(() => it.container.textContent === 'done 100 one, two');
  expect(done).toEqual([{ sum: 3 }]);
  it.client.close();
});

test('somebody else changes, and deletes, what is being edited', async () => {
  let edit!: EditUse<Sheet>;
  function Form() {
    edit = useEdit({ type: 'sheets', id: 's1' });
    return <p>{edit.conflict}</p>;
  }
  const it = app(<Form />);
  it.server.putEntity('sheets', 's1', { name: 'one', size: 1 }, 'bob');
  await it.until(() => edit.draft !== undefined);
  act(() => edit.set({ name: 'mine' }));
  it.server.putEntity('sheets', 's1', { name: 'theirs', size: 1 }, 'bob');
  await it.until(() => edit.conflict === 'same-fields');
  expect(edit.remote).toMatchObject({ by: 'bob', both: ['name'], version: 2 });
  act(() => edit.keepMine());
  await act(async () => {
    const saving = edit.save();
    await it.server.clock.flush();
    expect(await saving).toBe('saved');
  });
  expect(edit).toMatchObject({ version: 3, dirty: false, conflict: 'none' });
  it.server.deleteEntity('sheets', 's1', 'bob');
  await it.until(() => edit.conflict === 'deleted');
  it.client.close();
});

test('a lock is given back when its component is gone', async () => {
  function Holds() {
    const lock = useLock('projects/42');
    return <button onClick={() => void lock.acquire()}>{lock.mine ? 'mine' : lock.holder ?? 'free'}</button>;
  }
  const it = app(<Holds />);
  await it.until(() => it.client.state.phase === 'online');
  await act(async () => {
    it.container.querySelector('button')!.click();
    await it.server.clock.flush();
  });
  await it.until(() => it.container.textContent === 'mine');
  it.again(null);
  await it.advance(1000);
  await it.until(() => it.server.events.some(event => event.type === 'lock_released'));
  it.client.close();
});
