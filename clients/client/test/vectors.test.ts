// SPDX-License-Identifier: Apache-2.0
// What all clients agree on: tests/vectors.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { backoff } from '../src/backoff.ts';
import { actionOf } from '../src/errors.ts';
import { isPattern, matches } from '../src/match.ts';
import { eventStream } from '../src/transport/eventstream.ts';
import type { BackoffProfile } from '../src/types.ts';

function vectors(name: string): any[] {
  return JSON.parse(readFileSync(path.resolve(import.meta.dirname, '../../../tests/vectors', name), 'utf8'));
}

describe('match', () => {
  test.each(vectors('match.json'))('$name', one => {
    if (one.match !== undefined) expect(matches(one.pattern, one.topic)).toBe(one.match);
    else if (one.pattern !== undefined) expect(isPattern(one.pattern)).toBe(one.valid);
    else expect(isPattern(one.topic) && !one.topic.includes('*')).toBe(one.valid);
  });
});

describe('backoff', () => {
  test.each(vectors('backoff.json'))('$name', ({ profile, jitter, steps }) => {
    const known = { steady: { base: 1000, factor: 2, max: 30_000 }, brief: { base: 2000, factor: 1.5, max: 30_000, attempts: 5 } };
    const numbers: BackoffProfile = typeof profile === 'string' ? known[profile as 'steady']
      : { base: profile.base_ms, factor: profile.factor, max: profile.max_ms, attempts: profile.attempts };
    const it = backoff({ ...numbers, jitter }, Math.random);
    for (const step of steps) {
      if (step.connected_s >= 10) it.reset();
      const wait = it.failed(step.retry_after === undefined ? undefined : step.retry_after * 1000);
      expect(wait ?? null).toBe(step.delay_ms);
    }
  });

  test('the profiles have these numbers', () => {
    expect(backoff('steady', Math.random).profile).toEqual({ base: 1000, factor: 2, max: 30_000 });
    expect(backoff('brief', Math.random).profile).toEqual({ base: 2000, factor: 1.5, max: 30_000, attempts: 5 });
  });

  test('jitter takes off up to a half, all, or nothing, behind the cap', () => {
    const spread = (jitter: BackoffProfile['jitter'], random: number) => {
      const it = backoff({ base: 1000, factor: 10, max: 5000, jitter }, () => random);
      return [it.failed(), it.failed()];
    };
    expect(spread('equal', 0)).toEqual([1000, 5000]);
    expect(spread('equal', 1)).toEqual([500, 2500]);
    expect(spread('full', 1)).toEqual([0, 0]);
    expect(spread(undefined, 0.5)).toEqual([750, 3750]);
  });
});

describe('endings', () => {
  test.each(vectors('close.json'))('$name', ({ code, status, action }) => {
    expect(actionOf(code ?? status)).toBe(action);
  });
});

describe('eventstream', () => {
  const bytesOf = (chunk: string | { hex: string }) => typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.hex, 'hex');

  function parse(chunks: Uint8Array[]) {
    const events: object[] = [], decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    let lastEventId = '', retry: number | null = null;
    const take = eventStream({
      event({ id, type, data }) {
        events.push({ type, data, lastEventId: id });
        lastEventId = id;
      },
      id(id) { lastEventId = id; },
      retry(ms) { retry = ms; },
    });
    for (const chunk of chunks) take(decoder.decode(chunk, { stream: true }));
    return { events, lastEventId, retry };
  }

  const cases = vectors('eventstream.json');
  const expected = (one: any) => ({
    events: one.events, lastEventId: one.lastEventId, retry: one.retry,
  });

  test.each(cases)('$name', one => {
    expect(parse(one.chunks.map(bytesOf))).toEqual(expected(one));
  });

  test.each(cases)('$name, byte by byte', one => {
    const all = Buffer.concat(one.chunks.map(bytesOf));
    expect(parse([...all].map(byte => Uint8Array.of(byte)))).toEqual(expected(one));
  });
});
