// SPDX-License-Identifier: Apache-2.0
// The console as an admin uses it: who reads, what runs, who did what; and what it does about them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, withWorld } from './browser.js';
import { until } from './server.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const AUDITED = ['--audit.events', 'true'];
// A browser says on its console what was refused, and of a socket that was closed on it.
const REFUSED = [/status of 40[13]/];
const it = (name, body, options = AUDITED) => test(name, { timeout: 120_000 }, withWorld(() => browser, body, REFUSED, options));

async function open(page, server, who, screen = '') {
  await page.goto(`${server.url}/console#/${screen}`);
  await page.getByRole('button', { name: who }).click();
  await page.getByRole('navigation', { name: 'Screens' }).waitFor();
}

// A reader beside the console: an event stream of that person, which notes its end.
async function reader(server, sub, topic) {
  const stop = new AbortController();
  const answer = await fetch(`${server.url}/api/v1/events?topic=${topic}`, {
    signal: stop.signal, headers: { accept: 'text/event-stream', authorization: `Bearer ${server.sign(sub)}` },
  });
  const seen = { text: '', ended: false, stop: () => stop.abort() };
  (async () => {
    for await (const chunk of answer.body) seen.text += Buffer.from(chunk).toString();
  })().catch(() => {}).finally(() => { seen.ended = true; });
  return seen;
}

it('who is no admin is told so', async ({ server, page }) => {
  await open(page, server, 'Ann');
  await page.getByRole('alert').getByText('The console is for admins').waitFor();
  assert.equal(await page.getByRole('table').count(), 0);
});

it('the overview draws what happens', async ({ server, page }) => {
  await open(page, server, 'Root');
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await server.publish([{ topic: 'rooms/1', type: 'said' }]);
  await until(() => page.locator('figure canvas').count().then(n => n === 6), 'six charts are there');
  await page.getByText(/^Version \d/).waitFor();
});

it('a reader is found and closed, and the audit shows it', async ({ server, page }) => {
  const seen = await reader(server, 'carla', 'rooms/*');
  await open(page, server, 'Root', 'connections');
  const row = page.getByRole('row', { name: /carla/ });
  await row.getByRole('button', { name: 'Close' }).click();
  assert.equal(seen.ended, false); // it asks first
  await row.getByRole('button', { name: 'Close it?' }).click();
  await until(() => seen.ended, 'the stream has ended');
  await row.waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'Audit' }).click();
  await page.getByRole('row', { name: /root connection ended done/ }).waitFor();
});

it('what is revoked from a subject is taken at once, and can be given back', async ({ server, page }) => {
  const seen = await reader(server, 'carla', 'rooms/*&topic=halls/*');
  await open(page, server, 'Root', 'connections');
  await page.getByLabel('Subject', { exact: true }).fill('carla');
  await page.getByLabel('Patterns that it may not read').fill('rooms/**');
  await page.getByRole('button', { name: 'Revoke' }).click();
  await page.getByRole('button', { name: 'Revoke this from carla?' }).click();
  await page.getByText('Taken from carla.').waitFor();
  await until(() => seen.text.includes('access_lost'), 'the reader is told');
  await server.publish([{ topic: 'rooms/1', type: 'secret' }, { topic: 'halls/1', type: 'said' }]);
  await until(() => seen.text.includes('event: said'), 'what is left still comes');
  assert.ok(!seen.text.includes('secret'));

  await page.getByRole('link', { name: 'Why' }).click();
  await page.getByLabel('Subject').fill('carla');
  await page.getByLabel('Topic').fill('rooms/1');
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByText('may not read', { exact: true }).waitFor();

  await page.getByRole('link', { name: 'Readers' }).click();
  await page.getByLabel('Subject', { exact: true }).fill('carla');
  await page.getByRole('button', { name: 'Give everything back' }).click();
  await page.getByText('carla has back what its tokens grant.').waitFor();
  seen.stop();
});

it('a job is watched and cancelled', async ({ server, page }) => {
  await open(page, server, 'Root', 'jobs');
  const answer = await fetch(`${server.url}/api/projects/demo/generate`, {
    method: 'POST', body: JSON.stringify({ description: 'A shop' }),
    headers: { authorization: `Bearer ${server.sign('root', '--role', 'admin')}`, 'content-type': 'application/json' },
  });
  const { job_id: id } = await answer.json();
  await page.getByRole('link', { name: 'generate' }).click();
  await page.getByText(id).waitFor();
  await page.getByText(/Step \d+ of 13/).waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Cancel it?' }).click();
  await page.getByText('cancelled', { exact: true }).first().waitFor();
  await page.getByRole('link', { name: 'Audit' }).click();
  await page.getByRole('row', { name: /root job cancelled done/ }).waitFor();
});

it('topics, patterns and the log are shown as they are', async ({ server, page }) => {
  const seen = await reader(server, 'carla', 'rooms/*');
  await server.publish(Array.from({ length: 30 }, () => ({ topic: 'rooms/7', type: 'said' })));
  await open(page, server, 'Root', 'topics');
  await page.getByRole('row', { name: /rooms\/7 0\.50 30 / }).waitFor();
  await page.getByRole('row', { name: 'rooms/* 1' }).waitFor();
  await page.getByRole('link', { name: 'Log' }).click();
  await page.getByText('all of it on disk').waitFor();
  seen.stop();
});

it('a server that goes away is said to be away, and comes back by itself', async ({ server, page }) => {
  await open(page, server, 'Root', 'log');
  await page.getByText('all of it on disk').waitFor();
  await server.kill9();
  await page.getByText('This is from before:').waitFor();
  await server.up();
  await page.getByText('This is from before:').waitFor({ state: 'detached' });
});
