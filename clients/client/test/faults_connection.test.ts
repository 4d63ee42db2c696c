// SPDX-License-Identifier: Apache-2.0
// Tokens, publishes, requests and transports when something breaks or ends in the middle of something else.
import { describe, expect, test, vi } from 'vitest';
import { eventStream } from '../src/transport/eventstream.ts';
import { collector, online, settled, world } from './world.ts';

const bearer = (protocols: string[]) => protocols[1]?.slice('bearer.'.length);
const page = (members: object = {}) => Response.json({ events: [], position: 'p.1', more: false, ...members });
const problem = (status: number, members: object) =>
  Response.json(members, { status, headers: { 'content-type': 'application/problem+json' } });
/** Until whoever asked has given up. */
const never = (signal: AbortSignal) => new Promise<never>((_, reject) => {
  signal.addEventListener('abort', () => reject(signal.reason));
});
/** A stream, or an answer that waits for events: all others have a limit and no wait. */
const isReading = ({ searchParams: asked }: URL) => asked.has('wait') || !asked.has('limit');

/** One that is answered by hand. */
function asked() {
  const answers: ((token: string) => void)[] = [];
  const token = vi.fn((_why: string, _o: { signal: AbortSignal }) => new Promise<string>(resolve => { answers.push(resolve); }));
  return { answers, token };
}

describe('tokens', () => {
  test('an answer that comes behind close() opens nothing', async () => {
    const { answers, token } = asked();
    const it = world({ token });
    it.client.open();
    await settled();
    answers[0]!('t1');
    await settled();
    it.socket.welcome();
    await settled();
    it.socket.control('token_expiring', { expires_in: 60 });
    await settled();
    it.client.close();
    await settled();
    expect([it.clock.timers.size, token.mock.calls[1]![1].signal.aborted]).toEqual([0, true]);
    answers[1]!('t2');
    await settled();
    expect([it.client.state.phase, it.sockets.length]).toEqual(['closed', 1]);
  });

  test('nor one that comes while the connection waits to come back', async () => {
    const { answers, token } = asked();
    const it = world({ token });
    it.client.open();
    await settled();
    answers[0]!('t1');
    await settled();
    it.socket.welcome();
    await settled();
    it.socket.control('token_expiring', { expires_in: 60 });
    await settled();
    it.socket.control('draining', { retry_after: 20 });
    it.socket.end(1001);
    answers[1]!('t2');
    await settled();
    expect([it.client.state.phase, it.sockets.length]).toEqual(['waiting', 1]);
    await it.clock.tick(20_000);
    expect(bearer(it.socket.protocols)).toBe('t2');
  });

  test('one that was asked for earlier does not take the place of one that was given', async () => {
    const { answers, token } = asked();
    const it = world({ token });
    it.client.open();
    await settled();
    await it.client.reauth('of-bob');
    answers[0]!('of-ann');
    await settled();
    it.socket.welcome();
    it.socket.end();
    await it.clock.tick(1000);
    expect(it.sockets.map(one => bearer(one.protocols))).toEqual(['of-bob', 'of-bob']);
  });

  test('one that was refused while renewing is not sent again when the connection ends', async () => {
    let n = 0;
    const it = await online({ token: () => ['t1', 'bad', 'bad', 'good'][n++]! });
    it.socket.control('token_expiring', { expires_in: 60 });
    await settled();
    it.socket.control('command_error', { ref: it.socket.commands('auth')[0]!.ref, code: 'unauthorized', message: 'not a token' });
    await settled();
    it.socket.end(4001);
    await it.clock.tick(60_000);
    expect(it.sockets.map(one => bearer(one.protocols))).not.toContain('bad');
  });

  test('by requests alone: each that ends is replaced, any number of times', async () => {
    let n = 1;
    const it = world({
      token: () => `t${n}`,
      answer: (_, { headers }) => (headers as Record<string, string>).authorization === `Bearer t${n}` ? page() : Response.json({ code: 'token_expired' }, { status: 401 }),
    });
    for (; n < 6; n++) expect((await it.client.request('GET', '/x')).status).toBe(200);
  });

  test('a cookie that was refused may be another one: reauth()', async () => {
    const it = world({ token: undefined });
    it.client.open();
    await settled();
    it.socket.end(4001);
    await settled();
    expect(it.client.state.phase).toBe('failed');
    await it.client.reauth();
    await settled();
    it.socket.welcome();
    expect([it.client.state.phase, it.sockets.length]).toEqual(['online', 2]);
  });

  test('by HTTP one that is not valid leaves the old one in place, too', async () => {
    const sent: string[] = [];
    const it = world({
      transports: ['longpoll'],
      answer: (_, { headers }) => {
        sent.push((headers as Record<string, string>).authorization!);
        return sent.at(-1) === 'Bearer bad' ? problem(401, { code: 'unauthorized', detail: 'not a token' }) : page();
      },
    });
    it.client.open();
    await settled();
    await expect(it.client.reauth('bad')).rejects.toMatchObject({ code: 'unauthorized' });
    await it.clock.tick(25_000);
    expect([it.client.state.phase, sent.filter(one => one === 'Bearer bad').length]).toEqual(['online', 1]);
  });
});

test('an event may have any type', async () => {
  const it = await online({ token: vi.fn(() => 't1') });
  it.socket.event('a', 'e.1', { retry_after: 60 }, { type: 'draining' });
  it.socket.event('a', 'e.2', 1, { type: 'token_expiring' });
  await settled();
  it.socket.end();
  expect([it.client.state.retryAt, it.socket.commands('auth')]).toEqual([2000, []]);
});

test('a flat event may have a member `control`', async () => {
  const onMessage = vi.fn();
  const it = await online({ path: '/ws/projects/42', format: 'flat', onMessage });
  it.socket.say({ type: 'caught_up', control: true, position: 'e.66', event_id: 'e.2', topic: 'projects/42', timestamp: 't' });
  expect(onMessage).toHaveBeenCalledOnce();
});

test('a WebSocket that can not even be made is one that does not work here', async () => {
  class Forbidden { constructor() { throw new Error('The operation is insecure.'); } }
  const it = world({ transports: ['websocket', 'longpoll'], WebSocket: Forbidden as unknown as typeof WebSocket, answer: () => page() });
  it.client.open();
  await settled();
  expect(it.client.state).toMatchObject({ phase: 'online', transport: 'longpoll' });
});

test('a publish that waits to be repeated ends with the client, or by its signal', async () => {
  const it = await online(), control = new AbortController();
  const one = it.client.publish('a', 'b').catch(error => error.code), other = it.client.publish('a', 'b', 1, { signal: control.signal }).catch(error => error.code);
  await settled();
  for (const { ref } of it.socket.commands('publish')) it.socket.control('command_error', { ref, code: 'rate_limited', message: 'Slow down.', retry_after: 30 });
  await settled();
  control.abort();
  expect(await other).toBe('aborted');
  it.client.close();
  expect([await one, it.clock.timers.size]).toEqual(['closed', 0]);
});

describe('by HTTP', () => {
  test('what came before a topic was added is not shown to it', async () => {
    const waits: (() => void)[] = [];
    const it = world({
      transports: ['longpoll'],
      answer: async url => {
        const topics = url.searchParams.getAll('topic'), since = url.searchParams.get('since');
        if (url.searchParams.has('wait')) await new Promise<void>(resume => { waits.push(resume); });
        const events = since === 'p.1' && topics.includes('b') ? [{ id: 'p.2', topic: 'b', type: 'said', data: 2 }] : [];
        return page({ events, position: events.length ? 'p.2' : 'p.1' });
      },
    });
    it.client.topic('a', { state: false });
    await settled();
    const { got, onEvent } = collector();
    it.client.topic('b', { state: false, onEvent });
    await settled();
    for (const resume of waits) resume();
    await settled();
    expect(got).toEqual([]);
  });

  test('a grant that ends denies its topic; the others live', async () => {
    let isGranted = true;
    const it = world({
      transports: ['longpoll'],
      answer: async url => {
        const topics = url.searchParams.getAll('topic');
        if (url.searchParams.has('wait')) await new Promise<void>(resume => { it.clock.setTimeout(resume, 1000); });
        return topics.includes('b') && !isGranted ? problem(403, { code: 'forbidden', detail: 'Nothing of a topic is granted to you.' }) : page();
      },
    });
    const a = it.client.topic('a', { state: false }), b = it.client.topic('b', { state: false });
    await settled();
    expect([a.phase, b.phase]).toEqual(['live', 'live']);
    isGranted = false;
    await it.clock.tick(5000);
    expect([it.client.state.phase, a.phase, b.phase]).toEqual(['online', 'live', 'denied']);
  });

  describe.each(['sse', 'longpoll'] as const)('%s', transport => {
    test.each([
      ['a 404 of a proxy', () => new Response('<h1>Not Found</h1>', { status: 404, headers: { 'content-type': 'text/html' } })],
      ['a 403 of a proxy', () => new Response(null, { status: 403 })],
      ['a 400 in JSON of somebody else', () => Response.json({ code: 'forbidden', detail: 'no' }, { status: 400 })],
      ['a problem of somebody else', () => problem(413, { title: 'Content Too Large' })],
      ['a page of HTML', () => new Response('<h1>Welcome to the hotel</h1>', { headers: { 'content-type': 'text/html' } })],
    ])('%s passes: it is tried again, behind the backoff', async (_, odd) => {
      let isAway = true;
      const it = world({ transports: [transport], answer: (url, { signal }) => isAway ? odd() : isReading(url) ? never(signal!) : page() });
      it.client.open();
      await settled();
      expect(it.client.state).toMatchObject({ phase: 'waiting', retryAt: it.clock.now() + 1000, reason: { name: 'network', retry: true } });
      await it.clock.tick(1000);
      expect([it.client.state.phase, it.client.state.retryAt]).toEqual(['waiting', it.clock.now() + 2000]);
      isAway = false;
      await it.clock.tick(2000);
      expect(it.client.state.phase).toBe('online');
    });

    test('what a proxy says of a topic does not deny it', async () => {
      let isAway = false;
      const it = world({
        transports: [transport],
        answer: (url, { signal }) => isAway ? new Response('<h1>Forbidden</h1>', { status: 403 }) : isReading(url) ? never(signal!) : page(),
      });
      it.client.open();
      await settled();
      isAway = true;
      const topic = it.client.topic('a');
      await settled();
      expect([it.client.state.phase, topic.phase]).toEqual(['waiting', 'joining']);
      isAway = false;
      await it.clock.tick(1000);
      expect([it.client.state.phase, topic.phase]).toEqual(['online', 'live']);
    });

    test.each([403, 404])('a %i of the server is final', async status => {
      const it = world({ transports: [transport], answer: () => problem(status, { code: 'forbidden', detail: 'Not for you.' }) });
      it.client.open();
      await settled();
      expect(it.client.state).toMatchObject({
        phase: 'failed', reason: { code: status, name: 'forbidden', message: 'Not for you.', retry: false },
      });
    });
  });

  test('a 401 of a proxy is about the token: another one is asked for', async () => {
    const { answers, token } = asked();
    const it = world({
      transports: ['longpoll'], token,
      answer: (_, { headers }) =>
        (headers as Record<string, string>).authorization === 'Bearer t2' ? page() : new Response(null, { status: 401 }),
    });
    it.client.open();
    await settled();
    answers[0]!('t1');
    await settled();
    answers[1]!('t2');
    await settled();
    expect([it.client.state.phase, token.mock.calls.map(call => call[0])]).toEqual(['online', ['first', 'rejected']]);
  });

  test('a page that never comes holds up what is behind it for 30 s', async () => {
    let isStuck = true;
    const it = world({
      transports: ['longpoll'],
      answer: (url, { signal }) => {
        const isHistory = url.searchParams.get('since') === 'p.0';
        if (isHistory) return isStuck ? never(signal!) : page();
        // The stream goes on meanwhile: the server is not silent.
        return url.searchParams.has('wait') ? new Promise(resume => { it.clock.setTimeout(() => resume(page()), 20_000); }) : page();
      },
    });
    it.client.topic('a', { state: false });
    await settled();
    const old = it.client.topic('b', { since: 'p.0' });
    await settled();
    const behind = it.client.topic('c', { state: false });
    await it.clock.tick(29_999);
    expect([it.client.state.phase, old.phase, behind.phase]).toEqual(['online', 'catching-up', 'joining']);
    isStuck = false;
    await it.clock.tick(1);
    expect(it.client.state).toMatchObject({ phase: 'waiting', reason: { name: 'timeout', retry: true } });
    await it.clock.tick(1000);
    expect([it.client.state.phase, old.phase, behind.phase]).toEqual(['online', 'live', 'live']);
  });

  test.each(['sse', 'longpoll'] as const)('state that is cut is told to the log (%s)', async transport => {
    let isCut = false;
    const log = vi.fn();
    const it = world({
      transports: [transport], log,
      answer: (url, { signal }) => isReading(url) ? never(signal!)
        : page(url.searchParams.get('state') === '1' ? { state: [], ...(isCut && { state_complete: false }) } : {}),
    });
    const warnings = () => log.mock.calls.filter(([entry]) => entry.level === 'warn').length;
    it.client.topic('a');
    await settled();
    expect(warnings()).toBe(0);
    isCut = true;
    const topic = it.client.topic('b');
    await settled();
    expect([topic.phase, warnings()]).toEqual(['live', 1]);
  });

  test('a line without an end does not fill the memory', () => {
    const parse = eventStream({ event() {} });
    const piece = 'x'.repeat(1 << 20);
    expect(() => { for (let n = 0; n < 100; n++) parse(n ? piece : 'data: ' + piece); }).toThrow('too large');
  });
});
