// SPDX-License-Identifier: Apache-2.0
// The server in memory says what the real one says. What is expected stands in parity.json, as the real one said it (`UPDATE=1` writes it anew).
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
// @ts-expect-error: it is plain JavaScript
import { Server } from '../../../tests/browser/server.js';
import { createTestServer } from '../src/index.ts';
import { KINDS, Run, SCENARIOS } from './scenario.ts';
import type { Harness } from './scenario.ts';

const file = path.join(import.meta.dirname, 'parity.json');
const isBuilt = existsSync(process.env.TIDINGS ?? path.resolve(import.meta.dirname, '../../../build/release/tidings'));
const expected: Record<string, unknown[]> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};

async function play(name: string, harness: Harness): Promise<unknown[]> {
  const run = new Run(harness);
  const answer = await harness.fetch(`${harness.url}/api/v1/events?topic=**&since=now`, { headers: { authorization: `Bearer ${harness.token('ann')}` } });
  const { position } = await answer.json() as { position: string }, [epoch, seq] = position.split('.');
  run.scribe.epoch = epoch!;
  run.scribe.base = Number(seq);
  try {
    await SCENARIOS[name]!(run);
  } finally {
    await run.done();
  }
  return run.notes.map((note, i, all) => {
    // State comes in no order.
    const isState = (at: number) => (all[at] as { state?: boolean } | undefined)?.state === true;
    let from = i, to = i;
    while (isState(i) && isState(from - 1)) from--;
    while (isState(i) && isState(to + 1)) to++;
    return isState(i) ? all.slice(from, to + 1).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))[i - from] : note;
  });
}

describe('in memory', () => {
  const server = createTestServer();
  server.job('check', job => {
    job.output('one').complete({ found: 2 });
  }, { topic: 'projects/{project_id}/checks', carry: ['project_id'], events: { start: 'check_start', output: 'output', complete: 'check_complete', error: 'check_error', cancelled: 'check_cancelled' } });
  server.job('write', job => { job.text('Grüße').complete(1); }, { topic: 'enhance/{sub}/{session}', events: { text: 'partial', complete: 'completed', error: 'error', cancelled: 'cancelled' } });
  server.job('break', job => job.fail('It broke.', { code: 'broken', details: 'here', suggestedActions: ['Mend it.'] }));
  server.job('wait', () => { /* until it is cancelled */ }, { topic: 'waits/{job_id}', events: { start: 'started_', cancelled: 'cancelled_' } });
  const harness: Harness = {
    url: server.url, fetch: server.fetch, WebSocket: server.WebSocket,
    token: (user, grants) => server.token(user, { expiresIn: 3600, ...grants }), until: condition => server.clock.until(condition),
  };
  test.each(Object.keys(SCENARIOS))('%s', async name => { expect(await play(name, harness)).toEqual(expected[name]); });
});

describe.runIf(isBuilt)('the real one', () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidings-parity-')), config = path.join(directory, 'kinds.yaml');
  writeFileSync(config, KINDS);
  let starting: Promise<{ url: string; sign(user: string, ...flags: string[]): string; done(): Promise<void> }> | undefined;
  const told: Record<string, unknown[]> = {};

  test.each(Object.keys(SCENARIOS))('%s', { timeout: 30_000 }, async name => {
    const server = await (starting ??= Server.start(['--examples', 'none', '--config', config]));
    const harness: Harness = {
      url: server.url, fetch, WebSocket,
      token: (user, { subscribe = [], publish = [], roles = [] } = {}) =>
        server.sign(user, ...subscribe.flatMap(one => ['--subscribe', one]), ...publish.flatMap(one => ['--publish', one]), ...roles.flatMap(one => ['--role', one])),
      async until(condition) {
        for (const end = Date.now() + 15_000; ;) {
          const value = condition();
          if (value) return value;
          if (Date.now() > end) throw new Error('not within 15 s');
          await new Promise(resume => { setTimeout(resume, 5); });
        }
      },
    };
    told[name] = await play(name, harness);
    if (process.env.UPDATE === undefined) expect(told[name]).toEqual(expected[name]);
  });

  afterAll(async () => {
    await (await starting)?.done();
    rmSync(directory, { recursive: true });
    if (process.env.UPDATE === undefined) return;
    const lines = Object.entries(told).map(([name, notes]) => `${JSON.stringify(name)}: [\n  ${notes.map(note => JSON.stringify(note)).join(',\n  ')}\n]`);
    writeFileSync(file, `{\n${lines.join(',\n')}\n}\n`);
  });
});
