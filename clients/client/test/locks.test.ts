// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { lock } from '../src/locks.ts';
import { FakeClient, problem, settle } from './fake_client.ts';

const answer = (holder = 'ann', fence = 7) => ({ name: 'n', holder, fence, expires_in: 30 });

test('is followed on a topic of its own, a project’s on the project’s', () => {
  const client = new FakeClient(), plain = lock(client, 'rooms/1'), project = lock(client, 'projects/42');
  const state = { state: true, key: 'lock' }, until = '2026-01-01T00:00:30.000Z';
  client.followed('locks/rooms/1').say({ ...state, type: 'lock_acquired', data: { name: 'rooms/1', holder: 'bob', until, ttl: 30 } });
  expect(plain.state).toEqual({ name: 'rooms/1', holder: 'bob', until, mine: false });
  client.followed('projects/42').say({ ...state, type: 'lock_changed', data: { project_id: '42', locked: true, holder: 'ann', until } });
  expect(project.state).toMatchObject({ holder: 'ann', mine: true });
  client.followed('projects/42').say({ key: 'lock', type: 'lock_changed', data: { project_id: '42', locked: false, holder: null, until: null } });
  expect(project.state).toMatchObject({ holder: undefined, mine: false });
});

test('acquired is renewed at a third of its time, and given back', async () => {
  const client = new FakeClient(), mine = lock(client, 'rooms/1'), taking = mine.acquire(), asked = client.next();
  expect([asked.method, asked.path, asked.options.body]).toEqual(['PUT', '/api/v1/locks/rooms/1', { ttl: 30 }]);
  await asked.answer(answer());
  expect(await taking).toMatchObject({ holder: 'ann', mine: true, fence: 7 });
  await client.clock.advance(9999);
  expect(client.asked).toHaveLength(0);
  await client.clock.advance(1);
  await client.next().answer(answer());
  const giving = mine.release();
  expect(client.clock.pending).toBe(0);
  await client.next().answer(null);
  await giving;
  expect(mine.state).toMatchObject({ holder: undefined, mine: false });
});

test('held by another rejects with its holder', async () => {
  const client = new FakeClient(), mine = lock(client, 'rooms/1'), taking = mine.acquire();
  await client.next().refuse(problem(409, 'lock_held', { holder: 'bob' }));
  await expect(taking).rejects.toMatchObject({ code: 'lock_held', problem: { holder: 'bob' } });
  expect(client.clock.pending).toBe(0);
});

test('a renewal without an answer is tried again, and the lock is lost when its time is over', async () => {
  const client = new FakeClient(), mine = lock(client, 'rooms/1'), taking = mine.acquire();
  await client.next().answer(answer());
  await taking;
  await client.clock.advance(10_000);
  for (let tries = 0; tries < 20; tries++) {
    await client.next().refuse(problem(0, 'network'));
    expect(mine.state.mine).toBe(true);
    await client.clock.advance(1000);
  }
  expect(mine.state).toMatchObject({ holder: undefined, mine: false, lost: true });
  expect([client.asked.length, client.clock.pending]).toEqual([0, 0]);
});

test('taken by another meanwhile is lost', async () => {
  const client = new FakeClient(), mine = lock(client, 'rooms/1'), taking = mine.acquire();
  await client.next().answer(answer());
  await taking;
  await client.clock.advance(10_000);
  await client.next().refuse(problem(409, 'lock_held', { holder: 'bob' }));
  expect(mine.state).toMatchObject({ holder: 'bob', mine: false, lost: true });
});

test('what comes late of before it was ours changes nothing; what is true is asked for', async () => {
  const client = new FakeClient(), mine = lock(client, 'projects/42'), topic = client.followed('projects/42'), taking = mine.acquire();
  await client.next().answer(answer());
  await taking;
  topic.say({ key: 'lock', type: 'lock_changed', data: { locked: false, holder: null, until: null } });
  expect(mine.state.mine).toBe(true);
  await client.next().answer(answer());
  expect(mine.state.mine).toBe(true);
  topic.say({ key: 'lock', type: 'lock_changed', data: { locked: false, holder: null, until: null } });
  await client.next().refuse(problem(404, 'not_found'));
  expect(mine.state).toMatchObject({ mine: false, lost: true });
  expect(client.clock.pending).toBe(0);
});

test('closed gives back what it keeps, and leaves nothing', async () => {
  const client = new FakeClient(), mine = lock(client, 'rooms/1'), taking = mine.acquire();
  await client.next().answer(answer());
  await taking;
  mine.close();
  const asked = client.next();
  expect(asked.method).toBe('DELETE');
  await asked.answer(null);
  expect(client.idle).toBe(true);
  const late = lock(client, 'rooms/1'), second = late.acquire();
  late.close();
  await client.next().answer(answer());
  await settle();
  await client.next().answer(null);
  await second;
  expect(client.idle).toBe(true);
});

test('that can’t be followed is asked for', async () => {
  const client = new FakeClient(), seen = lock(client, 'rooms/1');
  client.followed('locks/rooms/1').become('denied', problem(403, 'forbidden'));
  await client.next().answer(answer('bob'));
  expect(seen.state).toMatchObject({ holder: 'bob', mine: false, fence: 7 });
});
