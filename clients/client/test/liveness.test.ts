// SPDX-License-Identifier: Apache-2.0
// What counts is what is heard: sleep, bfcache, a network that goes and comes.
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { online, settled } from './world.ts';

/** A page, as far as the client looks at it. */
class Page extends EventTarget {
  visibilityState = 'visible';
  fire(type: string): Promise<void> {
    this.dispatchEvent(new Event(type));
    return settled();
  }
}

let page: Page, document: Page;
let listeners = 0;

beforeEach(({ onTestFinished }) => {
  // Behind the client's own end.
  onTestFinished(() => { vi.unstubAllGlobals(); });
  page = new Page();
  document = new Page();
  listeners = 0;
  for (const target of [page, document]) {
    const add = target.addEventListener.bind(target), remove = target.removeEventListener.bind(target);
    target.addEventListener = (...given: Parameters<EventTarget['addEventListener']>) => { listeners++; add(...given); };
    target.removeEventListener = (...given: Parameters<EventTarget['removeEventListener']>) => { listeners--; remove(...given); };
  }
  vi.stubGlobal('addEventListener', page.addEventListener);
  vi.stubGlobal('removeEventListener', page.removeEventListener);
  vi.stubGlobal('document', document);
});

test('silence until the deadline: it is dropped, and back within a second', async () => {
  const it = await online();
  await it.clock.tick(39_999);
  expect(it.client.state.phase).toBe('online');
  await it.clock.tick(1);
  expect(it.client.state).toMatchObject({ phase: 'waiting', retryAt: it.clock.now() + 500, reason: { name: 'timeout' } });
  expect(it.socket.closed).toBe(1000);
});

test('each message moves the deadline; its times are the server’s', async () => {
  const it = await online();
  it.socket.end();
  await it.clock.tick(1000);
  it.socket.welcome({ heartbeat: { interval: 5, timeout: 2 } });
  await it.clock.tick(6000);
  it.socket.control('heartbeat', { position: 'e.0' });
  await it.clock.tick(6999);
  expect(it.client.state.phase).toBe('online');
  await it.clock.tick(1);
  expect(it.client.state.phase).toBe('waiting');
});

test('the round trip is measured', async () => {
  const it = await online();
  const [ping] = it.socket.commands('ping');
  await it.clock.tick(42);
  it.socket.control('pong', { ref: ping!.ref });
  expect(it.client.state.rtt).toBe(42);
  expect(it.states.at(-1)!.rtt).toBe(42);
});

test('a timer that comes late is no proof: it asks', async () => {
  const it = await online();
  await it.clock.sleep(3_600_000);
  expect(it.client.state.phase).toBe('online');
  expect(it.socket.commands('ping').length).toBe(2);
  it.socket.event('a', 'e.1', 1);
  await it.clock.tick(3000);
  expect(it.client.state.phase).toBe('online');
});

describe.each(['focus', 'pageshow', 'online'])('%s', type => {
  test('asks; no answer in 3 s: dropped and back', async () => {
    const it = await online();
    await it.clock.tick(6000);
    await page.fire(type);
    expect(it.socket.commands('ping').length).toBe(2);
    await it.clock.tick(2999);
    expect(it.client.state.phase).toBe('online');
    await it.clock.tick(1);
    expect(it.client.state.phase).toBe('waiting');
    await it.clock.tick(500);
    expect(it.sockets.length).toBe(2);
  });

  test('does not ask when something was heard just now', async () => {
    const it = await online();
    await page.fire(type);
    expect(it.socket.commands('ping').length).toBe(1);
  });
});

test.each(['visibilitychange', 'resume'])('%s asks, when the page is visible', async type => {
  const it = await online();
  await it.clock.tick(6000);
  document.visibilityState = 'hidden';
  await document.fire(type);
  expect(it.socket.commands('ping').length).toBe(1);
  document.visibilityState = 'visible';
  await document.fire(type);
  expect(it.socket.commands('ping').length).toBe(2);
});

test('offline is not believed: it asks, and shows it only when nothing answers', async () => {
  const it = await online();
  await page.fire('offline');
  expect([it.client.state.phase, it.socket.commands('ping').length]).toEqual(['online', 2]);
  it.socket.control('pong', { ref: 'probe' });
  await it.clock.tick(10_000);
  expect(it.client.state.phase).toBe('online');
  await page.fire('offline');
  await it.clock.tick(3000);
  expect(it.client.state).toMatchObject({ phase: 'offline', status: 'disconnected' });
  const tries = it.sockets.length;
  await it.clock.tick(1);
  await page.fire('online');
  await it.clock.tick(501);
  expect(it.sockets.length).toBeGreaterThan(tries);
  it.socket.welcome();
  expect(it.client.state.phase).toBe('online');
});

test('waiting is cut short when the page is looked at, not what the server said', async () => {
  const it = await online();
  it.socket.control('draining', { retry_after: 20 });
  it.socket.end(1001);
  await page.fire('online');
  expect(it.client.state.retryAt).toBe(it.clock.now() + 20_000);
  it.client.close();
  const other = await online();
  for (const wait of [1000, 2000, 4000, 8000]) {
    other.socket.end();
    await other.clock.tick(wait);
  }
  other.socket.end();
  await settled();
  await page.fire('focus');
  expect(other.client.state.retryAt! - other.clock.now()).toBeLessThanOrEqual(1001);
});

test('put away and shown again: closed, and resumed where it was', async () => {
  const it = await online();
  it.client.topic('rooms/*');
  await settled();
  it.socket.subscribed('e.1');
  it.socket.caughtUp('e.1');
  it.socket.event('rooms/1', 'e.2', 1);
  await page.fire('pagehide');
  expect([it.socket.closed, it.client.state.phase]).toEqual([1000, 'waiting']);
  await it.clock.tick(3_600_000);
  expect(it.sockets.length).toBe(1);
  await page.fire('pageshow');
  it.socket.welcome();
  await settled();
  expect(it.socket.commands('SUBSCRIBE')).toMatchObject([{ topics: ['rooms/*'], since: 'e.2' }]);
});

test.each(['visibilitychange', 'resume'])('put away and back without pageshow: %s brings it back', async type => {
  const it = await online();
  await page.fire('pagehide');
  document.visibilityState = 'hidden';
  await document.fire('visibilitychange');
  await it.clock.tick(3_600_000);
  expect([it.client.state.phase, it.sockets.length]).toEqual(['waiting', 1]);
  // Who runs on does so in the background, too.
  if (type === 'visibilitychange') document.visibilityState = 'visible';
  await document.fire(type);
  it.socket.welcome();
  expect([it.client.state.phase, it.sockets.length]).toEqual(['online', 2]);
  await page.fire('pageshow');
  expect(it.sockets.length).toBe(2);
});

test.each(['pointerdown', 'keydown', 'focus'])('4009: not again before the page is used (%s)', async type => {
  const it = await online();
  it.socket.end(4009, 'replaced');
  await it.clock.tick(3_600_000);
  expect([it.client.state.phase, it.client.state.reason!.name, it.sockets.length]).toEqual(['failed', 'replaced', 1]);
  await page.fire(type);
  it.socket.welcome();
  expect([it.client.state.phase, it.sockets.length]).toEqual(['online', 2]);
});

test('a page that only loads is not one that comes back', async () => {
  const it = await online();
  await page.fire('pageshow');
  expect(it.sockets.length).toBe(1);
});

test('no listener stays behind close', async () => {
  const it = await online();
  expect(listeners).toBeGreaterThan(0);
  it.client.close();
  expect(listeners).toBe(0);
});
