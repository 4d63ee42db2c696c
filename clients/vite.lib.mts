// SPDX-License-Identifier: Apache-2.0
// How every package here is built and tested: each entry of its `exports` becomes one ES module in dist/, and what it imports
// from other packages stays an import.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from 'vite';

// The configuration of the package in `directory`; `environment` is where its tests run.
export function library(directory: string, environment: 'node' | 'jsdom' = 'node') {
  const manifest = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'));
  const sources = Object.values(manifest.exports as Record<string, { source: string }>)
    .map(entry => entry.source).filter(source => source.endsWith('.ts'));
  return defineConfig({
    root: directory,
    resolve: { conditions: ['source', 'module', 'browser', 'development|production'] },
    ssr: { resolve: { conditions: ['source', 'module', 'node', 'development|production'] } },
    build: {
      target: 'es2022',
      minify: false,
      sourcemap: true,
      lib: {
        entry: Object.fromEntries(sources.map(source => [path.basename(source, '.ts'), path.join(directory, source)])),
        formats: ['es'],
      },
      rolldownOptions: { external: id => /^(@tidings\/|@tanstack\/|react$|react\/|react-dom)/.test(id) },
    },
    // Node 20 has a WebSocket only when asked for it.
    test: { environment, include: ['test/**/*.test.{ts,tsx}'], testTimeout: 10_000, execArgv: ['--experimental-websocket'] },
  } as Parameters<typeof defineConfig>[0]);
}
