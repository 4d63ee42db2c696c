// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
// On a server there is no window: what is rendered is what nothing is known of, and nothing is begun.
import { renderToString } from 'react-dom/server';
import { expect, test } from 'vitest';
import { TidingsProvider, useConnection, useEvents, useJob, useLog, useStartJob, useTokenStream, useTopic } from '../src/index.ts';
import { FakeClient } from './fake.ts';

function Everything() {
  const { phase } = useConnection();
  const topic = useTopic('rooms/1', () => undefined);
  const events = useEvents('rooms/1');
  const job = useJob('j1');
  const count = useStartJob('count');
  const text = useTokenStream({ topic: 'rooms/1' });
  const log = useLog('j1');
  return <>{[phase, topic.phase, events.length, job.status ?? 'unknown', count.pending, text.status, log.total].join()}</>;
}

test('renderToString', () => {
  expect(typeof window).toBe('undefined');
  const fake = new FakeClient();
  fake.state = { ...fake.state, phase: 'online' };
  expect(renderToString(<TidingsProvider client={fake.client}><Everything /></TidingsProvider>)).toBe('idle,idle,0,unknown,false,waiting,0');
  expect([fake.topics.length, fake.watchers.size, fake.clock.waiting, fake.calls.length]).toEqual([0, 0, 0, 0]);
});
