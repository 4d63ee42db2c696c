// SPDX-License-Identifier: Apache-2.0
// Tokens: renewed in time, never the same one again that was refused.
import { describe, expect, test, vi } from 'vitest';
import { TidingsError } from '../src/index.ts';
import { online, settled, world } from './world.ts';

const bearer = (protocols: string[]) => protocols[1]?.slice('bearer.'.length);

/** Gives t1, t2, t3 … */
function giver() {
  let n = 0;
  return vi.fn((_why: string, _o: { signal: AbortSignal }) => `t${++n}`);
}

describe('refused', () => {
  test('4001: at once with another token', async () => {
    const token = giver();
    const it = world({ token });
    it.client.open();
    await settled();
    it.socket.end(4001, 'Unauthorized: no');
    await settled();
    expect(it.sockets.map(one => bearer(one.protocols))).toEqual(['t1', 't2']);
    expect(token.mock.calls.map(([why]) => why)).toEqual(['first', 'rejected']);
    it.socket.welcome();
    expect(it.client.state.phase).toBe('online');
  });

  test('never the same one twice', async () => {
    const token = vi.fn(() => 'same');
    const it = world({ token });
    it.client.open();
    await settled();
    it.socket.end(4001);
    await it.clock.tick(3_600_000);
    expect(it.sockets.length).toBe(1);
    expect(it.client.state).toMatchObject({ phase: 'failed', status: 'error', reason: { name: 'unauthorized', retry: false } });
  });

  test('two different ones in a row: failed, until reauth', async () => {
    const it = world({ token: giver() });
    it.client.open();
    for (let n = 0; n < 2; n++) {
      await settled();
      it.socket.end(4001);
    }
    await it.clock.tick(3_600_000);
    expect(it.sockets.length).toBe(2);
    expect(it.client.state.phase).toBe('failed');
    await it.client.reauth('good');
    await settled();
    expect(bearer(it.socket.protocols)).toBe('good');
    it.socket.welcome();
    expect(it.client.state.phase).toBe('online');
  });

  test('a token that is fixed: failed, until reauth with another', async () => {
    const it = await online();
    it.socket.end(4001, 'token_expired: it has expired');
    await it.clock.tick(3_600_000);
    expect([it.sockets.length, it.client.state.phase]).toEqual([1, 'failed']);
    await it.client.reauth('t0');
    await settled();
    expect(it.sockets.length).toBe(1);
    await it.client.reauth('t1');
    await settled();
    expect(bearer(it.socket.protocols)).toBe('t1');
  });

  test('connections that end so again and again come slower', async () => {
    const it = world({ token: giver() });
    it.client.open();
    const waits = [];
    for (let n = 0; n < 4; n++) {
      await settled();
      it.socket.welcome();
      await it.clock.tick(1000);
      it.socket.end(4001);
      const { retryAt } = it.client.state;
      waits.push(retryAt === undefined ? 0 : retryAt - it.clock.now());
      await it.clock.tick(waits.at(-1)!);
    }
    expect(waits[0]).toBe(0);
    expect(waits.at(-1)).toBeGreaterThan(0);
  });

  test('null: signed out, until reauth', async () => {
    const token = vi.fn(() => null as string | null);
    const it = world({ token });
    it.client.open();
    await settled();
    expect(it.client.state).toMatchObject({ phase: 'failed', reason: { name: 'signed_out' } });
    expect(it.sockets).toEqual([]);
    token.mockReturnValue('t1');
    await it.client.reauth();
    await settled();
    expect(bearer(it.socket.protocols)).toBe('t1');
  });

  test('a giver that fails is asked again, behind the backoff; one that hangs is given up', async () => {
    const token = vi.fn((): Promise<string> => Promise.reject(new Error('away')));
    const it = world({ token });
    it.client.open();
    await settled();
    expect(it.client.state).toMatchObject({ phase: 'waiting', retryAt: 2000 });
    let signal: AbortSignal | undefined;
    token.mockImplementation(((_: string, o: { signal: AbortSignal }) => {
      ({ signal } = o);
      return new Promise(() => {});
    }) as never);
    await it.clock.tick(31_000);
    expect([it.client.state.phase, signal?.aborted]).toEqual(['waiting', true]);
  });

  test('without the option the cookie speaks', async () => {
    const it = world({ token: undefined });
    it.client.open();
    await settled();
    expect(it.socket.protocols).toEqual([]);
    it.socket.end(4001);
    await settled();
    expect([it.client.state.phase, it.sockets.length]).toEqual(['failed', 1]);
  });
});

describe('renewed', () => {
  test('over the open connection, before it ends', async () => {
    const token = giver();
    const it = await online({ token });
    it.socket.end();
    await it.clock.tick(1000);
    it.socket.welcome({ token_expires_in: 600, heartbeat: { interval: 3600, timeout: 10 } });
    await settled();
    // A minute before the end, and a little spread.
    await it.clock.tick(540_000 - 1);
    expect(it.socket.commands('auth')).toEqual([]);
    await it.clock.tick(7000);
    expect(it.socket.commands('auth')).toMatchObject([{ token: 't2' }]);
    it.socket.control('authenticated', { ref: it.socket.commands('auth')[0]!.ref, user: 'ann', expires_in: 60, lost: [] });
    await settled();
    // Of a short life half is left.
    await it.clock.tick(34_000);
    expect(it.socket.commands('auth').map(one => one.token)).toEqual(['t2', 't3']);
    expect(it.sockets.length).toBe(2);
    expect(token.mock.calls.map(([why]) => why)).toEqual(['first', 'expiring', 'expiring']);
  });

  test('when the server says that it ends', async () => {
    const it = await online({ token: giver() });
    it.socket.control('token_expiring', { expires_in: 60 });
    await settled();
    expect(it.socket.commands('auth')).toMatchObject([{ token: 't2' }]);
  });

  test('by a new connection where that is wanted', async () => {
    const it = await online({ token: giver(), refresh: 'reconnect' });
    it.socket.control('token_expiring', { expires_in: 60 });
    await settled();
    expect(it.sockets.map(one => bearer(one.protocols))).toEqual(['t1', 't2']);
    expect(it.sockets[0]!.closed).toBe(1000);
    expect(it.socket.commands('auth')).toEqual([]);
  });

  test('a failure is tried again before the end', async () => {
    const token = giver();
    const it = await online({ token });
    token.mockImplementationOnce(() => { throw new Error('away'); });
    it.socket.control('token_expiring', { expires_in: 60 });
    await settled();
    expect(it.socket.commands('auth')).toEqual([]);
    it.socket.control('token_expiring', { expires_in: 50 });
    await settled();
    expect(it.socket.commands('auth').length).toBe(1);
    expect(it.client.state.phase).toBe('online');
  });

  test('somebody else has a connection of his own', async () => {
    const it = await online();
    const done = it.client.reauth('of-bob');
    await settled();
    it.socket.control('command_error', { ref: it.socket.commands('auth')[0]!.ref, code: 'forbidden', message: 'another subject' });
    await done;
    await settled();
    expect(bearer(it.socket.protocols)).toBe('of-bob');
  });

  test('one that is not valid leaves the old one in place, and is told', async () => {
    const it = await online();
    const done = it.client.reauth('bad');
    await settled();
    it.socket.control('command_error', { ref: it.socket.commands('auth')[0]!.ref, code: 'unauthorized', message: 'not a token' });
    await expect(done).rejects.toMatchObject({ code: 'unauthorized' });
    expect([it.client.state.phase, it.sockets.length]).toEqual(['online', 1]);
  });

  test('before the connection is made again, when it ended meanwhile', async () => {
    const token = giver();
    const it = await online({ token });
    it.socket.end();
    await it.clock.tick(1000);
    it.socket.welcome({ token_expires_in: 60 });
    await it.clock.sleep(3_600_000);
    it.socket.end();
    await it.clock.tick(2000);
    expect(bearer(it.socket.protocols)).not.toBe('t1');
  });
});

describe('requests', () => {
  test('401: with another token, once more; then the error', async () => {
    const seen: (string | undefined)[] = [];
    const it = world({
      token: giver(),
      answer: (_, { headers }) => {
        seen.push((headers as Record<string, string>).authorization);
        return seen.length === 1 ? Response.json({ code: 'token_expired', detail: 'it has expired' }, { status: 401 })
          : Response.json({ fine: true }, { headers: { 'tidings-position': 'e.7' } });
      },
    });
    const answer = await it.client.request('POST', '/api/v1/jobs', { body: { kind: 'x' }, query: { a: 1, b: undefined } });
    expect(answer).toMatchObject({ status: 200, data: { fine: true }, position: 'e.7' });
    expect(seen).toEqual(['Bearer t1', 'Bearer t2']);
    expect(it.requests[0]).toMatchObject({ method: 'POST', body: '{"kind":"x"}', headers: { 'content-type': 'application/json' } });
    expect(it.requests[0]!.url.href).toBe('http://tidings.test/api/v1/jobs?a=1');
  });

  test('a problem is an error with all its members', async () => {
    const it = world({
      answer: () => Response.json({ code: 'lock_held', detail: 'held', what_to_do: 'Wait.', holder: 'bob' }, { status: 409, headers: { 'retry-after': '7' } }),
    });
    const error: TidingsError = await it.client.request('PUT', '/api/v1/locks/a').catch(one => one);
    expect(error).toBeInstanceOf(TidingsError);
    expect(error).toMatchObject({ code: 'lock_held', status: 409, message: 'held', whatToDo: 'Wait.', retryAfter: 7, problem: { holder: 'bob' } });
  });

  test.each(['with a signal', 'without one'])('no answer within 30 s (%s)', async given => {
    const it = world({
      answer: (_, { signal }) => new Promise((_, reject) => { signal!.addEventListener('abort', () => reject(signal!.reason)); }),
    });
    const { signal } = new AbortController();
    let code: string | undefined;
    it.client.request('POST', '/x', given === 'with a signal' ? { signal } : {}).catch(error => { code = error.code; });
    await it.clock.tick(29_999);
    expect([code, it.requests.length]).toEqual([undefined, 1]);
    await it.clock.tick(1);
    expect([code, it.clock.timers.size]).toEqual(['timeout', 0]);
  });

  test('nor when it is the token that does not come', async () => {
    const it = world({ token: () => new Promise<string>(() => {}), answer: () => Response.json({}) });
    const code = it.client.request('GET', '/x').catch(error => error.code);
    await it.clock.tick(30_000);
    expect([await code, it.requests.length, it.clock.timers.size]).toEqual(['timeout', 0, 0]);
  });

  test('an abort under way ends the request, and leaves no timer', async () => {
    const signals: AbortSignal[] = [], control = new AbortController();
    const it = world({ answer: (_, { signal }) => { signals.push(signal!); return new Promise(() => {}); } });
    const code = it.client.request('GET', '/x', { signal: control.signal }).catch(error => error.code);
    await settled();
    control.abort();
    expect([await code, signals.map(signal => signal.aborted), it.clock.timers.size]).toEqual(['aborted', [true], 0]);
    const done = world({ answer: () => Response.json({}) });
    await done.client.request('GET', '/x');
    expect(done.clock.timers.size).toBe(0);
  });

  test('nobody there, an answer that is no JSON, an abort', async () => {
    const it = world();
    await expect(it.client.request('GET', '/x')).rejects.toMatchObject({ code: 'network' });
    const odd = world({ answer: () => new Response('<html>', { status: 502 }) });
    await expect(odd.client.request('GET', '/x')).rejects.toMatchObject({ code: 'http', status: 502 });
    const control = new AbortController();
    control.abort();
    await expect(it.client.request('GET', '/x', { signal: control.signal })).rejects.toMatchObject({ code: 'aborted' });
  });
});
