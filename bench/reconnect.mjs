#!/usr/bin/env -S node --experimental-websocket
// SPDX-License-Identifier: Apache-2.0
// Do all clients come back, with everything, once, and not all at the same time?
//
//     npm run build --workspace clients/client
//     TIDINGS=build/release/tidings bench/reconnect.mjs [--clients 500] [--seconds 300] [--transport websocket|sse|longpoll]
//
// Clients of @tidings/client follow one pattern through a relay that breaks their connections by chance.  A third of the time in, the relay breaks all at
// once; two thirds in, the server is killed and started again.  Meanwhile somebody publishes.  In the end each client has to have every event, once, in order.
import { createServer, connect } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Server } from '../tests/browser/server.js';

const PATTERN = 'rooms/*';
/** How long each connection lasts on the average. */
const LIFE_MS = 20_000;
const PUBLISH_MS = 200;
const BUCKET_MS = 100;

/** Passes connections on to a port, and breaks them. */
class Relay {
  #pairs = new Set();

  static async start(port) {
    const relay = new Relay();
    relay.listener = createServer(near => relay.#pass(near, port));
    relay.listener.listen(0, '127.0.0.1', 4096);
    await once(relay.listener, 'listening');
    return relay;
  }

  get port() { return this.listener.address().port; }

  #pass(near, port) {
    const far = connect(port, '127.0.0.1'), pair = { near, far };
    this.#pairs.add(pair);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.setNoDelay(true);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
  }

  /** Breaks some of the connections, each with that probability; with a reset, as a network does. Returns how many. */
  break(probability, random) {
    const broken = [...this.#pairs].filter(() => random() < probability);
    for (const { near } of broken) near.resetAndDestroy();
    return broken.length;
  }

  async stop() {
    this.listener.close();
    for (const { near } of this.#pairs) near.destroy();
  }
}

/** Counts what one client gets. */
class Reader {
  next = 1;
  lost = 0;
  doubled = 0;
  gaps = 0;
  wentAt = undefined;

  constructor(client, log) {
    this.client = client;
    this.topic = client.topic(PATTERN, { since: 'now', state: false, onEvent: event => this.#take(event.data), onGap: () => { this.gaps++; } });
    client.watch(({ phase }) => {
      const now = performance.now();
      if (phase === 'online' && this.wentAt !== undefined) {
        log.push({ wentAt: this.wentAt, backAt: now });
        this.wentAt = undefined;
      } else if (phase !== 'online') {
        this.wentAt ??= now;
      }
    });
  }

  #take(n) {
    if (n < this.next) this.doubled++;
    else {
      this.lost += n - this.next;
      this.next = n + 1;
    }
  }
}

/** The same numbers from the same seed (mulberry32). */
function dice(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sleep = ms => new Promise(resume => { setTimeout(resume, ms); });

function percentile(sorted, share) { return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0); }

/** How many came back in each tenth of a second behind `from`. */
function spread(log, from, until) {
  const buckets = [];
  for (const { wentAt, backAt } of log) {
    if (wentAt < from || wentAt > until) continue;
    const bucket = Math.floor((backAt - from) / BUCKET_MS);
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  return Array.from(buckets, count => count ?? 0);
}

/** Runs it all and says what came of it. `say` is told how it goes. */
export async function reconnection({ createClient, clients = 500, seconds = 300, transport = 'websocket', seed = 1, say = () => {} }) {
  const server = await Server.start(['--examples', 'none']), relay = await Relay.start(server.port), random = dice(seed), log = [];
  const readers = [];
  let published = 0, broken = 0, going = true;
  try {
    const token = server.sign('ann');
    for (let i = 0; i < clients; i++) {
      const client = createClient({ url: `http://127.0.0.1:${relay.port}`, token, transports: [transport] });
      readers.push(new Reader(client, log));
      if (i % 50 === 49) await sleep(50);
    }
    await Promise.all(readers.map(reader => reader.topic.ready));
    say(`${clients} clients are there`);
    const publishing = (async () => {
      for (; going; await sleep(PUBLISH_MS)) {
        // While the server is away nobody can publish. A number whose answer did not come is sent again, and counts once.
        const n = published + 1;
        await server.publish([{ topic: `rooms/${n % 10}`, type: 'n', data: n, dedup: `n${n}` }]).then(() => { published++; }, () => {});
      }
    })();
    const begin = performance.now(), end = begin + seconds * 1000, marks = {};
    for (let last = begin; performance.now() < end;) {
      await sleep(100);
      const now = performance.now(), since = now - begin;
      if (!marks.all && since > seconds * 1000 / 3) {
        marks.all = now;
        broken += relay.break(1, random);
      } else if (!marks.killed && since > seconds * 2000 / 3) {
        marks.killed = now;
        await server.kill9();
        await server.up();
        marks.up = performance.now();
      } else if (!(marks.all && now - marks.all < 5000) && !(marks.up && now - marks.up < 5000)) {
        // Not while one of these is looked at.
        broken += relay.break((now - last) / LIFE_MS, random);
      }
      last = now;
    }
    going = false;
    await publishing;
    say('no more is broken; all are to come back');
    const deadline = performance.now() + 60_000, isWhole = reader => reader.topic.phase === 'live' && reader.next === published + 1;
    while (!readers.every(isWhole) && performance.now() < deadline) await sleep(50);
    for (const reader of readers.filter(one => !isWhole(one)).slice(0, 5)) say(`not back: ${JSON.stringify(reader.client.state)}, ${reader.topic.phase}, at ${reader.next} of ${published}`);
    const away = log.map(({ wentAt, backAt }) => backAt - wentAt).sort((a, b) => a - b), sum = name => readers.reduce((total, reader) => total + reader[name], 0);
    return {
      clients, seconds, transport, published, broken, reconnects: log.length, back: readers.filter(isWhole).length, lost: sum('lost'), doubled: sum('doubled'), gaps: sum('gaps'),
      away: { half: percentile(away, 0.5), most: percentile(away, 0.99), longest: Math.round(away.at(-1) ?? 0) },
      spread: { all: spread(log, marks.all, marks.all + 1000), killed: spread(log, marks.killed, marks.up + 1000), down: Math.round(marks.up - marks.killed) },
    };
  } finally {
    going = false;
    for (const { client } of readers) client.close();
    await relay.stop();
    await server.done();
  }
}

function chart(buckets) {
  const most = Math.max(...buckets);
  return buckets.map((count, i) => `  ${String(i * BUCKET_MS).padStart(6)} ms ${String(count).padStart(5)} ${'#'.repeat(Math.ceil(count / most * 60))}`)
    .filter((_, i) => buckets[i] > 0).join('\n');
}

async function main() {
  const given = Object.fromEntries(process.argv.slice(2).join(' ').split('--').filter(Boolean).map(one => one.trim().split(/[ =]/)));
  const dist = path.resolve(import.meta.dirname, '../clients/client/dist/index.js');
  const { createClient } = await import(pathToFileURL(dist).href);
  const said = await reconnection({
    createClient, clients: Number(given.clients ?? 500), seconds: Number(given.seconds ?? 300), transport: given.transport ?? 'websocket', seed: Number(given.seed ?? 1),
    say: line => console.log(line),
  });
  const { spread: { all, killed, down }, ...figures } = said;
  console.log(JSON.stringify(figures, null, 1));
  console.log(`back behind all connections breaking at once:\n${chart(all)}\nback behind the server's kill; it was away for ${down} ms:\n${chart(killed)}`);
  process.exitCode = figures.back === figures.clients && figures.lost + figures.doubled + figures.gaps === 0 ? 0 : 1;
}

if (process.argv[1] && import.meta.url === pathToFileURL(path.resolve(process.argv[1])).href) await main();
