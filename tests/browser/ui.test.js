// SPDX-License-Identifier: Apache-2.0
// What only a browser knows of @tidings/ui: that long logs and fast texts leave the page its frames, and what keyboard and layout do.
// Figures are reported, not asserted: they depend on the machine.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import path from 'node:path';
import { build, preview } from 'vite';
import { launch } from './browser.js';

const gallery = path.join(import.meta.dirname, '../../clients/ui/gallery');
const configFile = path.join(gallery, 'vite.config.mts');
let browser, server, base;

before(async () => {
  browser = await launch();
  await build({ configFile, logLevel: 'error' });
  server = await preview({ configFile, logLevel: 'error', preview: { port: 0, host: '127.0.0.1' } });
  base = server.resolvedUrls.local[0];
});

after(async () => {
  await browser?.close();
  await server?.close();
});

async function open(query, options = {}) {
  const page = await (await browser.newContext({ viewport: { width: 1100, height: 800 }, ...options })).newPage();
  page.problems = [];
  page.on('pageerror', error => page.problems.push(error.message));
  await page.goto(`${base}?${query}`);
  return page;
}

// Runs in the page: calls `step` at each frame for so many frames, and tells of the frames and of tasks longer than 50 ms.
async function watched({ frames, kind, argument }) {
  const tasks = [], gaps = [];
  const observer = new PerformanceObserver(list => tasks.push(...list.getEntries().map(entry => entry.duration)));
  observer.observe({ type: 'longtask' });
  const started = performance.now();
  let last = started;
  for (let n = 0; n < frames; n++) {
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    last = now;
    window.bench[kind](argument);
  }
  await new Promise(resolve => setTimeout(resolve, 100));
  observer.disconnect();
  gaps.sort((a, b) => a - b);
  return {
    seconds: +((last - started) / 1000).toFixed(2), frames,
    'median ms': +gaps[frames >> 1].toFixed(1), 'p99 ms': +gaps[Math.floor(frames * 0.99)].toFixed(1), 'longest ms': +gaps[frames - 1].toFixed(1),
    'frames over 50 ms': gaps.filter(gap => gap > 50).length, 'long tasks': tasks.length, 'longest task ms': Math.round(Math.max(0, ...tasks)),
  };
}

// The same with what the page's main thread computed meanwhile, which does not depend on who else uses the machine.
async function measured(page, what) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const read = async () => Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value * 1000]));
  const before = await read();
  const figures = await page.evaluate(watched, what);
  const after = await read();
  await session.detach();
  const of = name => +((after[name] - before[name]) / what.frames).toFixed(2);
  return JSON.stringify({ ...figures, 'CPU ms a frame': of('TaskDuration'), script: of('ScriptDuration'), layout: +(of('LayoutDuration') + of('RecalcStyleDuration')).toFixed(2) });
}

const rows = page => page.locator('.td-log-row').count();
const atEnd = page => page.locator('.td-log-view').evaluate(view => Math.round(view.scrollHeight - view.scrollTop - view.clientHeight));

test('a log takes 10,000 lines while it follows, then 100,000 more at once', async () => {
  const page = await open('bench');
  await page.waitForFunction(() => window.bench);
  const figures = await measured(page, { frames: 200, kind: 'lines', argument: 50 });
  console.log('10,000 lines, 50 a frame:', figures);
  await page.getByText('10,000 lines').waitFor();
  assert.equal(await atEnd(page), 0);
  assert.ok(await rows(page) < 60, 'only the rows in view are in the document');
  const bulk = await measured(page, { frames: 1, kind: 'lines', argument: 100_000 });
  console.log('100,000 lines at once:', bulk);
  await page.getByText('110,000 lines').waitFor();
  assert.match(await page.locator('.td-log-row').last().innerText(), /^\s*109999 /);
  const more = await measured(page, { frames: 60, kind: 'lines', argument: 10 });
  console.log('10 lines a frame on top of 110,000:', more);
  assert.deepEqual(page.problems, []);
});

test('a log stays where its reader is, and goes on when he is at the end again', async () => {
  const page = await open('bench');
  await page.waitForFunction(() => window.bench);
  await page.evaluate(() => window.bench.lines(5000));
  const view = page.locator('.td-log-view');
  await page.getByText('5,000 lines').waitFor();
  await view.hover();
  await page.mouse.wheel(0, -4000);
  const latest = page.getByRole('button', { name: /Jump to latest/ });
  await latest.waitFor();
  const seen = () => view.evaluate(it => [...it.querySelectorAll('.td-log-row')]
    .find(row => row.dataset.part === '0' && row.getBoundingClientRect().top >= it.getBoundingClientRect().top).innerText);
  const before = await seen();
  await page.evaluate(() => window.bench.lines(1000));
  await page.getByText('1,000 new lines').waitFor();
  assert.equal(await seen(), before);
  // Folding anew leaves the same line at the top.
  const number = text => Number(/\d+/.exec(text)[0]);
  await page.getByRole('button', { name: 'Wrap' }).click();
  assert.ok(Math.abs(number(await seen()) - number(before)) <= 1, `${await seen()} after ${before}`);
  await page.getByRole('button', { name: 'Wrap' }).click();
  assert.ok(Math.abs(number(await seen()) - number(before)) <= 1, `${await seen()} after ${before}`);
  await view.focus();
  await page.keyboard.press('End');
  await latest.waitFor({ state: 'detached' });
  assert.equal(await atEnd(page), 0);
  await page.evaluate(() => window.bench.lines(10));
  await page.getByText('6,010 lines').waitFor();
  assert.equal(await atEnd(page), 0);
});

test('a text takes 300 tokens a second', async () => {
  const page = await open('bench');
  await page.waitForFunction(() => window.bench);
  // A long text is there already: each token costs no more for it.
  await page.evaluate(() => window.bench.text('What was written before stands as it is, line by line.\n'.repeat(2000)));
  await page.waitForFunction(() => document.querySelector('.td-text').textContent.length > 100_000);
  await page.evaluate(() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 200))));
  const figures = await measured(page, { frames: 300, kind: 'text', argument: 'to ken s  and lines.\n' });
  console.log('5 tokens a frame behind 110 KB of text:', figures);
  await page.evaluate(() => window.bench.end());
  await page.getByRole('button', { name: 'Stop' }).waitFor({ state: 'detached' });
  assert.equal((await page.locator('.td-text').innerText()).split('\n').length >= 2300, true);
});

test('everything that one can press is large enough, has a name, and shows its focus', async () => {
  for (const [hasTouch, least] of [[false, 32], [true, 44]]) {
    const page = await open('still&toasts', { hasTouch, isMobile: hasTouch, viewport: { width: hasTouch ? 390 : 1100, height: 800 } });
    await page.locator('#PresenceStack').waitFor();
    const found = await page.evaluate(() => [...document.querySelectorAll('.td button, button.td-button')].map(button => {
      const { width, height } = button.getBoundingClientRect();
      return { name: button.getAttribute('aria-label') ?? button.textContent, width: Math.round(width), height: Math.round(height) };
    }));
    assert.ok(found.length > 30);
    assert.deepEqual(found.filter(({ name, width, height }) => !name.trim() || width < least || height < least), []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'nothing sticks out');
    assert.deepEqual(page.problems, []);
    await page.context().close();
  }
  const page = await open('still');
  await page.locator('.td-sign').first().waitFor();
  await page.locator('select').focus();
  for (let n = 0; n < 60; n++) {
    await page.keyboard.press('Tab');
    const focus = await page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      return { what: document.activeElement.outerHTML.slice(0, 80), own: document.activeElement.closest('.td') !== null, ring: `${outlineStyle} ${outlineWidth}` };
    });
    if (focus.own) assert.equal(focus.ring, 'solid 2px', focus.what);
  }
});

test('details open, are read and closed by keyboard', async () => {
  const page = await open('');
  const sign = page.getByRole('button', { name: 'Connection: Reconnecting' }).first();
  await sign.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('group', { name: 'Connection details' }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Try now');
  await page.keyboard.press('Escape');
  assert.equal(await sign.evaluate(it => it === document.activeElement && it.getAttribute('aria-expanded') === 'false'), true);
});

test('the dialog keeps the focus, is left by Escape, and gives the focus back', async () => {
  const page = await open('');
  const merge = page.getByRole('button', { name: 'Merge…' });
  await merge.focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Merge changes' });
  await dialog.waitFor();
  for (let n = 0; n < 12; n++) {
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest('dialog') !== null), true);
  }
  await dialog.getByRole('radio').first().focus();
  await page.keyboard.press('ArrowDown');
  assert.equal(await dialog.getByRole('radio').nth(1).isChecked(), true);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await merge.evaluate(it => it === document.activeElement), true);
});

test('a note under the pointer stays, and goes when it has left', async () => {
  const page = await open('toasts');
  const notes = page.locator('.td-corner li');
  await notes.nth(2).waitFor();
  await page.keyboard.press('F8');
  assert.equal(await page.evaluate(() => document.activeElement.closest('.td-corner') !== null), true);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  assert.equal(await notes.count(), 1);
});
