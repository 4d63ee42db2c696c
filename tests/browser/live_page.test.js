// SPDX-License-Identifier: Apache-2.0
// The page at /: what a person sees.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { launch, withWorld } from './browser.js';
import { ROOT, until } from './server.js';

const PICTURES = path.join(ROOT, 'build/browser');
let browser;

before(async () => { mkdirSync(PICTURES, { recursive: true }); browser = await launch(); });
after(() => browser.close());
const world = (body, expected) => withWorld(() => browser, body, expected);

const said = (...texts) => texts.map(text => ({ topic: 'rooms/1', type: 'said', data: { text } }));
const text = (page, id) => page.locator(`#${id}`).innerText();
const live = page => until(async () => await text(page, 'state') === 'live', 'the page is live');
// The texts of the events shown, in order.
const shown = page => page.locator('#events li .data').allInnerTexts().then(
  rows => rows.map(row => JSON.parse(row).text));
const shows = (page, expected) => until(async () => (await shown(page)).length >= expected.length, 'the events are shown')
  .then(async () => assert.deepEqual(await shown(page), expected));

async function open({ page, server }) {
  await page.goto(server.url);
  await live(page);
}

test('shows what others publish, at once', world(async world => {
  await open(world);
  const [id] = await world.server.publish(said('hello'));
  await shows(world.page, ['hello']);
  assert.equal(await text(world.page, 'position'), id);
  assert.equal(await text(world.page, 'count'), '1');
  await world.page.screenshot({ path: path.join(PICTURES, 'live.png') });
}));

test('publishes what its form holds', world(async world => {
  const { page } = world;
  await open(world);
  await page.getByLabel('Publish to').fill('rooms/2');
  await page.getByLabel('text').fill('from the form');
  await page.getByRole('button', { name: 'Publish' }).click();
  await shows(page, ['from the form']);
  await until(async () => /^stored as [0-9a-f]{8}\.[0-9]+$/.test(await text(page, 'answer')), 'the answer is shown');
  await page.getByLabel('Publish to').fill('not//a topic');
  await page.getByLabel('text').press('Enter');
  await until(async () => (await text(page, 'answer')).includes('`topic` is not a topic'), 'the refusal is shown');
}, [/400/]));

test('shows text as text', world(async world => {
  await open(world);
  await world.server.publish(said('<img src=x onerror=alert(1)>'));
  await shows(world.page, ['<img src=x onerror=alert(1)>']);
}));

test('follows other topics', world(async world => {
  const { page, server } = world;
  await open(world);
  await page.getByLabel('Topics').fill('rooms/*');
  await page.getByRole('button', { name: 'Follow' }).click();
  await live(page);
  await server.publish([{ topic: 'other', type: 'said', data: { text: 'not this' } }, ...said('this')]);
  await shows(page, ['this']);
}));

test('after a drop it shows what was missed, once', world(async world => {
  const { page, server } = world;
  await open(world);
  await server.publish(said('one'));
  await shows(page, ['one']);
  await page.getByRole('button', { name: 'Drop' }).click();
  await until(async () => (await text(page, 'state')).startsWith('dropped'), 'it says so');
  await server.publish(said('two', 'three'));
  assert.deepEqual(await shown(page), ['one']);
  await live(page);
  await server.publish(said('four'));
  await shows(page, ['one', 'two', 'three', 'four']);
  assert.equal(await text(page, 'resumed'), '1');
  assert.equal(await text(page, 'doubled'), '0');
  await page.screenshot({ path: path.join(PICTURES, 'resumed.png') });
}));

test('after a kill of the server it goes on by itself', world(async world => {
  const { page, server } = world;
  await open(world);
  await server.publish(said('before'));
  await shows(page, ['before']);
  await server.publishWhileAway(said('away 1', 'away 2'));
  await shows(page, ['before', 'away 1', 'away 2']);
  await live(page);
  await server.publish(said('after'));
  await shows(page, ['before', 'away 1', 'away 2', 'after']);
  assert.equal(await text(page, 'doubled'), '0');
}));

test('a restart before the first event loses nothing', world(async world => {
  const { page, server } = world;
  await open(world);
  await server.publishWhileAway(said('first'));
  await shows(page, ['first']);
}));

test('what the server notes of the page itself is not shown, unless it is asked for', withWorld(() => browser, async world => {
  const { page, server } = world;
  await open(world);
  await server.publish(said('hello'));
  await shows(page, ['hello']);
  await page.locator('#pattern').fill('audit/**');
  await page.locator('#follow').click();
  await until(async () => (await page.locator('#events').innerText()).includes('connection_opened'), 'the audit is shown');
}, [], ['--audit.events', 'true']));

test('fits a narrow screen', world(async world => {
  await world.page.setViewportSize({ width: 360, height: 640 });
  await open(world);
  await world.server.publish(said('hello', 'a text that is longer than a line of a small screen can be'));
  await until(async () => (await shown(world.page)).length === 2, 'the events are shown');
  const wider = await world.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wider <= 0, `it is ${wider} px too wide`);
  assert.ok(await world.page.locator('#events li .data').first().isVisible());
  await world.page.screenshot({ path: path.join(PICTURES, 'narrow.png') });
}));
