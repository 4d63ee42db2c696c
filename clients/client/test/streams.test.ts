// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GrowingText, tokenStream } from '../src/streams.ts';
import type { TokenStream } from '../src/types.ts';
import { FakeClient, problem, settle } from './fake_client.ts';

const chunk = (offset: number, content: string, more: object = {}) => ({ type: 'token', key: 'j1', data: { job_id: 'j1', offset, content, ...more } });

async function collect(stream: TokenStream): Promise<string[]> {
  const deltas: string[] = [];
  for await (const delta of stream) deltas.push(delta);
  return deltas;
}

describe('a text', () => {
  interface Case { name: string; steps: { data: { content: string; offset: number } | null; text: string; start: number; end: number }[] }
  const cases: Case[] = JSON.parse(readFileSync(new URL('../../../tests/vectors/append.json', import.meta.url), 'utf8'));
  test.each(cases)('$name', ({ steps }) => {
    let text = new GrowingText();
    for (const step of steps) {
      if (step.data) text.put(step.data.content, step.data.offset);
      else text = new GrowingText();
      expect([text.text, text.start, text.end]).toEqual([step.text, step.start, step.end]);
    }
  });
});

describe('a token stream', () => {
  test('yields what the text grows by, and ends with the job', async () => {
    const client = new FakeClient(), stream = tokenStream(client, { topic: 'p/1', jobId: 'j1' }), topic = client.followed('p/1');
    const reading = collect(stream);
    topic.say({ ...chunk(0, 'Grü'), state: true });
    expect(stream.status).toBe('streaming');
    await settle();
    topic.say(chunk(4, 'ße'));
    topic.say(chunk(7, '!'));
    await settle();
    topic.say({ type: 'iteration_complete', key: 'j1', data: { job_id: 'j1', status: 'completed', duration: 1, result: { text: 'Grüße!', usage: { total_tokens: 3 } } } });
    expect(await reading).toEqual(['Grü', 'ße!']);
    expect([stream.text, stream.status, stream.usage]).toEqual(['Grüße!', 'done', { total_tokens: 3 }]);
  });

  test('keeps to the first text that it sees', () => {
    const client = new FakeClient(), stream = tokenStream(client, { topic: 'p/1' }), topic = client.followed('p/1');
    topic.say({ type: 'other', data: { job_id: 'j0', status: 'completed', duration: 1 } });
    topic.say(chunk(0, 'mine'));
    topic.say({ ...chunk(0, 'other'), key: 'j2' });
    topic.say({ type: 'done', data: { job_id: 'j2', status: 'completed', duration: 1 } });
    expect([stream.text, stream.status]).toEqual(['mine', 'streaming']);
  });

  test('by request, before anything was said of it', () => {
    const client = new FakeClient(), stream = tokenStream(client, { topic: 'enhance/ann/s', requestId: 'r1' }), topic = client.followed('enhance/ann/s');
    topic.say({ type: 'partial', key: 'j0', data: { job_id: 'j0', request_id: 'r0', offset: 0, content: 'no' } });
    topic.say({ type: 'error', data: { job_id: 'j1', request_id: 'r1', status: 'failed', duration: 0.1, error: 'No model.', code: 'upstream_refused', details: null, suggested_actions: ['Start it.'] } });
    expect([stream.text, stream.status]).toEqual(['', 'error']);
    expect(stream.error).toEqual({ message: 'No model.', code: 'upstream_refused', details: undefined, suggestedActions: ['Start it.'] });
  });

  test('an agent’s end in a pipeline is not the end', () => {
    const client = new FakeClient(), stream = tokenStream(client, { topic: 'p/1', jobId: 'j1' }), topic = client.followed('p/1');
    topic.say(chunk(0, 'a'));
    topic.say({ type: 'agent_update', data: { job_id: 'j1', agent: 'x', status: 'completed', duration: 2 } });
    expect(stream.status).toBe('streaming');
    topic.say({ type: 'cancelled', key: 'j1', data: { job_id: 'j1', status: 'cancelled', duration: 2 } });
    expect(stream.status).toBe('cancelled');
  });

  test('throws for who iterates when the job fails', async () => {
    const client = new FakeClient(), stream = tokenStream(client, { topic: 'p/1', jobId: 'j1' }), topic = client.followed('p/1');
    const reading = collect(stream);
    topic.say(chunk(0, 'a'));
    topic.say({ type: 'failed', key: 'j1', data: { job_id: 'j1', status: 'failed', error: 'Broke.', code: 'killed', suggested_actions: [] } });
    await expect(reading).rejects.toMatchObject({ code: 'killed', message: 'Broke.' });
  });

  test('behind a gap the state takes its place at once, and nothing is yielded twice', async () => {
    const client = new FakeClient(), stream = tokenStream(client, { topic: 'p/1', jobId: 'j1' }), topic = client.followed('p/1'), seen: string[] = [];
    stream.watch(() => seen.push(stream.text));
    const reading = collect(stream);
    topic.say(chunk(0, 'Hello'));
    await settle();
    topic.gap();
    topic.say({ ...chunk(0, 'Hel'), state: true });
    topic.say({ ...chunk(3, 'lo you'), state: true });
    topic.say(chunk(9, '!'));
    await settle();
    topic.say({ type: 'end', key: 'j1', data: { job_id: 'j1', status: 'completed', duration: 1 } });
    expect(await reading).toEqual(['Hello', ' you!']);
    expect(seen.every(text => text.startsWith('Hello'))).toBe(true);
  });

  test('a part that was missed is asked for', async () => {
    const client = new FakeClient(), stream = tokenStream(client, { topic: 'p/1', key: 'j1' }), topic = client.followed('p/1');
    topic.say(chunk(0, 'Hel'));
    topic.say(chunk(9, '!'));
    const asked = client.next();
    expect([asked.path, asked.options.query]).toEqual(['/api/v1/events', { topic: 'p/1', since: 'now', state: 1 }]);
    await asked.answer({ events: [], state: [{ topic: 'p/1', ...chunk(0, 'Hello you!') }] });
    expect(stream.text).toBe('Hello you!');
    topic.say(chunk(9, '!'));
    topic.say(chunk(10, '?'));
    expect(stream.text).toBe('Hello you!?');
  });

  test('of a job that had ended is its result', async () => {
    const client = new FakeClient(), stream = tokenStream(client, { topic: 'p/1', jobId: 'j1' });
    client.followed('p/1').become('live');
    await client.next().answer({ job_id: 'j1', state: 'done', result: { text: 'All of it.' }, error: null });
    expect([stream.text, stream.status]).toEqual(['All of it.', 'done']);
    expect(await collect(stream)).toEqual(['All of it.']);
  });

  test('cancels its job, or its request', async () => {
    const client = new FakeClient(), stream = tokenStream(client, { topic: 'p/1', requestId: 'r1' });
    await stream.cancel();
    expect(client.commands).toEqual([['cancel', { request_id: 'r1' }]]);
    client.followed('p/1').say({ ...chunk(0, 'a', { request_id: 'r1' }) });
    const cancelling = stream.cancel(), asked = client.next();
    expect(asked.path).toBe('/api/v1/jobs/j1/cancel');
    await asked.answer({ job_id: 'j1', state: 'cancelling' });
    await cancelling;
    await expect(tokenStream(client, { topic: 'p/1' }).cancel()).rejects.toMatchObject({ code: 'not_found' });
  });

  test('closed ends who iterates; denied is an error', async () => {
    const client = new FakeClient(), stream = tokenStream(client, { topic: 'p/1' }), reading = collect(stream);
    await settle();
    stream.close();
    expect(await reading).toEqual([]);
    expect(client.idle).toBe(true);
    const denied = tokenStream(client, { topic: 'p/2' });
    client.followed('p/2').become('denied', problem(403, 'forbidden'));
    expect(denied.error?.code).toBe('forbidden');
  });
});
