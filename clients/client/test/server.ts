// SPDX-License-Identifier: Apache-2.0
// The real server, for tests which say more against it.  TIDINGS names the binary.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';
// @ts-expect-error: it is plain JavaScript
import { Server } from '../../../tests/browser/server.js';

export interface RealServer {
  readonly url: string;
  readonly port: number;
  readonly token: string;
  up(port?: number): Promise<void>;
  stop(signal?: string): Promise<void>;
  kill9(): Promise<void>;
  publish(events: object[]): Promise<string[]>;
  publishWhileAway(events: object[]): Promise<string[]>;
  sign(sub: string, ...options: string[]): string;
}

/** Whether it was built: a checkout in which only the packages are worked on has none. */
export const isBuilt = existsSync(process.env.TIDINGS ?? path.resolve(import.meta.dirname, '../../../build/release/tidings'));

/** For the time of the test that calls it. */
export async function realServer(...options: string[]): Promise<RealServer> {
  const server = await Server.start(options);
  onTestFinished(() => server.done());
  return server;
}
