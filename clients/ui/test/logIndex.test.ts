// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { LogLine } from '@tidings/client';
import { columnsOf, LogIndex } from '../src/logIndex.ts';

const line = (text: string): LogLine => ({ text, time: '2026-11-27T12:00:00.000Z' });
const lines = (n: number, from = 0): LogLine[] => [...Array(n).keys()].map(i => line(`line ${from + i}`));
const row = (index: LogIndex, n: number): string => {
  const { line: at, part } = index.at(n);
  return index.spans(at, part).map(span => span.text).join('');
};

describe('LogIndex', () => {
  it('folds long lines and finds each row', () => {
    const index = new LogIndex();
    index.sync([line('short'), line('0123456789abcdefghijKLM'), line(''), line('end')], 0, 10);
    expect(index.rows).toBe(6);
    expect([0, 1, 2, 3, 4, 5].map(n => row(index, n))).toEqual(['short', '0123456789', 'abcdefghij', 'KLM', '', 'end']);
    expect(index.at(3)).toEqual({ line: 1, part: 2 });
  });

  it('cuts between spans and not within wide characters', () => {
    const index = new LogIndex();
    index.sync([line('\x1b[31m0123\x1b[32m456789\x1b[0mabc'), line('日本語日本語')], 0, 5);
    expect([0, 1, 2].map(n => row(index, n))).toEqual(['01234', '56789', 'abc']);
    expect(index.spans(0, 0)).toMatchObject([{ text: '0123', style: { fg: 'var(--td-ansi-1)' } }, { text: '4', style: { fg: 'var(--td-ansi-2)' } }]);
    expect([3, 4, 5].map(n => row(index, n)).join('')).toBe('日本語日本語');
  });

  it('takes in what is added, in a new array or the same', () => {
    const index = new LogIndex();
    const all = lines(3);
    index.sync(all, 0, 80);
    all.push(...lines(2, 3));
    index.sync(all, 0, 80);
    expect(index.rows).toBe(5);
    index.sync([...all, line('line 5')], 0, 80);
    expect(row(index, 5)).toBe('line 5');
  });

  it('goes on when the first lines are dropped, with their rows counted', () => {
    const index = new LogIndex();
    const all = [line('x'.repeat(25)), ...lines(9)];
    index.sync(all, 0, 10);
    index.sync(all.slice(2), 2, 10);
    expect([index.rows, index.rowsDropped, row(index, 0)]).toEqual([8, 4, 'line 1']);
    index.sync([...all.slice(6), line('more')], 6, 10);
    expect([index.rows, row(index, 0), row(index, 4)]).toEqual([5, 'line 5', 'more']);
    // Everything that it knew is gone at once.
    index.sync(lines(4, 100), 100, 10);
    expect([index.rows, row(index, 0)]).toEqual([4, 'line 100']);
  });

  it('begins anew with other lines', () => {
    const index = new LogIndex();
    index.sync(lines(10), 0, 80);
    index.sync(lines(4, 50), 0, 80);
    expect([index.rows, row(index, 0)]).toEqual([4, 'line 50']);
    index.sync([], 0, 80);
    expect(index.rows).toBe(0);
    index.sync(lines(2), 0, 80);
    expect([index.rows, row(index, 1)]).toEqual([2, 'line 1']);
  });

  it('folds again when the columns are others', () => {
    const index = new LogIndex();
    index.sync([line('x'.repeat(30)), line('y')], 0, 10);
    expect(index.rows).toBe(4);
    index.sync(index.lines, 0, 30);
    expect(index.rows).toBe(2);
  });

  it('carries colours from line to line', () => {
    const index = new LogIndex();
    index.sync([line('\x1b[33mopen'), line('still'), line('over\rwritten \x1b[0mplain'), line('plain')], 0, 80);
    expect([1, 2, 3].map(n => index.spans(n, 0)[0]!.style.fg)).toEqual(['var(--td-ansi-3)', 'var(--td-ansi-3)', undefined]);
  });

  it('says how much of an endless line is not shown', () => {
    const index = new LogIndex();
    index.sync([line('x'.repeat(250_000))], 0, 100_000);
    expect(index.rows).toBe(2);
    expect(row(index, 1)).toBe(' … 150000 more characters');
  });

  it('takes 100,000 lines, and then each one more at the cost of one', () => {
    const index = new LogIndex();
    const all = lines(100_000);
    index.sync(all, 0, 80);
    let looked = 0;
    const counted = new Proxy(all, { get: (target, key) => { looked++; return Reflect.get(target, key); } });
    all.push(line('new'));
    index.sync(counted, 0, 80);
    expect(index.rows).toBe(100_001);
    expect(looked).toBeLessThan(20);
  });
});

it('counts cells as terminals do', () => {
  expect(columnsOf('abc')).toBe(3);
  expect(columnsOf('日本')).toBe(4);
  expect(columnsOf('e\u0301')).toBe(1);
  expect(columnsOf('👍')).toBe(2);
  expect(columnsOf('“é”')).toBe(3);
});
