// SPDX-License-Identifier: Apache-2.0
export { createClient } from './client.ts';
export { TidingsError } from './errors.ts';
export { isPattern, matches } from './match.ts';
export type * from './types.ts';
