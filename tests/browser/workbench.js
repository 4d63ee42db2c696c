// SPDX-License-Identifier: Apache-2.0
// The workbench as its users have it: people in windows of their own, and what the server says is true.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { withWorld } from './browser.js';
import { ROOT, until } from './server.js';

export const OPTIONS = ['--examples', path.join(ROOT, 'examples')];
const PICTURES = path.join(ROOT, 'build/browser');

// A world with the example jobs; `open(sub, screen)` is another window, in which that person is signed in.
export const workbench = (browserOf, body, expected = [], options = []) => withWorld(browserOf, async ({ page, server }) => {
  const open = async (sub, screen, o = {}) => {
    const window = o.page ?? await page.context().newPage();
    if (o.size) await window.setViewportSize(o.size);
    await signIn(window, server, sub, screen);
    return window;
  };
  await body({ server, open, context: page.context(), first: page });
}, expected, [...OPTIONS, ...options]);

export async function signIn(page, server, sub, screen) {
  await page.goto(`${server.url}/#/${screen}`);
  await page.getByRole('button', { name: new RegExp(`^${sub} `, 'i') }).click();
  await live(page);
}

export const show = (page, screen) => page.goto(page.url().replace(/#.*/, `#/${screen}`));

// ---- the connection, as it is shown ----

export const sign = page => page.getByRole('banner').getByRole('button', { name: /^Connection:/ });
export const phase = async page => (await sign(page).getAttribute('aria-label')).replace('Connection: ', '');
export const reaches = (page, wanted, ms) => until(async () => await phase(page) === wanted, `it shows ${wanted}`, ms);
export const live = (page, ms) => reaches(page, 'Live', ms);

// How it goes, once it goes at all.
export async function transport(page, wanted = 'Live') {
  await reaches(page, wanted);
  await sign(page).click();
  const said = await page.getByText('Transport', { exact: true }).locator('xpath=following-sibling::dd').first().innerText();
  await sign(page).click();
  return said;
}

export async function drawer(page) {
  const button = page.getByRole('button', { name: /Faults and messages|Dropped|Throttled|Slow reader/ }).first();
  if (await button.getAttribute('aria-expanded') !== 'true') await button.click();
}

export async function fault(page, name) {
  await drawer(page);
  await page.getByRole('complementary').getByRole('button', { name, exact: true }).click();
}

// ---- what is shown, and what is true ----

export const has = (page, selector, attribute, value, ms) => until(
  async () => await page.locator(selector).first().getAttribute(attribute, { timeout: 1000 }).catch(() => null) === value, `${selector} is ${value}`, ms);

export const notice = (page, text) => page.getByRole('status', { name: 'Notices' }).getByText(text);

export async function ask(server, method, path, { sub = 'root', body } = {}) {
  const token = server.sign(sub, ...(sub === 'root' ? ['--role', 'admin'] : []));
  const answer = await fetch(`http://127.0.0.1:${server.listening}${path}`, {
    method, headers: { authorization: `Bearer ${token}` }, body: body && JSON.stringify(body),
  });
  return { status: answer.status, data: await answer.json().catch(() => null) };
}

// All events of a topic that the log holds, read page by page.
export async function history(server, topic) {
  const events = [];
  for (let since = 'earliest', more = true; more;) {
    const { data } = await ask(server, 'GET', `/api/v1/events?topic=${encodeURIComponent(topic)}&since=${since}&limit=1000`);
    events.push(...data.events);
    ({ position: since, more } = data);
  }
  return events;
}

export const ofJob = async (server, topic, type, job) => (await history(server, topic)).filter(event => event.type === type && event.data.job_id === job);

// How many lines a log says it has.
export const lines = async view => Number((await view.getByText(/^[\d,. ]+ lines?$/).first().innerText()).replace(/\D/g, ''));

export async function picture(page, name) {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: path.join(PICTURES, `${name}.png`) });
}

export async function fits(page, name) {
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wider <= 0, `${name} is ${wider} px too wide`);
}
