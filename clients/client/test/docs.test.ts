// SPDX-License-Identifier: Apache-2.0
// What is shown in the documentation is compiled as it stands there.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';

const PACKAGE = path.resolve(import.meta.dirname, '..');
const BUILD = path.resolve(PACKAGE, '../../build');
mkdirSync(BUILD, { recursive: true });
const directory = mkdtempSync(path.join(BUILD, 'client-docs-'));
afterAll(() => rmSync(directory, { recursive: true }));

function examples(file: string): string[] {
  return [...readFileSync(path.join(PACKAGE, file), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)].map(match => match[1]!);
}

function errorsOf(codes: string[]): string {
  const files = codes.map((code, i) => {
    writeFileSync(path.join(directory, `example${i}.ts`), code);
    return `example${i}.ts`;
  });
  writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify({ extends: path.resolve(PACKAGE, '../tsconfig.base.json'), files }));
  try {
    execFileSync(process.execPath, [path.resolve(PACKAGE, '../../node_modules/typescript/bin/tsc'), '-p', directory], { encoding: 'utf8' });
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

test('the examples compile', { timeout: 120_000 }, () => {
  const all = ['README.md', '../../docs/client.md', '../../docs/client-data.md', '../testing/README.md'].flatMap(examples);
  expect(all.length).toBeGreaterThan(7);
  // Which fails too when nothing is found wrong with this.
  const wrong = 'import { createClient } from "@tidings/client";\n// @ts-expect-error: a number is no URL\ncreateClient({ url: 1 });\n';
  expect(errorsOf([...all, wrong])).toBe('');
});
