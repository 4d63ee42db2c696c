// SPDX-License-Identifier: Apache-2.0
// What goes wrong, in one form: errors that are thrown, and reasons why a connection is not there.
import type { Reason, TidingsErrorShape } from './types.ts';

export class TidingsError extends Error implements TidingsErrorShape {
  readonly code: string;
  readonly status?: number;
  readonly whatToDo?: string;
  /** Seconds. */
  readonly retryAfter?: number;
  readonly problem?: Record<string, unknown>;

  constructor(code: string, message: string, more: Partial<TidingsErrorShape> = {}) {
    super(message);
    this.name = 'TidingsError';
    this.code = code;
    const { status, whatToDo, retryAfter, problem } = more;
    Object.assign(this, { status, whatToDo, retryAfter, problem });
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

const BY_ITSELF = 'Nothing: it is tried again by itself.';
const NEW_TOKEN = 'Sign in again: reauth() with another token.';

// Code: name, message, what to do, and whether it comes back by itself.
const REASONS: Record<number, [string, string, string, boolean]> = {
  0: ['network', 'The connection broke.', BY_ITSELF, true],
  1001: ['draining', 'The server is stopping.', BY_ITSELF, true],
  1009: ['too_large', 'Too much was sent at once.', 'Send less.', true],
  1013: ['unavailable', 'The server cannot serve now.', BY_ITSELF, true],
  4001: ['unauthorized', 'The token is not valid, or has expired.', NEW_TOKEN, false],
  4003: ['forbidden', 'This is not granted to you.', 'Ask for access.', false],
  4004: ['not_found', 'There is no such thing, or it is not yours to see.', 'Check what was asked for.', false],
  4008: ['timeout', 'Nothing was heard for too long.', BY_ITSELF, true],
  4009: ['replaced', 'A newer connection of yours took the place of this one.', 'Use this page again, or open().', false],
  4029: ['rate_limited', 'Too much was asked in too short a time.', BY_ITSELF, true],
};

// HTTP statuses that mean the same as a close code.
const BY_STATUS: Record<number, number> = { 401: 4001, 403: 4003, 404: 4004, 429: 4029, 503: 1013 };

/** What follows an ending of this code or status; `used`: it is tried again when the page is used again. */
export function actionOf(code: number): 'retry' | 'token' | 'never' | 'used' {
  code = BY_STATUS[code] ?? code;
  if (code === 4001) return 'token';
  if (code === 4009) return 'used';
  return code === 4003 || code === 4004 || code === 400 || code === 413 ? 'never' : 'retry';
}

export function reasonOf(end: Ending): Reason {
  const [name, message, whatToDo, retry] = REASONS[BY_STATUS[end.code] ?? end.code] ?? REASONS[0]!;
  return { code: end.code, name: end.name ?? name, message: end.message || message, whatToDo, retry };
}

/** From `application/problem+json`, or a `command_error`; `retryAfter` in seconds. */
export function errorOf(problem: Record<string, unknown>, status?: number, retryAfter?: number): TidingsError {
  const { code, detail, message, title, what_to_do, suggested_actions, retry_after } = problem as Record<string, string | undefined>;
  return new TidingsError(code ?? (status === 401 ? 'unauthorized' : 'http'), detail ?? message ?? title ?? `HTTP ${status}`, {
    status, problem, retryAfter: retryAfter ?? (retry_after as number | undefined),
    whatToDo: what_to_do ?? (suggested_actions as unknown as string[] | undefined)?.[0],
  });
}
