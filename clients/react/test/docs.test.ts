// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { errorsOf, examplesIn } from '../../examples.ts';

test('the examples compile', { timeout: 120_000 }, () => {
  const all = examplesIn(['react/README.md', '../docs/react.md'], 'tsx');
  // A schema counts for the whole program, so the one that registers one is its own.
  const registers = (code: string) => code.includes('declare module');
  expect(all.length).toBeGreaterThan(9);
  // Which fails too when nothing is found wrong with this.
  const wrong = 'import { useTopic } from "@tidings/react";\n// @ts-expect-error: a number is no name\nuseTopic(1, () => undefined);\n';
  expect(errorsOf([...all.filter(code => !registers(code)), wrong], 'tsx')).toBe('');
  expect(errorsOf(all.filter(registers), 'tsx')).toBe('');
});
