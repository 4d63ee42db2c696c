// SPDX-License-Identifier: Apache-2.0
// The token: which one counts, and when another is asked for.
import { TidingsError } from './errors.ts';
import type { ClientOptions, Clock, Stop } from './types.ts';

const PATIENCE_MS = 30_000, MARGIN_MS = 5000;

export interface AuthDeps {
  options: Pick<ClientOptions, 'token'>;
  clock: Clock;
  random(): number;
  later(fn: () => void, ms: number): Stop;
}

export interface Auth {
  /** The token to send now; undefined when the cookie speaks. A TidingsError with status 401: there is none to be had. */
  get(): Promise<string | undefined>;
  /** Asks for another one, although the one in use is still good. Undefined: there is nobody to ask. */
  renew(): Promise<string | undefined>;
  /** The one to send from now on, whatever was asked for; undefined: the cookie may be another one. Refusals are counted anew. */
  set(token: string | undefined): void;
  /** Who was asked need not answer any more. */
  forget(): void;
  /** The server refused this one: it is not sent again. */
  refuse(token: string | undefined): void;
  /** The server took a token, the one in use unless said, and may say for how many seconds. */
  accept(expiresIn?: number, token?: string): void;
  /** Milliseconds until another should be asked for; undefined when never. */
  untilRenewal(): number | undefined;
}

export function auth({ options: { token: option }, clock, random, later }: AuthDeps): Auth {
  const giver = typeof option === 'function' ? option : undefined;
  let current = giver ? undefined : option as string | undefined;
  /** What was refused lately (undefined: the cookie), and how many in a row. */
  let refused: (string | undefined)[] = [], strikes = 0;
  let expiresAt = Infinity, life = 0;
  let asking: Promise<string | undefined> | undefined, question: AbortController | undefined;

  function take(token: string | undefined | null): string | undefined {
    if (token === null) throw new TidingsError('signed_out', 'Nobody is signed in.', { status: 401 });
    if (strikes > 1 || refused.includes(token))
      throw new TidingsError('unauthorized', 'The server refused the token.', { status: 401 });
    if (token !== current) expiresAt = Infinity;
    return current = token;
  }

  async function ask(why: 'first' | 'expiring' | 'rejected'): Promise<string | undefined> {
    if (!giver || strikes > 1) return take(current);
    const control = question = new AbortController(), { signal } = control;
    const stop = later(() => control.abort(new TidingsError('timeout', 'No token came.')), PATIENCE_MS);
    return take(await new Promise<string | null>((resolve, reject) => {
      signal.onabort = () => reject(signal.reason);
      Promise.resolve(giver(why, control)).then(resolve, reject);
    }).finally(stop));
  }

  // One question at a time, whoever asks.
  const once = (why: Parameters<typeof ask>[0]) => asking ??= ask(why).finally(() => { asking = undefined; });

  function forget() {
    question?.abort(new TidingsError('aborted', 'Given up.'));
    asking = undefined;
  }

  return {
    async get() {
      if (refused.includes(current)) return once('rejected');
      if (current === undefined) return once('first');
      return giver && clock.now() > expiresAt - MARGIN_MS ? once('expiring') : current;
    },
    renew: async () => giver && once('expiring'),
    set(token) {
      strikes = 0;
      refused = refused.filter(Boolean);
      if (token === undefined) return;
      forget();
      expiresAt = Infinity;
      current = token;
    },
    forget,
    refuse(token) {
      if (refused.includes(token)) return;
      strikes++;
      refused.push(token);
    },
    accept(expiresIn, token = current) {
      if (refused.includes(token)) return;
      strikes = 0;
      refused = [];
      if (expiresIn === undefined) return;
      life = expiresIn * 1000;
      expiresAt = clock.now() + life;
    },
    untilRenewal() {
      if (!giver || expiresAt === Infinity) return undefined;
      // A minute or a tenth of its life before the end, half of it at most; not all clients at once.
      const lead = Math.min(Math.max(60_000, life / 10), life / 2);
      return Math.max(0, expiresAt - clock.now() - lead * (1 - random() / 5));
    },
  };
}
