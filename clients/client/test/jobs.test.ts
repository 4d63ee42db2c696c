// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { job, logLine, startJob } from '../src/jobs.ts';
import type { JobState } from '../src/types.ts';
import { FakeClient, problem, settle } from './fake_client.ts';

const running = { job_id: 'j1', kind: 'k', state: 'running', owner: 'ann', viewers: [], topic: 'p/1', progress: 10, step: null, message: 'at work', ended: null };
const said = (document: object) => ({ type: 'status', key: 'job', data: document });

describe('a job', () => {
  test('is shown from its state on, and its progress never falls', () => {
    const client = new FakeClient(), watched = job(client, 'j1'), seen: JobState[] = [];
    watched.watch(state => seen.push(state));
    const topic = client.followed('jobs/j1');
    expect(topic.options.state).toBe(true);
    expect(watched.state).toEqual({ id: 'j1', progress: 0 });
    topic.say({ ...said(running), state: true });
    topic.say(said({ ...running, progress: 5, message: 'back' }));
    expect(seen.map(state => [state.status, state.progress, state.message])).toEqual([['running', 10, 'at work'], ['running', 10, 'back']]);
    expect(seen[0]).toMatchObject({ kind: 'k', owner: 'ann', topic: 'p/1', step: undefined, ended: undefined });
  });

  test('gives its result, and is left when it has ended', async () => {
    const client = new FakeClient(), watched = job<{ n: number }>(client, 'j1');
    client.followed('jobs/j1').say(said({ ...running, state: 'done', progress: 100, result: { n: 3 } }));
    expect(await watched.done).toEqual({ n: 3 });
    expect(client.idle).toBe(true);
  });

  test('that failed rejects with what it said, in an event or asked for', async () => {
    const client = new FakeClient(), first = job(client, 'j1');
    client.followed('jobs/j1').say(said({ ...running, state: 'failed', error: 'It broke.', code: 'broken', details: null, suggested_actions: ['Mend it.'] }));
    await expect(first.done).rejects.toMatchObject({ code: 'broken', message: 'It broke.', whatToDo: 'Mend it.' });
    const second = job(client, 'j2');
    client.followed('jobs/j2').become('live');
    await client.next().answer({ ...running, job_id: 'j2', state: 'failed', error: { code: 'broken', message: 'It broke.', details: 'x', suggested_actions: [] } });
    expect(second.state.error).toEqual({ code: 'broken', message: 'It broke.', details: 'x', suggestedActions: [] });
    await expect(second.done).rejects.toMatchObject({ code: 'broken' });
  });

  test('that is not there, or not ours, is refused with the same words', async () => {
    const client = new FakeClient(), one = job(client, 'j1'), other = job(client, 'j2');
    client.followed('jobs/j1').become('live');
    await client.next().refuse(problem(404, 'not_found'));
    expect(one.state.refused).toMatchObject({ code: 'not_found' });
    await expect(one.done).rejects.toMatchObject({ code: 'not_found' });
    client.followed('jobs/j2').become('denied', problem(403, 'forbidden'));
    await client.next().refuse(problem(404, 'not_found'));
    expect(other.state.refused).toMatchObject({ code: 'not_found' });
    expect(client.idle).toBe(true);
  });

  test('is asked for until there is an answer; what may not be followed is shown as it was', async () => {
    const client = new FakeClient(), watched = job(client, 'j1');
    client.followed('jobs/j1').become('denied', problem(403, 'forbidden'));
    await client.next().refuse(problem(0, 'network'));
    await client.clock.advance(2000);
    await client.next().answer(running);
    expect(watched.state).toMatchObject({ status: 'running', refused: { code: 'forbidden' } });
    expect(client.idle).toBe(true);
  });

  test('hands on the events of its kind, each listener from the beginning', () => {
    const client = new FakeClient(), watched = job(client, 'j1'), lines: unknown[] = [];
    const stop = watched.onEvent(event => lines.push(logLine(event)?.text));
    client.followed('jobs/j1').say(said(running));
    const own = client.followed('p/1');
    expect(own.options).toMatchObject({ since: 'earliest', state: false });
    own.say({ type: 'output', data: { job_id: 'other', line: 'no' } });
    own.say({ type: 'output', data: { job_id: 'j1', line: 'one', stream: 'stdout' } });
    own.say({ type: 'log', data: { job_id: 'j1', message: 'two', level: 'info' } });
    own.say({ type: 'agent_update', data: { job_id: 'j1', message: 'Starting' } });
    expect(lines).toEqual(['one', 'two', undefined]);
    stop();
    expect(own.closed).toBe(true);
    watched.close();
    expect(client.idle).toBe(true);
  });

  test('closed rejects who waits, and asks no more', async () => {
    const client = new FakeClient(), watched = job(client, 'j1');
    client.followed('jobs/j1').become('live');
    await client.next().refuse(problem(0, 'network'));
    watched.close();
    await expect(watched.done).rejects.toMatchObject({ code: 'closed' });
    expect(client.idle).toBe(true);
  });

  test('is cancelled, or had ended', async () => {
    const client = new FakeClient(), watched = job(client, 'j/1');
    const first = watched.cancel(), asked = client.next();
    expect([asked.method, asked.path]).toEqual(['POST', '/api/v1/jobs/j%2F1/cancel']);
    await asked.answer({ job_id: 'j/1', state: 'cancelling' });
    expect(await first).toBe('cancelling');
    const second = watched.cancel();
    await client.next().answer({ job_id: 'j/1', state: 'done' });
    expect(await second).toBe('ended');
  });
});

describe('a start', () => {
  test('shows the job at once, and its kind’s events from there on', async () => {
    const client = new FakeClient(), starting = startJob(client, 'k', { a: 1 }, { viewers: ['bob'] }), asked = client.next();
    expect([asked.method, asked.path, asked.options.body]).toEqual(['POST', '/api/v1/jobs', { kind: 'k', params: { a: 1 }, viewers: ['bob'] }]);
    expect(asked.options.headers?.['Idempotency-Key']).toMatch(/^[0-9a-f]{32}$/);
    await asked.answer(running, 'e.5');
    const started = await starting;
    expect(started.state.status).toBe('running');
    started.onEvent(() => { /* only followed */ });
    expect(client.followed('p/1').options.since).toBe('e.5');
  });

  test('whose answer was lost is repeated with its key', async () => {
    const client = new FakeClient(), starting = startJob(client, 'k', {});
    const first = client.next();
    await first.refuse(problem(0, 'network'));
    await client.clock.advance(1000);
    const second = client.next();
    expect(second.options.headers).toEqual(first.options.headers);
    await second.answer(running, 'e.5');
    (await starting).onEvent(() => { /* only followed */ });
    expect(client.followed('p/1').options.since).toBe('earliest');
  });

  test('that is refused rejects', async () => {
    const client = new FakeClient(), starting = startJob(client, 'k', {});
    await client.next().refuse(problem(429, 'rate_limited'));
    await expect(starting).rejects.toMatchObject({ code: 'rate_limited' });
    await settle();
    expect(client.idle).toBe(true);
  });

  test('in a session goes by the connection', async () => {
    const client = new FakeClient();
    client.answerCommand = () => ({ job_id: 'j1', request_id: 'r1', topic: 'enhance/ann/s' });
    const started = await startJob(client, 'enhance', { text: 'x' }, { requestId: 'r1' });
    expect(client.commands).toEqual([['start', { kind: 'enhance', params: { text: 'x' }, request_id: 'r1', viewers: undefined }]]);
    expect(started.id).toBe('j1');
    client.welcome = { session: 's' };
    await startJob(client, 'enhance', { text: 'x' });
    expect(client.commands).toHaveLength(2);
  });
});
