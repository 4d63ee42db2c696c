// SPDX-License-Identifier: Apache-2.0
import { useState } from 'react';
import { act, cleanup } from '@testing-library/react';
import { afterEach, expect, test } from 'vitest';
import type { TopicOptions } from '@tidings/client';
import { useEvents, useTopic } from '../src/index.ts';
import type { TopicState } from '../src/index.ts';
import { FakeClient } from './fake.ts';
import { show } from './setup.tsx';

afterEach(cleanup);

test('StrictMode: one subscription, which lasts as long as the component and a second', () => {
  const seen: unknown[] = [];
  function Room() {
    useTopic('rooms/1', event => seen.push(event.data));
    return null;
  }
  const { fake, clock, unmount } = show(<Room />);
  expect(fake.topics.length).toBe(1);
  clock.turn(5000);
  fake.say('rooms/1', 'said', 'hello');
  expect(seen).toEqual(['hello']);
  unmount();
  clock.turn(999);
  expect(fake.open_topics.length).toBe(1);
  clock.turn(1);
  expect(fake.open_topics.length).toBe(0);
  expect(fake.topics[0]!.watchers.size).toBe(0);
});

test('handlers may be new with each render: the latest is called, and nothing is subscribed again', () => {
  const seen: string[] = [];
  let turn!: (to: number) => void;
  function Room() {
    const [round, setRound] = useState(1);
    turn = setRound;
    useTopic('rooms/1', { said: event => seen.push(`${round} ${event.data}`), '*': event => seen.push(`all ${event.type}`) }, { types: ['said', 'left'] });
    return null;
  }
  const { fake } = show(<Room />);
  fake.say('rooms/1', 'said', 'a');
  act(() => turn(2));
  fake.say('rooms/1', 'said', 'b');
  fake.say('rooms/1', 'left', null);
  expect(seen).toEqual(['1 a', 'all said', '2 b', 'all said', 'all left']);
  expect(fake.topics.length).toBe(1);
});

test('types that objects have anyway are no handlers', () => {
  function Room() {
    useTopic('rooms/1', { said: () => undefined });
    return null;
  }
  const { fake } = show(<Room />);
  for (const type of ['toString', 'constructor', '__proto__', '*']) fake.say('rooms/1', type, null);
});

test('another name or other options are another subscription; null is none', () => {
  const seen: unknown[] = [];
  function Room({ name, options }: { name: string | null; options?: TopicOptions }) {
    const { phase } = useTopic(name, event => seen.push(event.data), options);
    return <p>{phase}</p>;
  }
  const { fake, clock, container, again } = show(<Room name="rooms/1" />);
  expect(container.textContent).toBe('joining');
  again(<Room name="rooms/2" />);
  fake.say('rooms/1', 'said', 'not mine any more');
  fake.say('rooms/2', 'said', 'mine');
  expect(seen).toEqual(['mine']);
  again(<Room name="rooms/2" options={{ since: 'earliest' }} />);
  again(<Room name="rooms/2" options={{ since: 'earliest', types: ['a'] }} />);
  clock.turn(1000);
  expect(fake.open_topics.map(topic => [topic.name, topic.options.since, topic.options.types])).toEqual([['rooms/2', 'earliest', ['a']]]);
  again(<Room name={null} />);
  expect(container.textContent).toBe('idle');
  clock.turn(1000);
  expect(fake.open_topics).toEqual([]);
});

test('phase, error and gap are shown; an event does not render', () => {
  let renders = 0;
  let state!: TopicState;
  const gaps: unknown[] = [];
  function Room() {
    renders++;
    state = useTopic('rooms/1', () => undefined, { onGap: gap => gaps.push(gap) });
    return null;
  }
  const { fake } = show(<Room />, new FakeClient(), false);
  const [topic] = fake.topics;
  act(() => topic!.become('live'));
  expect(state.phase).toBe('live');
  const before = renders;
  act(() => fake.say('rooms/1', 'said', 1));
  expect(renders).toBe(before);
  const gap = { from: 'a', to: 'b', reason: 'retention' as const };
  act(() => topic!.options.onGap!(gap));
  expect(state.gap).toBe(gap);
  expect(gaps).toEqual([gap]);
});

test('what comes while it is away for a moment is told when it is back', () => {
  const seen: unknown[] = [];
  function Room() {
    useTopic('rooms/1', event => seen.push(event.data));
    return null;
  }
  const fake = new FakeClient();
  const { unmount } = show(<Room />, fake);
  unmount();
  fake.say('rooms/1', 'said', 'nobody listens');
  expect(seen).toEqual([]);
  // More than a second's worth is not kept.
  for (let i = 0; i < 2000; i++) fake.say('rooms/1', 'said', i);
  expect(fake.open_topics).toEqual([]);
  fake.clock.turn(1000);
  expect(fake.clock.waiting).toBe(0);
});

test('useEvents: the newest, rendered once for a burst, shared by those who show the same', () => {
  let renders = 0;
  function Feed() {
    const events = useEvents('rooms/1', { max: 3 });
    renders++;
    return <p>{events.map(event => String(event.data)).join()}</p>;
  }
  const { fake, clock, container, unmount } = show(<><Feed /><Feed /></>, new FakeClient(), false);
  expect(fake.topics.length).toBe(1);
  renders = 0;
  act(() => {
    for (let i = 0; i < 100; i++) fake.say('rooms/1', 'said', i);
    clock.turn(50);
  });
  expect(container.textContent).toBe('97,98,9997,98,99');
  expect(renders).toBe(2);
  // State that is shown again is not news.
  act(() => {
    fake.say('rooms/1', 'said', 'again', { id: 'e.99', state: true });
    clock.turn(50);
  });
  expect(container.textContent).toBe('97,98,9997,98,99');
  unmount();
  clock.turn(1000);
  expect(fake.open_topics).toEqual([]);
  expect(clock.waiting).toBe(0);
});

test('10,000 mounts and unmounts leave no subscription, no listener and no timer', { timeout: 60_000 }, () => {
  function Room({ name }: { name: string }) {
    useTopic(name, () => undefined);
    return <>{useEvents(name).length}</>;
  }
  const { fake, clock, again, unmount } = show(null, new FakeClient(), false);
  for (let round = 0; round < 100; round++) {
    again(<>{Array.from({ length: 100 }, (_, i) => <Room key={`${round} ${i}`} name={`rooms/${i % 7}`} />)}</>);
    if (round % 10 === 0) clock.turn(1500);
  }
  unmount();
  clock.turn(1000);
  expect(fake.topics.length).toBeGreaterThan(10_000);
  expect(fake.open_topics.length).toBe(0);
  expect(fake.topics.reduce((sum, topic) => sum + topic.watchers.size, 0)).toBe(0);
  expect(fake.watchers.size).toBe(0);
  expect(clock.waiting).toBe(0);
});
