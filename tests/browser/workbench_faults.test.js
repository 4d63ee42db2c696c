// SPDX-License-Identifier: Apache-2.0
// Each button of the drawer, pressed in the middle of work: nothing is lost, nothing comes twice, and what is shown of the
// connection is true.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './browser.js';
import { until } from './server.js';
import { ask, fault, has, lines, live, ofJob, phase, picture, reaches, transport, workbench } from './workbench.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const said = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => ({ topic: 'rooms/1', type: 'said', data: { text: `${from + i}` } }));
const shown = async page => (await page.locator('[data-part=data]').allInnerTexts()).reverse().map(text => JSON.parse(text).text);
const opened = server => (server.log().match(/ connect connection=/g) ?? []).length;
const count = (page, what) => page.locator(`[data-count=${what}]`).innerText();

async function followsRooms(page) {
  await page.getByLabel('Topics').fill('rooms/*');
  await page.getByRole('button', { name: 'Follow' }).click();
  await until(async () => await page.getByRole('status').filter({ hasText: /^Live$/ }).count() > 0, 'it follows');
}


// What is done to both pages while the agents work, and to one that follows events; `publish` lets the next events come.
const FAULTS = {
  async 'the network is dropped'({ pages, publish }) {
    for (const page of pages) await fault(page, 'Drop the network');
    await publish();
    for (const page of pages) await reaches(page, 'Offline');
    for (const page of pages) await page.getByText('Not connected: you see what there was at').waitFor();
    await picture(pages[0], 'fault-dropped');
    for (const page of pages) await fault(page, 'Bring the network back');
  },
  async 'the connection is killed, again and again'({ pages, publish, server }) {
    const before = opened(server);
    for (let i = 0; i < 3; i++) {
      for (const page of pages) await fault(page, 'Kill the connection');
      await until(() => opened(server) >= before + 2 * (i + 1), 'both were opened anew');
      for (const page of pages) await live(page);
    }
  },
  async 'the network is slow'({ pages, publish }) {
    for (const page of pages) await fault(page, 'Very slow');
    await publish();
    for (const page of pages) assert.equal(await phase(page), 'Live');
    await publish();
    for (const page of pages) await fault(page, 'Off');
  },
  async 'the page reads slowly'({ pages, publish }) {
    for (const page of pages) await fault(page, 'Slow reader');
    await publish();
    await publish();
    for (const page of pages) await fault(page, 'Read as fast as can be');
  },
  async 'it goes to SSE and back'({ pages, publish }) {
    for (const page of pages) await fault(page, 'SSE');
    await publish();
    for (const page of pages) assert.equal(await transport(page), 'Server-Sent Events');
    await publish();
    for (const page of pages) await fault(page, 'Auto');
    for (const page of pages) assert.equal(await transport(page), 'WebSocket');
  },
  async 'it goes to long-polling and back'({ pages, publish }) {
    for (const page of pages) await fault(page, 'Long-poll');
    await publish();
    for (const page of pages) assert.equal(await transport(page), 'Long polling');
    await publish();
    for (const page of pages) await fault(page, 'Auto');
  },
  async 'it goes to polling and back'({ pages, publish }) {
    for (const page of pages) await fault(page, 'Polling');
    for (const page of pages) await reaches(page, 'Delayed');
    assert.equal(await transport(pages[0], 'Delayed'), 'Polling');
    await publish();
    for (const page of pages) await fault(page, 'Auto');
  },
  async 'the token expires, and no other is given before'({ pages, publish, server }) {
    for (const page of pages) await fault(page, 'Expire the token');
    await publish();
    await until(() => (server.log().match(/code=4001/g) ?? []).length >= 2, 'the server has closed both', 15_000);
    await publish();
  },
  async 'the token expires, and is renewed in time'({ pages, publish, server }) {
    for (const page of pages) await fault(page, 'Let it be renewed in time');
    await pages[0].getByText('Tokens end in 5 s').waitFor();
    await until(async () => await pages[0].getByLabel('Raw messages, newest first').getByText('"authenticated"').count() >= 2, 'another token was taken', 15_000);
    await publish();
    assert.ok(!server.log().includes('code=4001'));
  },
};

for (const [name, act] of Object.entries(FAULTS)) {
  test(`in the middle of work ${name}`, workbench(() => browser, async ({ server, open }) => {
    const agents = await open('ann', 'generate');
    const feed = await open('root', 'live');
    await followsRooms(feed);
    let n = 0;
    const publish = async () => { await server.publish(said(n + 1, n += 20)); };
    await publish();
    await until(async () => (await shown(feed)).length === 20, 'twenty are there');
    await agents.getByRole('button', { name: 'Generate', exact: true }).click();
    await until(async () => await agents.locator('[data-agent][data-status=completed]').count() >= 2, 'two agents are done');
    await act({ pages: [agents, feed], publish, server });
    await publish();

    await has(agents, 'section[aria-label=Generation]', 'data-status', 'completed', 60_000);
    for (const page of [agents, feed]) await live(page);
    assert.equal(await agents.locator('[data-agent][data-status=completed]').count(), 13);
    const job = await agents.getByRole('region', { name: 'Generation' }).getAttribute('data-job');
    assert.equal((await ask(server, 'GET', `/api/v1/jobs/${job}`)).data.state, 'done');
    assert.equal(await lines(agents.getByRole('main')), (await ofJob(server, 'projects/demo', 'log', job)).length);

    await until(async () => (await shown(feed)).length >= n, 'all events are there');
    for (const page of [agents, feed]) assert.equal(await page.getByText('Not connected:').count(), 0);
    assert.deepEqual(await shown(feed), said(1, n).map(event => event.data.text));
    assert.deepEqual([await count(feed, 'events'), await count(feed, 'doubled'), await count(feed, 'gaps')], [`${n}`, '0', '0']);
  }, [/401/, /404/]));
}
