// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { presence } from '../src/presence.ts';
import { FakeClient, problem } from './fake_client.ts';

const TOPIC = 'projects/42';
const entry = (user: string, connection: string, since = '2026-01-01T00:00:01.000Z') => ({ user, connection_id: connection, since });
const told = (type: 'joined' | 'left', user: string, connection: string) =>
  ({ type: `presence_${type}`, data: { user, connection_id: connection }, time: '2026-01-01T00:00:05.000Z' });

test('who is there is asked for once the topic is followed, then told', async () => {
  const client = new FakeClient(), there = presence(client, TOPIC), topic = client.followed(TOPIC);
  let told_ = 0;
  there.watch(() => told_++);
  expect([there.status, there.count, client.asked.length]).toEqual(['loading', 0, 0]);
  topic.become('live');
  const asked = client.next();
  expect([asked.path, asked.options.query]).toEqual(['/api/v1/presence', { topic: TOPIC, limit: 1000 }]);
  await asked.answer({ topic: TOPIC, count: 2, users: [entry('ann', 'c1'), entry('bob', 'c2')] });
  topic.say(told('joined', 'cy', 'c3'));
  topic.say(told('left', 'bob', 'c2'));
  expect([there.status, there.count, there.users.map(member => member.user), told_]).toEqual(['live', 2, ['ann', 'cy'], 3]);
});

test('what is told while the answer is awaited counts on top of it', async () => {
  const client = new FakeClient(), there = presence(client, TOPIC), topic = client.followed(TOPIC);
  topic.become('live');
  topic.say(told('joined', 'cy', 'c3'));
  topic.say(told('left', 'bob', 'c2'));
  await client.next().answer({ topic: TOPIC, count: 2, users: [entry('ann', 'c1'), entry('bob', 'c2')] });
  expect(there.users.map(member => member.user)).toEqual(['ann', 'cy']);
});

test('several connections of a user are one member, there since the first', async () => {
  const client = new FakeClient(), there = presence(client, TOPIC), topic = client.followed(TOPIC);
  topic.become('live');
  await client.next().answer({ topic: TOPIC, count: 2, users: [entry('ann', 'c9', '2026-01-01T00:00:03.000Z'), entry('ann', 'c1')] });
  expect(there.users).toEqual([{ user: 'ann', connectionId: 'c1', since: '2026-01-01T00:00:01.000Z' }]);
  topic.say(told('left', 'ann', 'c1'));
  expect(there.users.map(member => member.connectionId)).toEqual(['c9']);
});

test('is asked for again behind a reconnect and a gap, and stale until then', async () => {
  const client = new FakeClient(), there = presence(client, TOPIC), topic = client.followed(TOPIC);
  topic.become('live');
  await client.next().answer({ topic: TOPIC, count: 1, users: [entry('ann', 'c1')] });
  topic.become('paused');
  expect([there.status, there.count]).toEqual(['stale', 1]);
  topic.become('live');
  const old = client.next();
  topic.gap();
  await client.next().answer({ topic: TOPIC, count: 1, users: [entry('bob', 'c2')] });
  await old.answer({ topic: TOPIC, count: 0, users: [] });
  expect([there.status, there.users.map(member => member.user)]).toEqual(['live', ['bob']]);
});

test('of a crowd it is asked now and then, and the count is the server’s', async () => {
  const client = new FakeClient(), there = presence(client, TOPIC), topic = client.followed(TOPIC);
  topic.become('live');
  await client.next().answer({ topic: TOPIC, count: 1200, users: [entry('ann', 'c1'), entry('bob', 'c2')] });
  expect(there.count).toBe(1200);
  await client.clock.advance(30_000);
  await client.next().answer({ topic: TOPIC, count: 1, users: [entry('ann', 'c1')] });
  expect([there.count, client.clock.pending]).toEqual([1, 0]);
});

test('by HTTP it is asked now and then, because what is told may be missed', async () => {
  const client = new FakeClient(), there = presence(client, TOPIC);
  client.state = { ...client.state, transport: 'sse' };
  client.followed(TOPIC).become('live');
  await client.next().answer({ topic: TOPIC, count: 1, users: [entry('ann', 'c1')] });
  await client.clock.advance(10_000);
  await client.next().answer({ topic: TOPIC, count: 1, users: [entry('bob', 'c2')] });
  expect(there.users.map(member => member.user)).toEqual(['bob']);
  there.close();
  expect(client.idle).toBe(true);
});

test('a question without an answer is asked again; one that is refused is not', async () => {
  const client = new FakeClient(), there = presence(client, TOPIC), topic = client.followed(TOPIC);
  topic.become('live');
  await client.next().refuse(problem(0, 'network'));
  await client.clock.advance(3000);
  await client.next().refuse(problem(404, 'not_found'));
  expect([there.status, there.error?.code, client.clock.pending]).toEqual(['denied', 'not_found', 0]);
  const forbidden = presence(client, 'projects/43');
  client.followed('projects/43').become('denied', problem(403, 'forbidden'));
  expect(forbidden.status).toBe('denied');
});

test('closed leaves nothing, also when an answer is still to come', async () => {
  const client = new FakeClient(), there = presence(client, TOPIC);
  client.followed(TOPIC).become('live');
  there.close();
  await client.next().refuse(problem(0, 'network'));
  expect(client.idle).toBe(true);
});
