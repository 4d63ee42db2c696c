// SPDX-License-Identifier: Apache-2.0
// What happens to pages in the life of a browser and of a server: a server that is killed, a page that is left and come back to, a
// cable that is pulled, a token that ends while a text is written, one tab too many.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './browser.js';
import { until } from './server.js';
import { ask, fault, has, live, notice, phase, picture, reaches, show, sign, transport, workbench } from './workbench.js';

let browser;
before(async () => { browser = await launch({ ignoreDefaultArgs: ['--disable-back-forward-cache'] }); });
after(() => browser.close());
const bench = (body, expected, options) => workbench(() => browser, body, expected, options);

const said = (...texts) => texts.map(text => ({ topic: 'rooms/1', type: 'said', data: { text } }));
const shown = async page => (await page.locator('[data-part=data]').allInnerTexts()).reverse().map(text => JSON.parse(text).text);
const shows = (page, ...texts) => until(async () => (await shown(page)).length >= texts.length, 'the events are there')
  .then(async () => assert.deepEqual(await shown(page), texts));
const doubled = page => page.locator('[data-count=doubled]').innerText();

async function follow(open) {
  const page = await open('root', 'live');
  await page.getByLabel('Topics').fill('rooms/*');
  await page.getByRole('button', { name: 'Follow' }).click();
  await until(async () => await page.getByRole('status').filter({ hasText: /^Live$/ }).count() > 0, 'it follows');
  return page;
}

test('a server that is killed and comes back: within ten seconds all is there', bench(async ({ server, open }) => {
  const page = await follow(open);
  await server.publish(said('before'));
  await shows(page, 'before');
  await server.kill9();
  await until(async () => !['Live', 'Delayed'].includes(await phase(page)), 'it says that it is not connected');
  await picture(page, 'server-killed');
  await server.publishWhileAway(said('away 1', 'away 2'));
  const back = Date.now();
  await live(page, 10_000);
  await shows(page, 'before', 'away 1', 'away 2');
  console.log(`back ${Date.now() - back} ms after the server`);
  await server.publish(said('after'));
  await shows(page, 'before', 'away 1', 'away 2', 'after');
  assert.equal(await doubled(page), '0');
}));

test('a server that is killed while agents work: the page says how it ended', bench(async ({ server, open }) => {
  const page = await open('ann', 'generate');
  await page.getByRole('button', { name: 'Generate', exact: true }).click();
  await until(async () => await page.locator('[data-agent][data-status=completed]').count() >= 1, 'they work');
  await server.kill9();
  await server.up();
  await has(page, 'section[aria-label=Generation]', 'data-status', 'failed', 30_000);
  await notice(page, 'The generation failed').waitFor();
  const job = await page.getByRole('region', { name: 'Generation' }).getAttribute('data-job');
  const { data } = await ask(server, 'GET', `/api/v1/jobs/${job}`);
  assert.deepEqual([data.state, data.error.code], ['failed', 'orphaned']);
  assert.ok(await page.getByRole('main').getByText(data.error.message).first().isVisible());
  // And the next one is none the worse for it.
  await page.getByRole('button', { name: 'Generate', exact: true }).click();
  await has(page, 'section[aria-label=Generation]', 'data-status', 'completed', 60_000);
}, [/404/]));

test('left and come back to (bfcache): what happened meanwhile is there, once', bench(async ({ server, open }) => {
  const page = await follow(open);
  await server.publish(said('before'));
  await shows(page, 'before');
  await page.evaluate(() => addEventListener('pageshow', event => { window.restored = event.persisted; }));
  await page.goto(`${server.url}/healthz`);
  await server.publish(said('meanwhile'));
  await page.goBack({ waitUntil: 'commit' });
  await shows(page, 'before', 'meanwhile');
  assert.equal(await page.evaluate(() => window.restored), true, 'the page was kept as it was');
  await live(page);
  await server.publish(said('after'));
  await shows(page, 'before', 'meanwhile', 'after');
  assert.equal(await doubled(page), '0');
}));

test('the cable is pulled: the page says so, and has everything when it is back', bench(async ({ server, open, context }) => {
  const page = await follow(open);
  await server.publish(said('before'));
  await shows(page, 'before');
  await context.setOffline(true);
  await reaches(page, 'Offline');
  await server.publish(said('meanwhile'));
  await context.setOffline(false);
  await live(page);
  await shows(page, 'before', 'meanwhile');
  assert.equal(await doubled(page), '0');
}, [/INTERNET_DISCONNECTED/]));

test('the token expires while texts are written: they are whole', bench(async ({ server, open }) => {
  const page = await open('ann', 'enhance');
  await page.getByRole('button', { name: 'Enhance three samples at once' }).click();
  await until(async () => await page.locator('[data-status=streaming]').count() === 3, 'they are written');
  await fault(page, 'Expire the token');
  await until(() => (server.log().match(/code=4001/g) ?? []).length >= 1, 'the server has closed', 15_000);
  assert.ok(await page.locator('[data-status=streaming]').count() > 0, 'in the middle of them');
  await until(async () => await page.locator('[data-status=done]').count() === 3, 'they are complete', 60_000);
  await live(page);
  const { data: { jobs } } = await ask(server, 'GET', '/api/v1/jobs?kind=enhance');
  const squeezed = text => text.replace(/\s+/g, ' ').trim();
  const texts = await page.getByRole('group', { name: 'Enhanced prompt' }).allInnerTexts();
  assert.deepEqual(texts.map(squeezed).sort(), jobs.map(job => squeezed(job.result.text)).sort());
}, [/401/], ['--llm.model', 'imitation@0.15']));

test('a seventh tab on SSE, for which a browser has no connection left: it says so, and has everything in the end', bench(async ({ server, open }) => {
  const pages = [];
  for (let i = 0; i < 7; i++) pages.push(await follow(open));
  for (const page of pages.slice(0, 6)) {
    await fault(page, 'SSE');
    assert.equal(await transport(page), 'Server-Sent Events');
  }
  const seventh = pages[6];
  await fault(seventh, 'SSE');
  await until(async () => await phase(seventh) !== 'Live', 'it does not say live');
  await server.publish(said('one', 'two'));
  for (const page of pages.slice(0, 6)) await shows(page, 'one', 'two');
  await until(async () => !['Live', 'Delayed'].includes(await phase(seventh)), 'it still does not');
  await fault(seventh, 'Auto');
  assert.equal(await transport(seventh), 'WebSocket');
  for (const page of pages) await shows(page, 'one', 'two');
  for (const page of pages) assert.equal(await doubled(page), '0');
}, [/net::ERR_/]));

test('two people in two tabs of one browser, and signing out ends what one had', bench(async ({ server, open }) => {
  const ann = await open('ann', 'records');
  const bob = await open('bob', 'proposals');
  await ann.getByLabel('Signed in as Ann').click();
  await ann.getByRole('button', { name: 'Be someone else' }).click();
  await ann.getByText('Who are you?').waitFor();
  await until(async () => (await ask(server, 'GET', '/api/v1/admin/connections?user=ann')).data.count === 0
    || !(await ask(server, 'GET', '/api/v1/admin/connections?user=ann')).data.connections.length, 'her connection is closed');
  await ann.reload();
  await ann.getByText('Who are you?').waitFor();
  assert.equal(await phase(bob), 'Live');
  // A project that he may not see is said to be one.
  await bob.getByLabel('Project').selectOption('shop');
  await bob.getByText('Proposal 7 of shop can’t be shown').waitFor();
  await bob.getByLabel('Project').selectOption('demo');
  await bob.getByText('Not validated yet').waitFor();
  await show(bob, 'nowhere');
  await bob.getByRole('heading', { name: 'Enhance prompts' }).waitFor();
  assert.ok(await sign(bob).isVisible());
}, [/403/]));
