// SPDX-License-Identifier: Apache-2.0
// Chromium's own EventSource, which nobody here wrote.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, withWorld } from './browser.js';
import { until } from './server.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());
const world = (body, expected) => withWorld(() => browser, body, expected);

// Follows a/** in the page; what it hears gathers in window.stream.heard as [event name, lastEventId, data].
async function follow({ page, server }, types) {
  await page.goto(server.url); // signs in by cookie
  await page.evaluate(names => {
    const stream = window.stream = { heard: [], opens: 0 };
    const source = new EventSource('/api/v1/events?topic=a/**');
    source.onopen = () => stream.opens++;
    for (const name of [...names, 'tidings', 'message'])
      source.addEventListener(name, event => stream.heard.push([event.type, event.lastEventId, JSON.parse(event.data)]));
  }, types);
  await until(async () => (await controls(page)).includes('caught_up'), 'the stream is live');
}

const heard = page => page.evaluate(() => stream.heard);
const controls = async page => (await heard(page)).filter(([name]) => name === 'tidings').map(([, , data]) => data.type);
const events = async page => (await heard(page)).filter(([name]) => name !== 'tidings');
const hears = (page, n) => until(async () => (await events(page)).length >= n && events(page), `${n} events`);

test('events come by their type, with their position', world(async world => {
  const { page, server } = world;
  await follow(world, ['said', 'job_error']);
  const ids = await server.publish([
    { topic: 'a/1', type: 'said', data: { text: 'hello' } },
    { topic: 'b/1', type: 'said', data: 'not followed' },
    { topic: 'a/2', type: 'error', data: 'a type that EventSource has for itself' },
    { topic: 'a/3', type: 'said', data: 'two\nlines\r\nid: forged' },
  ]);
  const came = await hears(page, 3);
  assert.deepEqual(came.map(([name, id, data]) => [name, id, data.topic, data.type]), [
    ['said', ids[0], 'a/1', 'said'],
    ['job_error', ids[2], 'a/2', 'error'],
    ['said', ids[3], 'a/3', 'said'],
  ]);
  assert.deepEqual(came[0][2].data, { text: 'hello' });
  assert.equal(came[2][2].data, 'two\nlines\r\nid: forged');
  assert.equal(came[0][2].id, ids[0]);
}));

test('after a kill the browser resumes by itself with exactly what it missed', world(async world => {
  const { page, server } = world;
  const asked = [];
  page.on('request', request => {
    if (request.resourceType() === 'eventsource') asked.push(request.allHeaders());
  });
  await follow(world, ['said']);
  const one = await server.publish([1, 2].map(n => ({ topic: `a/${n}`, type: 'said', data: n })));
  await hears(page, 2);
  const away = await server.publishWhileAway([3, 4, 5].map(n => ({ topic: `a/${n}`, type: 'said', data: n })));
  await hears(page, 5);
  const after = await server.publish([{ topic: 'a/6', type: 'said', data: 6 }]);
  const came = await hears(page, 6);
  assert.deepEqual(came.map(([, id, event]) => [id, event.data]),
    [...one, ...away, ...after].map((id, i) => [id, i + 1]));
  assert.ok(await page.evaluate(() => stream.opens) >= 2, 'it was opened again');
  assert.ok(!(await controls(page)).includes('gap'));
  const sent = (await Promise.all(asked)).map(headers => headers['last-event-id']);
  assert.equal(sent[0], undefined);
  assert.equal(sent.at(-1), one.at(-1));
}));

test('a stop of the server is no error either', world(async world => {
  const { page, server } = world;
  await follow(world, ['said']);
  await server.stop();
  await server.up();
  await server.publish([{ topic: 'a/1', type: 'said', data: 1 }]);
  const came = await hears(page, 1);
  assert.deepEqual(came.map(([, , event]) => event.data), [1]);
}));

test('without a token it fails for good', world(async ({ page, server }) => {
  await page.goto(`${server.url}/healthz`); // the same site, which does not sign in
  const state = await page.evaluate(() => new Promise(tell => {
    const source = new EventSource('/api/v1/events?topic=a/**&token=none');
    source.onerror = () => tell(source.readyState === EventSource.CLOSED);
  }));
  assert.equal(state, true);
}, [/401/]));
