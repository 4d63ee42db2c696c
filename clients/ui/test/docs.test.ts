// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
// What the documentation shows compiles as it stands there, and names properties and labels that there are.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { errorsOf, examplesIn } from '../../examples.ts';
import * as ui from '../src/index.ts';

const read = (file: string): string => readFileSync(path.join(import.meta.dirname, '..', file), 'utf8');
const docs = read('../../docs/ui.md');

test('the examples compile', { timeout: 120_000 }, () => {
  const all = examplesIn(['ui/README.md', '../README.md', '../docs/ui.md'], 'tsx');
  expect(all.length).toBeGreaterThan(8);
  // Which fails too when nothing is found wrong with this.
  const wrong = "import { JobProgress } from '@tidings/ui';\n// @ts-expect-error: a job, or its state\nexport const x = <JobProgress />;\n";
  expect(errorsOf([...all, wrong], 'tsx')).toBe('');
});

test('a page that registers a schema has its names checked', { timeout: 120_000 }, () => {
  const page = `
    import { ConflictBanner, JobProgress, LiveUpdateToasts, StaleNotice } from '@tidings/ui';
    import { useEdit } from '@tidings/react';
    interface Schema { entities: { sheets: { name: string } }; jobs: { count: { params: { upTo: number }; result: { sum: number } } } }
    declare module '@tidings/client' { interface Register { schema: Schema } }
    export const Page = () => <><LiveUpdateToasts types={['sheets']} /><StaleNotice types={['sheets']} /><JobProgress id="j" />
      <ConflictBanner edit={useEdit({ type: 'sheets', id: '1' })} names={{ name: 'Name' }} />
      {/* @ts-expect-error: there is no such type */}
      <LiveUpdateToasts types={['sheetz']} /></>;`;
  expect(errorsOf([page], 'tsx')).toBe('');
});

test('each component and each label is told of, and each custom property that is told of is there', () => {
  for (const name of Object.keys(ui).filter(key => /^[A-Z]/.test(key))) expect(docs, name).toContain(name);
  const css = read('src/styles.css');
  for (const [, property] of docs.matchAll(/`(--td-[\w-]+)`/g)) expect(css, property).toContain(`${property}:`);
});
