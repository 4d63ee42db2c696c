// SPDX-License-Identifier: Apache-2.0
// What goes wrong, in one form: errors that are thrown, and reasons why a connection is not there.
import type { Reason, TidingsErrorShape } from './types.ts';

export class TidingsError extends Error implements TidingsErrorShape {
  declare readonly code: string;
  declare readonly status?: number;
  declare readonly whatToDo?: string;
  /** Seconds. */
  declare readonly retryAfter?: number;
  declare readonly problem?: Record<string, unknown>;

  constructor(code: string, message: string, more?: Partial<TidingsErrorShape>) {
    super(message);
    Object.assign(this, more, { name: 'TidingsError', code });
  }
}

/** How a link ended. */
export interface Ending {
  /** A close code, an HTTP status, or 0 when it just broke. */
  code: number;
  /** What the other side said, or what happened here. */
  message?: string;
  /** In place of the code's own. */
  name?: string;
  /** Milliseconds; the server's word, which wins. */
  retryAfter?: number;
  /** It broke because the machine slept or the network went: the next try comes within a second. */
  wake?: boolean;
  /** This transport does not work here: the next one is to be taken for a while. */
  useless?: boolean;
}

// Their names by close code; of an HTTP status the answer tells it.
const NAMES: Record<number, string> = {
  0: 'network', 1001: 'draining', 1009: 'too_large', 1013: 'unavailable', 4001: 'unauthorized', 4003: 'forbidden', 4004: 'not_found',
  4008: 'timeout', 4009: 'replaced', 4029: 'rate_limited',
};

/** What follows; `used`: it is tried again when the page is used again. */
export type Action = 'retry' | 'token' | 'never' | 'used';

const WHAT_TO_DO: Record<Action, string> = {
  retry: 'Nothing: it is tried again by itself.',
  token: 'Sign in again: reauth() with another token.',
  never: 'Ask for access, or check what was asked for.',
  used: 'Use this page again, or open().',
};

export function actionOf(code: number): Action {
  if (code === 4001 || code === 401) return 'token';
  if (code === 4009) return 'used';
  return [4003, 4004, 400, 403, 404, 413].includes(code) ? 'never' : 'retry';
}

export function reasonOf({ code, name = NAMES[code] ?? 'closed', message }: Ending): Reason {
  const action = actionOf(code);
  return { code, name, message: message || `The connection ended: ${name}.`, whatToDo: WHAT_TO_DO[action], retry: action === 'retry' };
}

export function errorOfReason({ name, message, whatToDo }: Reason): TidingsError {
  return new TidingsError(name, message, { whatToDo });
}

/** From `application/problem+json`, or a `command_error`; `retryAfter` in seconds. */
export function errorOf(problem: Record<string, any>, status?: number, retryAfter = problem.retry_after): TidingsError {
  return new TidingsError(problem.code ?? 'http', problem.detail ?? problem.message ?? `HTTP ${status}`, {
    status, problem, retryAfter, whatToDo: problem.what_to_do ?? problem.suggested_actions?.[0],
  });
}
