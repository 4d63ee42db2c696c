// SPDX-License-Identifier: Apache-2.0
// For tests: what documentation shows is compiled as it stands there, by the compiler's rules of the packages.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const CLIENTS = import.meta.dirname;

/** The fenced blocks of a language in files of `clients/`, which are named from there. */
export function examplesIn(files: string[], language: 'ts' | 'tsx'): string[] {
  const fenced = new RegExp('^```' + language + '\\n(.*?)^```$', 'gms');
  return files.flatMap(file => [...readFileSync(path.join(CLIENTS, file), 'utf8').matchAll(fenced)].map(match => match[1]!));
}

/** What the compiler says of these, each a file of one program; nothing when all is well. */
export function errorsOf(codes: string[], language: 'ts' | 'tsx'): string {
  const build = path.resolve(CLIENTS, '../build');
  mkdirSync(build, { recursive: true });
  const directory = mkdtempSync(path.join(build, 'examples-'));
  const files = codes.map((code, i) => {
    writeFileSync(path.join(directory, `example${i}.${language}`), code);
    return `example${i}.${language}`;
  });
  writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify({ extends: path.join(CLIENTS, 'tsconfig.base.json'), files }));
  try {
    execFileSync(process.execPath, [path.resolve(CLIENTS, '../node_modules/typescript/bin/tsc'), '-p', directory], { encoding: 'utf8' });
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
