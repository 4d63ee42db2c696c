#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What the client and the hooks cost a page in Chromium, and what they give it.
//
//     ./dev bench browser [SCENARIO…] [--quick]
//
// Chromium without a GPU, React in production mode, a `tidings dev` of its own on the loopback interface (TIDINGS names the binary).  Where there is
// something to compare with, both sides run in turns, or at the same time: read the differences and ratios.  All ends by itself, in some six minutes.
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { launch } from '../tests/browser/browser.js';
import { ROOT, Server, until } from '../tests/browser/server.js';

const TRANSPORTS = ['websocket', 'sse', 'longpoll'];
const sleep = ms => new Promise(resume => { setTimeout(resume, ms); });

// ---- figures ------------------------------------------------------------------------------------------------------------------

const sorted = values => [...values].sort((a, b) => a - b);
const median = values => percentile(values, 0.5);

function percentile(values, share) {
  const all = sorted(values), at = (all.length - 1) * share, low = Math.floor(at);
  return all[low] + ((all[low + 1] ?? all[low]) - all[low]) * (at - low);
}

const number = value => Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : String(+value.toPrecision(3));
const spread = values => values.length === 1 ? number(values[0])
  : `${number(median(values))} (${number(Math.min(...values))} to ${number(Math.max(...values))})`;

const WIDTHS = [11, 44, 26, 26, 42];
const line = cells => cells.map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0)).join(' ').trimEnd();

/** The table, and all that was measured. */
class Report {
  rows = [];

  constructor(say) { this.say = say; }

  /** `mark`: what the figure is to be, and whether it is. */
  row(scenario, figure, values, { beside, note = '', mark, met } = {}) {
    this.rows.push({ scenario, figure, values, beside, note, mark, met });
    this.say(line([scenario, figure, spread(values), beside ? spread(beside) : '', note, mark ? `${mark} ${met ? 'met' : 'MISSED'}` : '']));
  }
}

// ---- what the pages come from --------------------------------------------------------------------------------------------------

async function bundle(live) {
  const made = await rolldown({
    input: path.join(ROOT, 'bench/browser_page.mjs'), resolve: { conditionNames: ['source', 'import'] },
    transform: { define: { LIVE: String(live), 'process.env.NODE_ENV': '"production"' } },
  });
  const { output } = await made.generate({ format: 'es', minify: true, entryFileNames: `${live ? 'live' : 'plain'}.js`, chunkFileNames: '[name]-live.js' });
  await made.close();
  return output.map(file => [`/${file.fileName}`, ['text/javascript', file.code]]);
}

/** Serves the pages, and hands what begins with /api or /ws on to a server, so that both are one origin. Counts what the browser asks and is sent. */
class Site {
  requests = 0;
  #sockets = new Set();
  #closed = 0;

  static async start(files, port) {
    const site = new Site();
    site.listener = http.createServer((request, response) => site.#answer(files, port, request, response));
    site.listener.on('upgrade', (request, socket, head) => site.#upgrade(port, request, socket, head));
    site.listener.on('connection', socket => {
      site.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        site.#sockets.delete(socket);
        site.#closed += socket.bytesRead + socket.bytesWritten;
      });
    });
    site.listener.listen(0, '127.0.0.1');
    await once(site.listener, 'listening');
    site.origin = `http://localhost:${site.listener.address().port}`;
    return site;
  }

  #answer(files, port, request, response) {
    const { pathname } = new URL(request.url, this.origin);
    if (pathname.startsWith('/api/')) {
      this.requests++;
      const { method, headers } = request;
      const onward = http.request({ port, host: '127.0.0.1', path: request.url, method, headers }, answer => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      request.pipe(onward);
      return;
    }
    const [type, body] = files.get(pathname) ?? [];
    response.writeHead(type ? 200 : 404, { 'content-type': type ?? 'text/plain', 'cache-control': 'no-store' });
    response.end(body);
  }

  #upgrade(port, { method, url, rawHeaders }, near, head) {
    this.requests++;
    const far = net.connect(port, '127.0.0.1');
    const lines = rawHeaders.flatMap((text, i) => i % 2 ? [] : [`${text}: ${rawHeaders[i + 1]}`]);
    far.write(`${method} ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    far.write(head);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  }

  /** Both ways, of all connections so far. */
  get bytes() { return [...this.#sockets].reduce((sum, socket) => sum + socket.bytesRead + socket.bytesWritten, this.#closed); }

  stop() {
    this.listener.close();
    this.listener.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function pagesOf() {
  const html = name => `<!doctype html><title>${name}</title><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/${name}.js"></script>`;
  const pages = ['plain', 'live'].map(name => [`/${name}`, ['text/html', html(name)]]);
  return new Map([...pages, ...await bundle(false), ...await bundle(true)]);
}

/** What scenarios share: the browser, the server, the site, and how to open a page of it. */
class World {
  constructor(browser, server, site, files, isQuick) { Object.assign(this, { browser, server, site, files, isQuick }); }

  some(full, quick) { return this.isQuick ? quick : full; }

  /** A page in a browser profile of its own: nothing is cached, nothing remembered. */
  async open(name, { site = this.site, ...told } = {}) {
    const context = await this.browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    page.inspector = await inspect(page);
    const fragment = encodeURIComponent(JSON.stringify({ url: this.server.url, token: this.server.token, ...told }));
    await page.goto(`${site.origin}/${name}#${fragment}`, { waitUntil: 'load' });
    return page;
  }

  async subscriptions() {
    const text = await (await fetch(`${this.server.url}/metrics`)).text();
    return Number(/^tidings_subscriptions (\d+)/m.exec(text)[1]);
  }
}

/** What the page's main thread has computed, in milliseconds of processor time, and its heap behind a collection. */
async function inspect(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  return {
    async cpu() {
      const { metrics } = await session.send('Performance.getMetrics');
      return metrics.find(({ name }) => name === 'TaskDuration').value * 1000;
    },
    async heap() {
      for (let i = 0; i < 3; i++) await session.send('HeapProfiler.collectGarbage');
      return (await session.send('Runtime.getHeapUsage')).usedSize;
    },
  };
}

// ---- scenarios ------------------------------------------------------------------------------------------------------------------

// Three loads in turns: without, with, and without again, which says how far two loads of the same page lie apart.
async function load(world, report) {
  const figures = { 'first contentful paint, ms': 'paint', 'DOMContentLoaded, ms': 'ready', 'load, ms': 'load', 'main thread until 0.5 s later, ms CPU': 'cpu' };
  const sides = { plain: [], live: [], again: [] };
  const one = async name => {
    const page = await world.open(name);
    const { cpu } = page.inspector;
    const times = await page.evaluate(async () => {
      // Nothing here asks again and again: that would count.
      const paint = await new Promise(resolve => {
        new PerformanceObserver(list => {
          for (const { name, startTime } of list.getEntries()) if (name === 'first-contentful-paint') resolve(startTime);
        }).observe({ type: 'paint', buffered: true });
      });
      await new Promise(resume => { setTimeout(resume, 500); });
      const [{ domContentLoadedEventEnd, loadEventEnd }] = performance.getEntriesByType('navigation');
      return { paint, ready: domContentLoadedEventEnd, load: loadEventEnd };
    });
    const said = { ...times, cpu: await cpu() };
    await page.context().close();
    return said;
  };
  for (let round = -1; round < world.some(30, 3); round++) {
    const order = round % 2 ? ['plain', 'live', 'again'] : ['again', 'live', 'plain'];
    for (const side of order) {
      const said = await one(side === 'again' ? 'plain' : side);
      if (round >= 0) sides[side].push(said); // the first warms the browser up
    }
  }
  for (const [figure, key] of Object.entries(figures)) {
    const of = side => sides[side].map(said => said[key]);
    const between = (a, b) => of(a).map((value, i) => value - of(b)[i]);
    const more = of('live').map((value, i) => value - (of('plain')[i] + of('again')[i]) / 2);
    const noise = between('again', 'plain').map(Math.abs);
    report.row('load', figure, of('live'), {
      beside: [...of('plain'), ...of('again')], note: `${number(median(more))} more; noise ${number(median(noise))}`,
      ...(key !== 'cpu' && { mark: 'within noise', met: median(more) <= median(noise) }),
    });
  }
}

/** The most processor time of one task of a page's main thread: unlike the length of a task it does not depend on who else uses the machine. */
function heaviestTask(trace) {
  const { traceEvents } = JSON.parse(trace), ofThread = event => `${event.pid} ${event.tid}`;
  const main = new Set(traceEvents.filter(event => event.name === 'thread_name' && event.args.name === 'CrRendererMain').map(ofThread));
  return Math.max(...traceEvents.filter(event => event.tdur !== undefined && main.has(ofThread(event))).map(event => event.tdur / 1000));
}

// Fifty topics, a hundred components; the server is killed, five hundred events are published where the page can't see, and it comes back.
async function tasks(world, report) {
  const names = 50, page = await world.open('live', { show: 'none' });
  await page.evaluate(async names => {
    followers.show(100, names);
    await followers.live(names);
    window.tasks = [];
    new PerformanceObserver(list => tasks.push(...list.getEntries().map(entry => entry.duration))).observe({ type: 'longtask' });
  }, names);
  const { cpu } = page.inspector;
  const counts = [], computed = [], idle = [], longest = [0], heaviest = [];
  for (let round = 0; round < world.some(5, 1); round++) {
    const before = await cpu();
    await world.browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline'] });
    await page.evaluate(() => { tasks.length = got = 0; });
    const events = Array.from({ length: 500 }, (_, i) => ({ topic: `rooms/${i % names}`, type: 'said', data: i }));
    await world.server.publishWhileAway(events);
    await page.evaluate(names => followers.live(names), names);
    await page.waitForFunction(wanted => got >= wanted, 2 * events.length, { polling: 100 });
    await sleep(500); // what is still to be rendered
    computed.push(await cpu() - before);
    heaviest.push(heaviestTask(await world.browser.stopTracing()));
    const during = await page.evaluate(() => tasks.slice());
    counts.push(during.length);
    longest.push(...during);
    await page.evaluate(() => { tasks.length = 0; });
    await sleep(3000);
    idle.push(await page.evaluate(() => tasks.length));
  }
  await page.context().close();
  const note = `longest ${number(Math.max(...longest))} ms; beside: at rest`;
  report.row('tasks', 'long tasks while coming back', counts, { beside: idle, note, mark: '0', met: Math.max(...counts) === 0 });
  report.row('tasks', 'its heaviest task, ms CPU', heaviest, { mark: '< 50', met: Math.max(...heaviest) < 50 });
  report.row('tasks', 'main thread, 500 missed events, ms CPU', computed);
}

// Components with two hooks each come and go, five hundred at a time, so slowly that each time fifty subscriptions are begun and ended.
async function mounts(world, report) {
  const names = 50, each = 500, page = await world.open('live', { show: 'none' });
  await page.evaluate(() => client.open());
  await page.waitForFunction(() => window.onlineAt !== undefined);
  const { heap } = page.inspector;
  const base = await world.subscriptions();
  const turn = async () => {
    await page.evaluate(async ([each, names]) => {
      followers.show(each, names);
      await followers.live(names);
    }, [each, names]);
    const most = await until(async () => await world.subscriptions() - base, 'there are subscriptions');
    await page.evaluate(() => followers.clear());
    await until(async () => await world.subscriptions() === base, 'the subscriptions are back', 10_000).catch(() => undefined);
    return most;
  };
  for (let i = 0; i < world.some(4, 2); i++) await turn();
  const before = await heap(), held = [], turns = world.some(20, 2);
  for (let i = 0; i < turns; i++) held.push(await turn());
  report.row('mounts', 'subscriptions while they were there', held, { mark: String(names), met: held.every(count => count === names) });
  const left = await world.subscriptions() - base, grown = (await heap() - before) / 1024;
  await page.context().close();
  report.row('mounts', `subscriptions left by ${turns * each} components`, [left], { mark: '0', met: left === 0 });
  report.row('mounts', 'heap left, KB', [grown], { note: `of ${number(before / 1024)} KB before`, mark: '<= 512', met: grown <= 512 });
}

// How long a page takes to be connected, by each transport.
async function connect(world, report) {
  for (const transport of TRANSPORTS) {
    const times = [];
    for (let round = 0; round < world.some(10, 2); round++) {
      const page = await world.open('live', { show: 'board', transports: [transport] });
      await page.waitForFunction(() => window.onlineAt !== undefined);
      times.push(await page.evaluate(() => onlineAt));
      await page.context().close();
    }
    report.row('connect', `page start to connected, ${transport}, ms`, times, { mark: '< 500', met: median(times) < 500 });
  }
}

// How long after the server's return each page is live again, by how long the server was away.  The delays of `steady` grow with that, to 30 s: beside
// it is a page that waits 8 s at most.
async function comeBack(world, report) {
  const names = 10, pages = new Map();
  for (const transport of [...TRANSPORTS, 'at most 8 s']) {
    const other = { transports: ['websocket'], backoff: { base: 1000, factor: 2, max: 8000 } };
    const page = await world.open('live', { show: 'none', ...(TRANSPORTS.includes(transport) ? { transports: [transport] } : other) });
    await page.evaluate(async names => {
      followers.show(names, names);
      await followers.live(names);
    }, names);
    pages.set(transport, page);
  }
  for (const [away, rounds] of world.some([[1, 4], [5, 3], [12, 2], [40, 1]], [[1, 1]])) {
    const times = new Map([...pages.keys()].map(name => [name, []]));
    for (let round = 0; round < rounds; round++) {
      await world.server.kill9();
      await sleep(away * 1000);
      await world.server.up();
      const up = Date.now();
      await Promise.all([...pages].map(async ([name, page]) => {
        times.get(name).push((await page.evaluate(names => followers.live(names), names) - up) / 1000);
      }));
      await sleep(11_000); // the count of tries begins anew
    }
    for (const [name, all] of times) report.row('return', `away for ${away} s, ${name}: live after, s`, all, { mark: '< 10', met: Math.max(...all) < 10 });
  }
  for (const page of pages.values()) await page.context().close();
}

// The same events on two pages, of which one asks every two seconds for what is new.
async function polling(world, report) {
  const seconds = world.some(60, 10), sites = [], pages = [];
  for (const name of ['live', 'plain']) {
    const site = await Site.start(world.files, world.server.port);
    sites.push(site);
    pages.push(await world.open(name, { site, url: site.origin, show: 'feed' }));
  }
  await pages[0].waitForFunction(() => window.onlineAt !== undefined);
  await pages[1].waitForFunction(() => window.polling);
  await sleep(1000);
  const before = sites.map(({ requests, bytes }) => ({ requests, bytes }));
  const end = performance.now() + seconds * 1000;
  let published = 0;
  for (;;) {
    const pause = 200 + Math.random() * 2800;
    if (performance.now() + pause > end) break;
    await sleep(pause);
    const text = `Item ${published} was changed by somebody else`;
    await world.server.publish([{ topic: 'news', type: 'said', data: { at: performance.timeOrigin + performance.now(), text } }]);
    published++;
  }
  await sleep(end - performance.now());
  const after = sites.map(({ requests, bytes }) => ({ requests, bytes }));
  await sleep(2500); // the last poll
  const delays = await Promise.all(pages.map(page => page.evaluate(() => delays)));
  for (const page of pages) await page.context().close();
  for (const site of sites) site.stop();
  const used = name => after.map((figures, i) => figures[name] - before[i][name]);
  const [requests, polls] = used('requests'), [bytes, polled] = used('bytes');
  const times = (a, b) => `${number(b / a)} times as much by polling`;
  report.row('polling', `requests in ${seconds} s, ${published} events`, [requests], { beside: [polls] });
  report.row('polling', 'bytes both ways', [bytes], { beside: [polled], note: times(bytes, polled) });
  for (const [name, share] of [['median', 0.5], ['p95', 0.95]]) {
    const [mine, other] = delays.map(all => percentile(all, share));
    report.row('polling', `publish to display, ${name}, ms`, [mine], { beside: [other], note: times(mine, other) });
  }
  const missing = delays.map(all => published - all.length);
  report.row('polling', 'events not shown, or twice', [missing[0]], { beside: [missing[1]], mark: '0', met: missing.every(count => count === 0) });
}

const SCENARIOS = { load, connect, polling, mounts, tasks, return: comeBack };

/** Runs scenarios, and returns the rows of the table. `say` takes its lines. */
export async function measure(names, { isQuick = false, say = console.log } = {}) {
  const files = await pagesOf(), report = new Report(say), server = await Server.start(['--examples', 'none']);
  let browser, site;
  try {
    browser = await launch();
    site = await Site.start(files, server.port);
    const scripts = name => [...files].filter(([at]) => at.includes(name) && at.endsWith('.js')).map(([, [, body]]) => body.length);
    const size = name => Math.round(scripts(name).reduce((sum, length) => sum + length, 0) / 1024);
    const [{ model }] = os.cpus(), now = new Date().toISOString().slice(0, 16).replace('T', ' ');
    say(`${now} UTC, ${os.cpus().length} x ${model}, Chromium ${browser.version()}, load ${os.loadavg()[0].toFixed(1)}`);
    say(`scripts, not compressed: ${size('live')} KB, without the client ${size('plain')} KB`);
    say(line(['scenario', 'figure', 'with Tidings', 'beside', '', 'mark']));
    for (const name of names) await SCENARIOS[name](new World(browser, server, site, files, isQuick), report);
    return report.rows;
  } finally {
    await browser?.close();
    site?.stop();
    await server.done();
  }
}

async function main() {
  const given = process.argv.slice(2), isQuick = given.includes('--quick');
  const wanted = given.filter(word => word !== '--quick'), names = wanted.length ? wanted : Object.keys(SCENARIOS);
  const unknown = names.find(name => !Object.hasOwn(SCENARIOS, name));
  if (unknown) {
    console.error(`bench: no scenario ${unknown}; there are: ${Object.keys(SCENARIOS).join(', ')}`);
    process.exit(2);
  }
  const began = new Date(), rows = await measure(names, { isQuick });
  const out = path.join(ROOT, 'build/bench', `browser-${began.toISOString().slice(0, 19).replaceAll(':', '')}.json`);
  mkdirSync(path.dirname(out), { recursive: true });
  writeFileSync(out, JSON.stringify({ date: began, rows }, null, 1));
  console.log(`load at the end ${os.loadavg()[0].toFixed(1)}; all runs: ${path.relative(ROOT, out)}`);
}

if (process.argv[1] && import.meta.url === pathToFileURL(path.resolve(process.argv[1])).href) await main();
