// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
// What a page that uses all of it loads: minified and compressed, without React and the other packages.
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { expect, it } from 'vitest';

it('weighs less than 14 KB', async () => {
  const built = await build({
    configFile: false, root: path.join(import.meta.dirname, '..'), logLevel: 'error',
    // vitest says that this is no production, in which JSX says where it stands.
    oxc: { jsx: { runtime: 'automatic', development: false } },
    build: {
      write: false, target: 'es2022', lib: { entry: 'src/index.ts', formats: ['es'] },
      rolldownOptions: { external: id => /^(@tidings\/|react)/.test(id), output: { minify: true } },
    },
  }) as Rolldown.RolldownOutput[];
  const [chunk] = built[0]!.output;
  const size = gzipSync(chunk.code, { level: 9 }).length;
  console.log(`@tidings/ui: ${size} bytes gzip`);
  expect(size).toBeLessThan(14 * 1024);
}, 60_000);
