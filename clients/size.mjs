#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// How large each entry of the packages is, as a page would load it: bundled, minified, gzip.  Fails when one is over its budget.
// What is imported dynamically counts for itself, and so does what comes from another of these packages.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';

const KB = 1024;
const here = import.meta.dirname;
const LATER = /sse|longpoll|overhttp|eventstream/;

// Entry, and bytes that it may have. `without`: entries that a page which loads this one has loaded already.
const BUDGETS = [
  { name: '@tidings/client', source: 'client/src/index.ts', budget: 8 * KB },
  { name: '  with sse and longpoll', source: 'client/src/index.ts', budget: 2.5 * KB, later: true },
  { name: '@tidings/client/jobs', source: 'client/src/jobs.ts', budget: 2 * KB },
  { name: '@tidings/client/streams', source: 'client/src/streams.ts', budget: 1.5 * KB },
  { name: '@tidings/client/entities', source: 'client/src/entities.ts', budget: 2.5 * KB },
  { name: '@tidings/client/presence', source: 'client/src/presence.ts', budget: 1 * KB },
  { name: '@tidings/client/locks', source: 'client/src/locks.ts', budget: 1 * KB },
  { name: '@tidings/client/project', source: 'client/src/project.ts', budget: 1 * KB },
  { name: '@tidings/react', source: 'react/src/index.ts', budget: 4 * KB },
  { name: '@tidings/react/query', source: 'react/src/query.ts', budget: 2 * KB },
  { name: '@tidings/ui', source: 'ui/src/index.ts', budget: 14 * KB },
  { name: '  its styles', source: 'ui/src/styles.css', budget: 5 * KB },
  { name: '@tidings/testing', source: 'testing/src/index.ts', budget: Infinity },
];

const core = new Set(['client.ts', 'connection.ts', 'errors.ts', 'match.ts', 'topics.ts', 'use.ts'].map(name => path.join(here, 'client/src', name)));

// The chunks of an entry, minified: [is it loaded at once, code].
async function chunksOf(source) {
  const isCore = /client\/src\/index\.ts$/.test(source);
  const { output } = [await build({
    configFile: false, logLevel: 'silent', root: here,
    resolve: { conditions: ['source', 'module', 'browser', 'production'] },
    build: {
      target: 'es2022', write: false, minify: true, modulePreload: false,
      rolldownOptions: {
        input: source, preserveEntrySignatures: 'strict',
        output: { format: 'es' },
        external: (id, from) => /^(@tidings\/|@tanstack\/|react$|react\/|react-dom)/.test(id) ||
          (!isCore && from !== undefined && core.has(path.resolve(path.dirname(from), id))),
      },
    },
  })].flat()[0];
  return output.filter(one => one.type === 'chunk').map(one => [one.isEntry || !LATER.test(one.fileName), one.code]);
}

// As it comes from a CDN; the figure is for comparing, so the slowest setting.
const zipped = text => gzipSync(text, { level: 9 }).length;

async function sizeOf({ source, later }) {
  const file = path.join(here, source);
  if (source.endsWith('.css')) return zipped(readFileSync(file));
  const chunks = await chunksOf(file);
  return chunks.filter(([now]) => now === !later).reduce((sum, [, code]) => sum + zipped(code), 0);
}

let failed = 0;
for (const entry of BUDGETS) {
  if (!existsSync(path.join(here, entry.source))) {
    console.log(`${entry.name.padEnd(28)} not there`);
    continue;
  }
  const size = await sizeOf(entry);
  const isOver = size > entry.budget;
  if (isOver) failed++;
  console.log(`${entry.name.padEnd(28)} ${(size / KB).toFixed(2).padStart(6)} KB of ${entry.budget / KB}${isOver ? '  OVER BUDGET' : ''}`);
}
process.exitCode = failed ? 1 : 0;
