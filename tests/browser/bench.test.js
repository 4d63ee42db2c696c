// SPDX-License-Identifier: Apache-2.0
// What of bench/browser.mjs does not depend on the machine.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measure } from '../../bench/browser.mjs';

test('components with hooks that come and go leave no subscription, and the page its memory', async () => {
  const rows = await measure(['mounts'], { isQuick: true });
  assert.deepEqual(rows.map(({ met }) => met), [true, true, true], JSON.stringify(rows));
});
