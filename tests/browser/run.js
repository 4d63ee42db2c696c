// SPDX-License-Identifier: Apache-2.0
// Runs the suites one after the other and ends with a line "N passed, N failed".

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const here = path.dirname(fileURLToPath(import.meta.url));
const files = readdirSync(here).filter(name => name.endsWith('.test.js')).sort()
  .map(name => path.join(here, name));
let passed = 0, failed = 0;

const results = run({ files, concurrency: 1, timeout: 900_000 });
// A file that could not be run at all is reported as a test of its name.
results.on('test:pass', test => { if (!files.includes(test.name)) passed++; });
results.on('test:fail', () => { failed++; });
results.compose(new spec()).pipe(process.stdout);
results.on('end', () => setImmediate(() => {
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
  process.on('exit', () => process.stdout.write(`${passed} passed, ${failed} failed\n`));
}));
