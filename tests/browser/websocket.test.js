// SPDX-License-Identifier: Apache-2.0
// Chromium's own WebSocket, which nobody here wrote.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, withWorld } from './browser.js';
import { until } from './server.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());
const world = (body, ...options) => withWorld(() => browser, body, [], options);
const COMPRESSION = ['--compression', 'true', '--compression_takeover', 'true'];

// Opens a WebSocket in the page.  What it hears gathers in window.talk.heard, JSON parsed; its end in window.talk.end.
async function connect(page, path, protocols = []) {
  await page.evaluate(([path, protocols]) => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + path, protocols);
    const talk = window.talk = { socket, heard: [], end: null };
    socket.onmessage = ({ data }) => talk.heard.push(data.startsWith('{') ? JSON.parse(data) : data);
    socket.onclose = ({ code, reason, wasClean }) => { talk.end = { code, reason, wasClean }; };
  }, [path, protocols]);
}

const send = (page, command) =>
  page.evaluate(text => talk.socket.send(text), typeof command === 'string' ? command : JSON.stringify(command));
const heard = page => page.evaluate(() => talk.heard);
const hears = (page, fits, what) => until(async () => (await heard(page)).find(fits), what);
const control = (page, type) => hears(page, message => message.control && message.type === type, type);
const events = async page => (await heard(page)).filter(message => message.id && !message.control);
const hearsEvents = (page, n) => until(async () => (await events(page)).length >= n && events(page), `${n} events`);
const ends = page => until(() => page.evaluate(() => talk.end), 'the connection ends');
const signIn = ({ page, server }) => page.goto(server.url);
const stranger = ({ page, server }) => page.goto(`${server.url}/healthz`); // the same site, without a cookie

test('subscribes, pings and publishes', world(async world => {
  const { page, server } = world;
  await signIn(world);
  await connect(page, '/ws');
  const greeting = await control(page, 'connection');
  assert.equal(greeting.user, 'dev');
  await send(page, { type: 'SUBSCRIBE', topics: ['rooms/*'], ref: 1 });
  assert.deepEqual((await control(page, 'subscribed')).topics, ['rooms/*']);
  await send(page, 'ping');
  await hears(page, message => message === 'pong', 'pong');
  await send(page, { type: 'publish', event: { topic: 'rooms/1', type: 'said', data: 'hello' }, ref: 'p' });
  const { id } = await control(page, 'published');
  const [event] = await hearsEvents(page, 1);
  assert.deepEqual([event.id, event.data, event.origin], [id, 'hello', greeting.connection_id]);
  await server.publish([{ topic: 'rooms/2', type: 'said', data: 'from elsewhere' }]);
  assert.equal((await hearsEvents(page, 2))[1].data, 'from elsewhere');
  await page.evaluate(() => talk.socket.send(new Blob(['a command is text'])));
  assert.equal((await control(page, 'command_error')).code, 'bad_request');
  await page.evaluate(() => talk.socket.close(1000, 'enough'));
  assert.deepEqual(await ends(page), { code: 1000, reason: '', wasClean: true });
}));

test('agrees on compression, and hears the same', world(async world => {
  const { page, server } = world;
  const text = 'the same words again, '.repeat(500);
  await signIn(world);
  await connect(page, '/api/v1/events?topic=rooms/*');
  await control(page, 'caught_up');
  assert.match(await page.evaluate(() => talk.socket.extensions), /permessage-deflate/);
  for (const n of [1, 2]) {
    await send(page, { type: 'publish', event: { topic: 'rooms/1', type: 'said', data: text + n }, ref: n });
    await hearsEvents(page, 2 * n - 1);
    await server.publish([{ topic: 'rooms/2', type: 'said', data: `${n} ${text}` }]);
    await hearsEvents(page, 2 * n);
  }
  assert.deepEqual((await events(page)).map(event => event.data), [`${text}1`, `1 ${text}`, `${text}2`, `2 ${text}`]);
}, ...COMPRESSION));

test('a page can tell that it has no valid token', world(async world => {
  await stranger(world);
  await connect(world.page, '/ws');
  assert.deepEqual(await ends(world.page),
    { code: 4001, reason: 'Unauthorized: no token was sent', wasClean: true });
  await connect(world.page, '/ws', ['tidings', 'bearer.none']);
  assert.equal((await ends(world.page)).code, 4001);
  assert.deepEqual(await heard(world.page), []);
}));

test('a token goes as a subprotocol, and is not echoed', world(async world => {
  const { page, server } = world;
  await stranger(world);
  await connect(page, '/ws', ['tidings', `bearer.${server.sign('carl')}`]);
  assert.equal((await control(page, 'connection')).user, 'carl');
  assert.equal(await page.evaluate(() => talk.socket.protocol), 'tidings');
}));

test('close codes reach the page: forbidden, too big, stopping', world(async world => {
  const { page, server } = world;
  const bearer = ['tidings', `bearer.${server.sign('carl', '--subscribe', 'rooms/1')}`];
  await stranger(world);
  await connect(page, '/api/v1/events?topic=rooms/2', bearer);
  const refused = await ends(page);
  assert.equal(refused.code, 4003);
  assert.match(refused.reason, /^forbidden: /);
  await connect(page, '/ws', bearer);
  await control(page, 'connection');
  await page.evaluate(() => talk.socket.send('x'.repeat(2 * 1024 * 1024)));
  assert.equal((await ends(page)).code, 1009);
  await connect(page, '/ws', bearer);
  await control(page, 'connection');
  const stopped = server.stop();
  assert.ok((await control(page, 'draining')).retry_after >= 1);
  assert.equal((await ends(page)).code, 1001);
  await stopped;
}));

for (const [how, path, command, ...options] of [
  ['the URL', since => `/api/v1/events?topic=rooms/*&since=${since}`, () => null],
  ['SUBSCRIBE', () => '/ws', since => ({ type: 'SUBSCRIBE', topics: ['rooms/*'], since })],
  ['the URL, compressed', since => `/api/v1/events?topic=rooms/*&since=${since}`, () => null,
    ...COMPRESSION, '--compression_min_bytes', '0'],
]) {
  test(`resumes by since in ${how}, also after a kill`, world(async world => {
    const { page, server } = world;
    const say = n => ({ topic: 'rooms/1', type: 'said', data: n });
    const resume = async since => {
      await connect(page, path(since));
      await control(page, 'connection');
      if (command(since)) await send(page, command(since));
      await control(page, 'caught_up');
      return events(page);
    };
    await signIn(world);
    assert.deepEqual(await resume('earliest'), []);
    const [first] = await server.publish([say(1)]);
    await hearsEvents(page, 1);
    await page.evaluate(() => talk.socket.close());
    await ends(page);
    const second = await server.publish([say(2), say(3)]);
    assert.deepEqual((await resume(first)).map(event => [event.id, event.data]), [[second[0], 2], [second[1], 3]]);
    const third = await server.publishWhileAway([say(4)]);
    assert.equal((await ends(page)).code, 1006);
    assert.deepEqual((await resume(second[1])).map(event => [event.id, event.data]), [[third[0], 4]]);
  }, ...options));
}
