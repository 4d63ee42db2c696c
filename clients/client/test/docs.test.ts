// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { errorsOf, examplesIn } from '../../examples.ts';

test('the examples compile', { timeout: 120_000 }, () => {
  const all = examplesIn(['client/README.md', '../README.md', '../docs/client.md', '../docs/client-data.md', 'testing/README.md'], 'ts');
  expect(all.length).toBeGreaterThan(8);
  // Which fails too when nothing is found wrong with this.
  const wrong = 'import { createClient } from "@tidings/client";\n// @ts-expect-error: a number is no URL\ncreateClient({ url: 1 });\n';
  expect(errorsOf([...all, wrong], 'ts')).toBe('');
});
