// SPDX-License-Identifier: Apache-2.0
// The short form of bench/reconnect.mjs: a hundred clients whose connections break by chance, then all at once, then with the server.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createClient } from '@tidings/client';
import { expect, test } from 'vitest';
// @ts-expect-error: it is plain JavaScript
import { reconnection } from '../../../bench/reconnect.mjs';

const isBuilt = existsSync(process.env.TIDINGS ?? path.resolve(import.meta.dirname, '../../../build/release/tidings'));

test.runIf(isBuilt)('a hundred clients come back, with everything, once, and not all at the same time', { timeout: 180_000 }, async () => {
  const clients = 100, said = await reconnection({ createClient, clients, seconds: 20 });
  expect(said).toMatchObject({ back: clients, lost: 0, doubled: 0, gaps: 0 });
  expect(said.broken).toBeGreaterThan(clients);
  // By jitter the first tries behind a break lie within half a second.
  expect(said.spread.all.filter((count: number) => count > 0).length).toBeGreaterThan(3);
});
