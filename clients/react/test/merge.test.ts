// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { changesOf, threeWay } from '../src/merge.ts';

interface Case { name: string; base: object; mine: object; theirs: object | null; conflict: string; remote: string[]; both: string[]; merged: object | null }

const vectors = path.join(import.meta.dirname, '../../../tests/vectors/merge.json');

describe('merge.json', () => {
  for (const { name, base, mine, theirs, ...expected } of JSON.parse(readFileSync(vectors, 'utf8')) as Case[]) {
    test(name, () => expect(threeWay<object>(base, mine, theirs)).toEqual(expected));
  }
});

test('a document that is no object is one field', () => {
  expect(threeWay<unknown>('a', 'b', 'a')).toMatchObject({ conflict: 'none', merged: 'b' });
  expect(threeWay<unknown>('a', 'a', 'c')).toMatchObject({ conflict: 'other-fields', merged: 'c' });
  expect(threeWay<unknown>('a', 'b', 'c')).toMatchObject({ conflict: 'same-fields', remote: [''], both: [''], merged: 'b' });
  expect(threeWay<unknown>([1], [1, 2], [1])).toMatchObject({ conflict: 'none', merged: [1, 2] });
  expect(threeWay<unknown>({ a: 1 }, { a: 1 }, [1])).toMatchObject({ merged: [1] });
});

test('nothing to begin from: what both made otherwise, both changed', () => {
  expect(threeWay<unknown>(undefined, { a: 1, b: 1 }, { a: 2, b: 1, c: 3 })).toMatchObject({ conflict: 'same-fields', remote: ['a', 'c'], both: ['a'] });
});

test('changes as a merge patch', () => {
  expect(changesOf<object>({ a: 1, b: 2, c: [1] }, { a: 1, c: [2], d: 4 })).toEqual({ b: null, c: [2], d: 4 });
  expect(changesOf<object | undefined>(undefined, { a: 1 })).toEqual({ a: 1 });
});
