// SPDX-License-Identifier: Apache-2.0
// Much at once: the page stays quick, and shows all of it. How long it took is printed and not asserted: that is the machine's.

import { after, before, test } from 'node:test';
import { launch } from './browser.js';
import { until } from './server.js';
import { lines, live, workbench } from './workbench.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const TOPIC = 'projects/demo/proposals/7';
const event = (type, data, more = {}) => ({ topic: TOPIC, type, data: { job_id: 'j1', proposal_id: '7', ...data }, ...more });

// Gathers, from now on, how long frames and tasks take in the page.
const watchFrames = page => page.evaluate(() => {
  const seen = window.seen = { frames: [], tasks: [] };
  let last = performance.now();
  const frame = now => { seen.frames.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  new PerformanceObserver(list => { for (const { duration } of list.getEntries()) seen.tasks.push(duration); }).observe({ entryTypes: ['longtask'] });
});

async function figures(page, what) {
  const { frames, tasks } = await page.evaluate(() => window.seen);
  const sorted = frames.toSorted((a, b) => a - b), at = share => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0);
  console.log(`${what}: ${frames.length} frames, p50 ${at(.5)} ms, p99 ${at(.99)} ms, longest ${at(.9999)} ms; ${tasks.length} tasks over 50 ms, longest ${Math.round(Math.max(0, ...tasks))} ms`);
}

test('10,000 lines of a validation', workbench(() => browser, async ({ server, open }) => {
  const page = await open('ann', 'proposals');
  await page.getByText('Not validated yet').waitFor();
  await watchFrames(page);
  await server.publish([event('validation_start', { status: 'running' })]);
  for (let n = 0; n < 10_000; n += 250) {
    await server.publish(Array.from({ length: 250 }, (_, i) => event('output', { line: `src/file_${n + i}.py:${i}: \u001b[33mwarning\u001b[0m line ${n + i}`, stream: i % 9 ? 'stdout' : 'stderr' })));
  }
  const view = page.getByLabel('Validation', { exact: true });
  await until(async () => await lines(view) === 10_000, 'all lines are there', 60_000);
  await page.getByText('line 9999', { exact: false }).first().waitFor();
  await figures(page, '10,000 log lines');
}));

test('300 tokens a second', workbench(() => browser, async ({ server, open }) => {
  const page = await open('ann', 'proposals');
  await page.getByText('Not changed yet').waitFor();
  await server.publish([event('iteration_start', { status: 'running' })]);
  await page.getByText('Waiting for the first words').waitFor();
  await watchFrames(page);
  let text = '';
  const begun = Date.now();
  for (let n = 0; n < 1500; n += 10) {
    await server.publish(Array.from({ length: 10 }, (_, i) => {
      const content = `word${n + i} `, offset = text.length;
      text += content;
      return event('token', { content, offset }, { class: 'append', key: 'j1' });
    }));
    // The pace is what is tried here.
    await new Promise(resume => setTimeout(resume, Math.max(0, begun + (n + 10) / 300 * 1000 - Date.now())));
  }
  const shown = page.getByRole('group', { name: 'What the model says' });
  await until(async () => (await shown.innerText()).trim() === text.trim(), 'the text is whole');
  await figures(page, `${Math.round(1500 / (Date.now() - begun) * 1000)} tokens a second`);
}, [/404/]));

test('how long until a page is live', workbench(() => browser, async ({ open }) => {
  const page = await open('ann', 'live');
  const took = [];
  for (let i = 0; i < 5; i++) {
    await page.reload();
    await live(page);
    took.push(Math.round(await page.evaluate(() => performance.now())));
  }
  console.log(`from navigation to Live: ${took.join(', ')} ms`);
}));
