// SPDX-License-Identifier: Apache-2.0
// The screens of the workbench, each as those would use it who work at the same thing in two windows.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './browser.js';
import { until } from './server.js';
import { ask, fits, has, history, lines, live, notice, ofJob, picture, show, workbench } from './workbench.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());
const bench = (body, expected, options) => workbench(() => browser, body, expected, options);

// A model that takes its time, so that there is a middle of its work.
const SLOWLY = ['--llm.model', 'imitation@0.05'];
const requests = page => page.locator('[data-request]');
const textOf = request => request.getByRole('group', { name: 'Enhanced prompt' }).innerText();
// Text as a page shows it, and as the server has it, alike.
const squeezed = text => text.replace(/\s+/g, ' ').trim();

test('Enhance: several at once, one is stopped, a reload keeps them, and nobody else sees them', bench(async ({ server, open }) => {
  const ann = await open('ann', 'enhance');
  const bob = await open('bob', 'enhance');
  assert.ok(await ann.getByText('No prompts yet').isVisible());
  await ann.getByRole('button', { name: 'Enhance three samples at once' }).click();
  await until(async () => await requests(ann).count() === 3, 'three requests');
  await until(async () => (await requests(ann).filter({ hasText: 'Writing' }).count()) >= 2, 'they are written at once');
  await picture(ann, 'enhance-busy');
  await requests(ann).nth(0).getByRole('button', { name: 'Stop' }).click();
  await has(ann, '[data-request] >> nth=0', 'data-status', 'cancelled');
  await ann.getByLabel('Your prompt').fill('count the stock in the cellar');
  await ann.getByLabel('Your prompt').press('Control+Enter');
  await until(async () => await requests(ann).filter({ hasText: 'Complete' }).count() === 3, 'the others are complete');
  const { data: { jobs } } = await ask(server, 'GET', '/api/v1/jobs?kind=enhance');
  assert.deepEqual(jobs.map(job => job.state).sort(), ['cancelled', 'done', 'done', 'done']);
  const whole = jobs.filter(job => job.state === 'done').map(job => squeezed(job.result.text)).sort();
  const shown = async () => (await Promise.all((await requests(ann).filter({ hasText: 'Complete' }).all()).map(textOf))).map(squeezed).sort();
  assert.deepEqual(await shown(), whole);
  await ann.reload();
  await until(async () => await requests(ann).filter({ hasText: 'Complete' }).count() === 3, 'they are there after a reload');
  assert.deepEqual(await shown(), whole);
  await until(async () => await requests(ann).filter({ hasText: 'Stopped' }).count() === 1, 'and so is the one that was stopped');
  assert.equal(await requests(bob).count(), 0);
}, [], SLOWLY));

test('Proposals: checked, changed, talked about and locked before all who look', bench(async ({ server, open }) => {
  const ann = await open('ann', 'proposals');
  const root = await open('root', 'proposals');
  const bob = await open('bob', 'proposals');
  const all = [ann, root, bob];
  const job = page => page.getByLabel('Validation', { exact: true }).getAttribute('data-job');
  await ann.getByRole('button', { name: 'Validate' }).click();
  for (const page of all) await has(page, '[aria-label=Validation]', 'data-status', 'failed');
  const topic = 'projects/demo/proposals/7';
  const told = await ofJob(server, topic, 'output', await job(ann));
  for (const page of all) {
    assert.equal(await lines(page.getByLabel('Validation', { exact: true })), told.length);
    const printed = (await page.getByLabel('Validation', { exact: true }).innerText()).replaceAll('\n', '');
    for (const { data } of told) assert.ok(printed.includes(data.line), data.line);
  }
  await ann.getByRole('button', { name: 'Iterate' }).click();
  for (const page of all) await has(page, '[aria-label=Iteration]', 'data-status', 'complete', 60_000);
  assert.equal(await bob.locator('[data-part=files]').innerText(), 'src/till.py');
  const said = await Promise.all(all.map(page => page.getByRole('group', { name: 'What the model says' }).innerText()));
  assert.ok(said[0].length > 200 && said[0] === said[1] && said[0] === said[2]);

  // Stopped by another than who asked for it: everybody sees it.
  await ann.getByRole('button', { name: 'Iterate' }).click();
  await until(async () => (await root.getByRole('group', { name: 'What the model says' }).innerText()).length > 20, 'it is being written');
  await root.getByLabel('Iteration', { exact: true }).getByRole('button', { name: 'Stop' }).click();
  for (const page of all) await has(page, '[aria-label=Iteration]', 'data-status', 'cancelled');

  await ann.getByLabel('Comment', { exact: true }).fill('<b>The total</b> is off by a cent.');
  await ann.getByRole('button', { name: 'Comment' }).click();
  for (const page of all) await page.locator('[data-comment]', { hasText: '<b>The total</b> is off by a cent.' }).waitFor();
  await root.getByLabel('Change the status').selectOption('in review');
  for (const page of all) await has(page, '[data-status="in review"]', 'data-status', 'in review');
  await ann.getByRole('button', { name: 'Lock it' }).click();
  await has(ann, '[data-lock]', 'data-lock', 'mine');
  for (const page of [root, bob]) await page.getByText('ann has locked the project.').waitFor();
  await ann.getByRole('button', { name: 'Unlock' }).click();
  for (const page of all) await has(page, '[data-lock]', 'data-lock', 'free');

  // Who may only look is told so, and keeps what he wrote.
  await bob.getByLabel('Comment', { exact: true }).fill('May I?');
  await bob.getByRole('button', { name: 'Comment' }).click();
  await bob.getByText(/^Not sent: /).waitFor();
  assert.equal(await bob.getByLabel('Comment', { exact: true }).inputValue(), 'May I?');
  assert.equal((await history(server, topic)).filter(event => event.type === 'comment_created').length, 1);
}, [/403/, /404/], SLOWLY)); // the job of another is not there for who may not see it

test('Journal: progress, the result on another screen, an error with what to do, and only for whom it is', bench(async ({ server, open }) => {
  const ann = await open('ann', 'journal');
  const bob = await open('bob', 'journal');
  await ann.getByLabel('Title').fill('Ours');
  await ann.getByLabel('Who else may look').selectOption('bob');
  await ann.getByRole('button', { name: 'Write it' }).click();
  await ann.getByRole('progressbar').first().waitFor();
  await show(ann, 'records');
  await notice(ann, '“Ours” is written').waitFor();
  await show(ann, 'journal');
  await has(ann, '[data-job]', 'data-status', 'done');
  const { data: { jobs: [job] } } = await ask(server, 'GET', '/api/v1/jobs?kind=journal');
  assert.ok(await ann.getByText(job.result.file).isVisible());
  await bob.reload();
  await has(bob, `[data-job="${job.job_id}"]`, 'data-status', 'done');

  await ann.getByLabel('About').selectOption('nowhere');
  await ann.getByLabel('Who else may look').selectOption('');
  await ann.getByRole('button', { name: 'Write it' }).click();
  await has(ann, '[data-job] >> nth=0', 'data-status', 'failed');
  await ann.getByText('There is no directory nowhere to write about.').first().waitFor();
  await ann.getByText(/Take one of these as `source`/).first().waitFor();
  await bob.reload();
  await has(bob, '[data-job]', 'data-status', 'done');
  assert.equal(await bob.locator('[data-job]').count(), 1);
}));

test('Records: live on both sides, a conflict is told before anything is overwritten, and who looks at a deleted one is led back', bench(async ({ server, open }) => {
  const ann = await open('ann', 'records');
  const root = await open('root', 'records');
  const bob = await open('bob', 'records');
  await ann.getByRole('button', { name: 'begin with a few samples' }).click();
  for (const page of [ann, root, bob]) await until(async () => await page.locator('[data-record]').count() === 4, 'four records');
  await root.getByText('4 new items').waitFor();
  assert.equal(await ann.getByText(/new items?/).count(), 0); // one's own make no noise

  // Different fields: both are kept.
  for (const page of [ann, root]) await page.getByRole('link', { name: /Insurance/ }).click();
  await ann.getByLabel('Notes').fill('Ann’s note');
  await root.getByLabel('Amount').fill('99');
  await root.getByRole('button', { name: 'Save' }).click();
  await has(ann, '[aria-label=Record]', 'data-conflict', 'other-fields');
  await ann.getByRole('button', { name: 'Save' }).click();
  await until(async () => await root.getByLabel('Notes').inputValue() === 'Ann’s note', 'the other side has it');
  assert.equal(await ann.getByLabel('Amount').inputValue(), '99');

  // The same field: nothing is overwritten unasked.
  await ann.getByLabel('Title').fill('Insurance of Ann');
  await root.getByLabel('Title').fill('Insurance of Root');
  await root.getByRole('button', { name: 'Save' }).click();
  await has(ann, '[aria-label=Record]', 'data-conflict', 'same-fields');
  await picture(ann, 'records-conflict');
  assert.ok(await ann.getByRole('button', { name: 'Save' }).isDisabled());
  assert.equal(await ann.getByLabel('Title').inputValue(), 'Insurance of Ann');
  await ann.getByRole('button', { name: 'Continue editing' }).click();
  await ann.getByRole('button', { name: 'Save' }).click();
  await until(async () => await root.getByLabel('Title').inputValue() === 'Insurance of Ann', 'the other side has it');
  const id = ann.url().split('/').at(-1);
  const { data } = await ask(server, 'GET', `/api/v1/entities/records/${id}`);
  assert.deepEqual([data.version, data.payload.title, data.payload.amount, data.payload.notes], [5, 'Insurance of Ann', 99, 'Ann’s note']);

  // Deleted: who edits is asked, who only looks is led back.
  await bob.getByRole('link', { name: /Insurance/ }).click();
  await ann.getByLabel('Notes').fill('not saved');
  await root.getByRole('button', { name: 'Delete', exact: true }).click();
  await root.getByRole('button', { name: 'Delete it' }).click();
  await until(async () => bob.url().endsWith('#/records'), 'he is led back');
  await notice(bob, 'The record was deleted').waitFor();
  await has(ann, '[aria-label=Record]', 'data-conflict', 'deleted');
  await ann.getByRole('button', { name: 'Discard and leave' }).click();
  await until(async () => ann.url().endsWith('#/records'), 'she leaves');
  for (const page of [ann, root, bob]) await until(async () => await page.locator('[data-record]').count() === 3, 'three records');
}));

test('Generate: everybody sees every agent, every line and the end, and may talk', bench(async ({ server, open }) => {
  const ann = await open('ann', 'generate');
  const bob = await open('bob', 'generate');
  await ann.getByText('Nothing has been generated yet').waitFor();
  await ann.getByRole('button', { name: 'Generate', exact: true }).click();
  await has(bob, '[aria-label=Generation]', 'data-status', 'running');
  await until(async () => await bob.locator('[data-agent][data-status=started]').count() > 0, 'an agent is at work');
  await picture(bob, 'generate-busy');
  for (const page of [ann, bob]) {
    await has(page, '[aria-label=Generation]', 'data-status', 'completed', 60_000);
    assert.equal(await page.locator('[data-agent][data-status=completed]').count(), 13);
    await notice(page, 'The project is ready').waitFor();
    const job = await page.getByRole('region', { name: 'Generation' }).getAttribute('data-job');
    assert.equal(await lines(page.getByRole('main')), (await ofJob(server, 'projects/demo', 'log', job)).length);
    await page.getByLabel('The project').getByText('demo.zip').waitFor(); // loaded again
  }
  await ann.getByLabel('Message').fill('Done!');
  await ann.getByLabel('Message').press('Enter');
  for (const page of [ann, bob]) await page.locator('[data-chat="Done!"]').waitFor();
  assert.equal(await bob.locator('[data-chat]').count(), 1);

  // Cancelled: also told, as that.
  await ann.getByRole('button', { name: 'Generate', exact: true }).click();
  await until(async () => await bob.locator('[data-agent][data-status=started]').count() > 0, 'it runs');
  await ann.getByRole('button', { name: 'Stop' }).click();
  for (const page of [ann, bob]) await has(page, '[aria-label=Generation]', 'data-status', 'cancelled');
}, [/404/])); // there is no project before its first generation

test('Live: what others publish, at once and as text; other topics; its own form', bench(async ({ server, open }) => {
  const ann = await open('root', 'live');
  const data = async () => (await ann.locator('[data-part=data]').allInnerTexts()).map(text => JSON.parse(text).text).reverse();
  const shows = (...texts) => until(async () => JSON.stringify(await data()) === JSON.stringify(texts), `it shows ${texts}`);
  const said = (...texts) => texts.map(text => ({ topic: 'rooms/1', type: 'said', data: { text } }));
  await ann.getByText('Nothing yet').waitFor();
  await until(async () => await ann.getByText('Live', { exact: true }).count() > 2, 'it follows');
  await server.publish(said('hello', '<img src=x onerror=alert(1)>'));
  await shows('hello', '<img src=x onerror=alert(1)>');
  await ann.getByLabel('Topics').fill('rooms/*');
  await ann.getByRole('button', { name: 'Follow' }).click();
  await shows();
  await ann.getByLabel('Publish to').fill('rooms/2');
  await ann.getByLabel('Text').fill('from the form');
  await ann.getByRole('button', { name: 'Publish', exact: true }).click();
  await ann.getByText(/^Stored as [0-9a-f]{8}\.[0-9]+$/).waitFor();
  await server.publish([{ topic: 'other', type: 'said', data: { text: 'not this' } }, ...said('this')]);
  await shows('from the form', 'this');
  await ann.getByLabel('Publish to').fill('not//a topic');
  await ann.getByLabel('Text').press('Enter');
  await ann.getByText(/^Not stored: /).waitFor();
}, [/400/]));

for (const [name, size, colorScheme] of [['narrow', { width: 390, height: 844 }, 'light'], ['wide and dark', { width: 1440, height: 900 }, 'dark']]) {
  test(`every screen fits: ${name}`, bench(async ({ open, context }) => {
    context.on('page', page => page.emulateMedia({ colorScheme }));
    const page = await open('ann', 'enhance', { size });
    for (const screen of ['enhance', 'proposals', 'journal', 'records', 'generate', 'live']) {
      await show(page, screen);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await fits(page, screen);
      await picture(page, `${screen}-${name.replaceAll(' ', '-')}`);
    }
    await page.getByRole('button', { name: 'Faults and messages' }).focus();
    await page.keyboard.press('Enter');
    await fits(page, 'the drawer');
    await page.keyboard.press('Escape');
    assert.equal(await page.getByRole('complementary').count(), 0);
    await live(page);
  }, [/404/]));
}
