// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
// What the documentation shows compiles as it stands there, and names properties and labels that there are.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import * as ui from '../src/index.ts';

const PACKAGE = path.resolve(import.meta.dirname, '..');
const BUILD = path.resolve(PACKAGE, '../../build');
mkdirSync(BUILD, { recursive: true });
const directory = mkdtempSync(path.join(BUILD, 'ui-docs-'));
afterAll(() => rmSync(directory, { recursive: true }));

const read = (file: string): string => readFileSync(path.join(PACKAGE, file), 'utf8');
const docs = read('../../docs/ui.md');

function errorsIn(project: string): string {
  try {
    execFileSync(process.execPath, [path.resolve(PACKAGE, '../../node_modules/typescript/bin/tsc'), '-p', project], { encoding: 'utf8' });
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

test('the examples compile', { timeout: 120_000 }, () => {
  const all = [read('README.md'), docs].flatMap(text => [...text.matchAll(/^```tsx\n(.*?)^```$/gms)].map(match => match[1]!));
  expect(all.length).toBeGreaterThan(7);
  // Which fails too when nothing is found wrong with this.
  all.push("import { JobProgress } from '@tidings/ui';\n// @ts-expect-error: a job, or its state\nexport const x = <JobProgress />;\n");
  const files = all.map((code, i) => {
    writeFileSync(path.join(directory, `example${i}.tsx`), code);
    return `example${i}.tsx`;
  });
  writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify({ extends: path.resolve(PACKAGE, '../tsconfig.base.json'), files }));
  expect(errorsIn(directory)).toBe('');
});

test('a page that registers a schema has its names checked', { timeout: 120_000 }, () => {
  const inner = mkdtempSync(path.join(directory, 'schema-'));
  writeFileSync(path.join(inner, 'page.tsx'), `
    import { ConflictBanner, JobProgress, LiveUpdateToasts, StaleNotice } from '@tidings/ui';
    import { useEdit } from '@tidings/react';
    interface Schema { entities: { sheets: { name: string } }; jobs: { count: { params: { upTo: number }; result: { sum: number } } } }
    declare module '@tidings/client' { interface Register { schema: Schema } }
    export const Page = () => <><LiveUpdateToasts types={['sheets']} /><StaleNotice types={['sheets']} /><JobProgress id="j" />
      <ConflictBanner edit={useEdit({ type: 'sheets', id: '1' })} names={{ name: 'Name' }} />
      {/* @ts-expect-error: there is no such type */}
      <LiveUpdateToasts types={['sheetz']} /></>;`);
  writeFileSync(path.join(inner, 'tsconfig.json'), JSON.stringify({ extends: path.resolve(PACKAGE, '../tsconfig.base.json'), files: ['page.tsx'] }));
  expect(errorsIn(inner)).toBe('');
});

test('each component and each label is told of, and each custom property that is told of is there', () => {
  for (const name of Object.keys(ui).filter(key => /^[A-Z]/.test(key))) expect(docs, name).toContain(name);
  const css = read('src/styles.css');
  for (const [, property] of docs.matchAll(/`(--td-[\w-]+)`/g)) expect(css, property).toContain(`${property}:`);
});
