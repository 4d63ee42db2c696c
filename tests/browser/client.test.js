// SPDX-License-Identifier: Apache-2.0
// @tidings/client in Chromium, on a site of its own: what only a real browser does to a connection.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { rolldown } from 'rolldown';
import { ROOT, Server, until } from './server.js';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update'];

let browser, site, origin;

// The package as a bundler makes it, and two empty pages of which the first has it.
async function serveSite() {
  const bundle = await rolldown({ input: path.join(ROOT, 'clients/client/src/index.ts'), resolve: { conditionNames: ['source', 'import'] } });
  const { output } = await bundle.generate({ format: 'es', minify: true, entryFileNames: 'client.js' });
  await bundle.close();
  const files = new Map(output.map(file => [`/${file.fileName}`, ['text/javascript', file.code]]));
  files.set('/', ['text/html', '<!doctype html><title>one</title><script type="module">window.tidings = await import("/client.js");</script>']);
  files.set('/other', ['text/html', '<!doctype html><title>other</title>']);
  files.set('/worker.js', ['text/javascript', `
    onmessage = async ({ data: [url, token] }) => {
      const { createClient } = await import('/client.js');
      const client = createClient({ url, token });
      client.topic('rooms/*', { onEvent: event => postMessage(event.data) }).ready.then(() => postMessage('live'));
    };`]);
  files.set('/favicon.ico', ['image/x-icon', '']);
  site = http.createServer((request, response) => {
    const [type, body] = files.get(new URL(request.url, 'http://localhost').pathname) ?? [];
    response.writeHead(type ? 200 : 404, { 'content-type': type ?? 'text/plain' });
    response.end(body);
  }).listen(0, '127.0.0.1');
  await once(site, 'listening');
  origin = `http://localhost:${site.address().port}`;
}

before(async () => {
  await serveSite();
  // Playwright turns the back/forward cache off, which is what one of these tests is about.
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS, ignoreDefaultArgs: ['--disable-back-forward-cache'],
  });
});

after(async () => {
  await browser.close();
  site.close();
});

function world(body) {
  return async () => {
    const server = await Server.start();
    const context = await browser.newContext();
    const page = await context.newPage(), errors = [];
    page.on('pageerror', error => errors.push(error.message));
    try {
      await page.goto(origin);
      await page.waitForFunction(() => window.tidings);
      await body({ server, context, page });
      assert.deepEqual(errors, []);
    } finally {
      await context.close();
      await server.done();
    }
  };
}

// A client in the page that follows rooms/*; what comes gathers in window.got, its phases in window.phases.
async function follow({ page, server }, options = {}) {
  await page.evaluate(async ([url, token, options]) => {
    const backoff = { base: 100, factor: 2, max: 1000 };
    window.client = tidings.createClient({ url, token, backoff, ...options });
    window.got = [];
    window.gaps = [];
    window.phases = [];
    client.watch(state => { if (phases.at(-1) !== state.phase) phases.push(state.phase); });
    const begun = performance.now();
    await client.topic('rooms/*', { onEvent: event => got.push(event.data), onGap: gap => gaps.push(gap) }).ready;
    window.took = performance.now() - begun;
  }, [server.url, server.token, options]);
  console.log(`live after ${(await page.evaluate(() => took)).toFixed(0)} ms`);
}

const state = page => page.evaluate(() => ({ phase: client.state.phase, transport: client.state.transport }));
const said = n => ({ topic: `rooms/${n % 2}`, type: 'said', data: n });
const hears = (page, expected) => until(async () => {
  const got = await page.evaluate(() => got);
  return got.length >= expected.length && (assert.deepEqual(got, expected), true);
}, `${expected.length} events`);

for (const transport of ['websocket', 'sse', 'longpoll']) {
  test(`${transport}: from another origin; a killed server loses and doubles nothing`, world(async world => {
    const { page, server } = world;
    await follow(world, { transports: [transport] });
    assert.deepEqual(await state(page), { phase: 'online', transport });
    await server.publish([1, 2].map(said));
    await hears(page, [1, 2]);
    await server.publishWhileAway([3, 4, 5].map(said));
    await hears(page, [1, 2, 3, 4, 5]);
    const { id } = await page.evaluate(() => client.publish('rooms/1', 'said', 6));
    assert.ok(id);
    await hears(page, [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(await page.evaluate(() => gaps), []);
  }));
}

test('in a worker', world(async ({ page, server }) => {
  await page.evaluate(([url, token]) => {
    const worker = new Worker('/worker.js', { type: 'module' });
    window.got = [];
    worker.onmessage = ({ data }) => got.push(data);
    worker.postMessage([url, token]);
  }, [server.url, server.token]);
  await hears(page, ['live']);
  await server.publish([said(1)]);
  await hears(page, ['live', 1]);
}));

test('a page from the back/forward cache goes on where it was', world(async world => {
  const { page, server } = world;
  await follow(world);
  await server.publish([said(1)]);
  await hears(page, [1]);
  await page.evaluate(() => { window.isTheSame = true; });
  await page.goto(`${origin}/other`);
  await until(async () => /"count":0/.test(await connectionsOf(server)), 'the page that is put away has no connection');
  await server.publish([said(2), said(3)]);
  await page.goBack({ waitUntil: 'commit' });
  await page.waitForFunction(() => window.isTheSame);
  await hears(page, [1, 2, 3]);
  assert.equal((await state(page)).phase, 'online');
}));

async function connectionsOf(server) {
  const admin = server.sign('root', '--role', 'admin');
  return (await fetch(`${server.url}/api/v1/admin/connections`, { headers: { authorization: `Bearer ${admin}` } })).text();
}

test('offline is shown when it is so, and nothing is lost', world(async world => {
  const { page, server, context } = world;
  await follow(world);
  await context.setOffline(true);
  await until(async () => (await state(page)).phase === 'offline', 'offline');
  await server.publish([said(1), said(2)]);
  await context.setOffline(false);
  await hears(page, [1, 2]);
  assert.equal((await state(page)).phase, 'online');
}));

test('ten thousand topics that come and go leave nothing behind', world(async world => {
  const { page, server } = world;
  await follow(world);
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize;
  };
  const subscriptions = async () => Number(/^tidings_subscriptions (\d+)/m.exec(await (await fetch(`${server.url}/metrics`)).text())[1]);
  const rounds = n => page.evaluate(async n => {
    for (let i = 0; i < n; i++) {
      const topics = Array.from({ length: 50 }, (_, k) => client.topic(`rooms/${k}`));
      await Promise.resolve();
      for (const topic of topics) topic.close();
    }
  }, n);
  await rounds(20);
  await until(async () => await subscriptions() === 1, 'subscriptions are back');
  const before = await heap();
  await rounds(200);
  await until(async () => await subscriptions() === 1, 'subscriptions are back');
  // The server may say so before it has heard of them; what lingers in the page goes a second later.
  let grown;
  await until(async () => (grown = await heap() - before) < 512 * 1024, 'what they took is given back').catch(() => {});
  console.log(`10,000 topics: the heap grew by ${(grown / 1024).toFixed(0)} KB`);
  assert.ok(grown < 512 * 1024, `${grown} bytes`);
  assert.equal((await state(page)).phase, 'online');
}));
