// SPDX-License-Identifier: Apache-2.0
export { FakeClock } from './clock.ts';
export type { JobFailure, KindOptions, TestJob } from './jobs.ts';
export type { Stored } from './log.ts';
export { createTestServer, TestServer } from './server.ts';
export type { Fault, PublishOptions, TestConnection, TestRequest, TokenOptions } from './server.ts';
