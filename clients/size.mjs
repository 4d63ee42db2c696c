#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// How large each entry of the packages is as a page loads it: bundled, minified, gzip.  Fails when one is over its budget.  What is
// imported dynamically counts for itself, and so does what comes from another entry.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const KB = 1024;
const here = import.meta.dirname;

// `chunk`: of that entry what it loads by this name.
const BUDGETS = [
  { name: '@tidings/client', source: 'client/src/index.ts', budget: 8 * KB },
  { name: '  page life, requests, publish', source: 'client/src/index.ts', chunk: 'rest', budget: 2.25 * KB },
  { name: '  SSE, long-poll, polling', source: 'client/src/index.ts', chunk: 'fallback', budget: 2.75 * KB },
  { name: '@tidings/client/jobs', source: 'client/src/jobs.ts', budget: 2 * KB },
  { name: '@tidings/client/streams', source: 'client/src/streams.ts', budget: 1.75 * KB },
  { name: '@tidings/client/entities', source: 'client/src/entities.ts', budget: 2.5 * KB },
  { name: '@tidings/client/presence', source: 'client/src/presence.ts', budget: 1 * KB },
  { name: '@tidings/client/locks', source: 'client/src/locks.ts', budget: 1.25 * KB },
  { name: '@tidings/client/project', source: 'client/src/project.ts', budget: 1 * KB },
  { name: '@tidings/react, the hooks', source: 'react/src/hooks.ts', budget: 4 * KB },
  { name: '  with useEdit', source: 'react/src/index.ts', budget: 5.75 * KB },
  { name: '@tidings/react/query', source: 'react/src/query.ts', budget: 2.5 * KB },
  { name: '@tidings/ui', source: 'ui/src/index.ts', budget: 14 * KB },
  { name: '  its styles', source: 'ui/src/styles.css', budget: 5 * KB },
  { name: '@tidings/testing', source: 'testing/src/index.ts', budget: Infinity },
];

// What the entries of @tidings/client share with its core, and with each other, is loaded once.
const SHARED = ['client', 'errors', 'match', 'parts'].map(name => path.join(here, `client/src/${name}.ts`));

async function chunksOf(file) {
  const isCore = file === path.join(here, 'client/src/index.ts');
  const bundle = await rolldown({
    input: file, resolve: { conditionNames: ['source', 'import'] },
    transform: { jsx: 'react-jsx' },
    external: (id, from) => /^(@tidings\/|@tanstack\/|react$|react\/|react-dom)/.test(id) ||
      (!isCore && from !== undefined && SHARED.includes(path.resolve(path.dirname(from), id))),
  });
  const { output } = await bundle.generate({ format: 'es', minify: true, chunkFileNames: '[name].js' });
  await bundle.close();
  return output.filter(one => one.type === 'chunk');
}

// The slowest setting: as from a CDN that compresses once.
const zipped = text => gzipSync(text, { level: 9 }).length;

async function sizeOf({ source, chunk }) {
  const file = path.join(here, source);
  if (source.endsWith('.css')) return zipped(readFileSync(file));
  const chunks = await chunksOf(file), named = new Map(chunks.map(one => [one.fileName, one]));
  // What it imports statically comes with it.
  const wanted = new Set([chunk ? named.get(`${chunk}.js`) : chunks.find(one => one.isEntry)]);
  for (const one of wanted) for (const other of one.imports) if (named.has(other)) wanted.add(named.get(other));
  return [...wanted].reduce((sum, one) => sum + zipped(one.code), 0);
}

let failed = 0;
for (const entry of BUDGETS) {
  if (!existsSync(path.join(here, entry.source))) continue;
  const size = await sizeOf(entry);
  const isOver = size > entry.budget;
  if (isOver) failed++;
  console.log(`${entry.name.padEnd(32)} ${(size / KB).toFixed(2).padStart(6)} KB of ${entry.budget / KB}${isOver ? '  OVER BUDGET' : ''}`);
}
process.exitCode = failed ? 1 : 0;
