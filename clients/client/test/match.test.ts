// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { isPattern, matches } from '../src/index.ts';

test.each<[string, string, boolean]>([
  ['rooms/1', 'rooms/1', true], ['rooms/1', 'rooms/11', false], ['rooms/*', 'rooms/1', true], ['rooms/*', 'rooms', false],
  ['rooms/*', 'rooms/1/x', false], ['rooms/**', 'rooms', true], ['rooms/**', 'rooms/1/x', true], ['**', 'a/b', true],
  ['*/x', 'a/x', true], ['*/x', 'a/y', false], ['a/*/c/**', 'a/b/c', true], ['a/*/c/**', 'a/b/d', false],
])('%s and %s: %s', (pattern, topic, expected) => {
  expect(matches(pattern, topic)).toBe(expected);
});

test('what is a pattern', () => {
  for (const good of ['a', '*', '**', 'a/*/b', 'a/**', 'A-Z.a_z~0@1:2', Array(16).fill('a').join('/')]) expect(isPattern(good), good).toBe(true);
  for (const bad of ['', '/', 'a/', '/a', 'a//b', 'a/**/b', 'a b', 'a*', 'é', 'x'.repeat(65), Array(17).fill('a').join('/'), 'a/'.repeat(8) + '***'])
    expect(isPattern(bad), bad).toBe(false);
});
