// SPDX-License-Identifier: Apache-2.0
// The token: which one counts, and when another is asked for.
import { TidingsError } from './errors.ts';
import type { ClientOptions, Clock } from './types.ts';

export interface Auth {
  /** The token to send now; undefined when the cookie speaks. A TidingsError says that there is none to be had. */
  get(): Promise<string | undefined>;
  /** Asks for another one, although the one in use is still good. Undefined: there is nobody to ask. */
  renew(): Promise<string | undefined>;
  /** The one to send from now on. */
  set(token: string): void;
  /** The server refused this one: it is not sent again. */
  refuse(token: string | undefined): void;
  /** The server took the one in use, and says for how many seconds. */
  accept(expiresIn?: number): void;
  /** Milliseconds until another should be asked for; undefined when never. */
  untilRenewal(): number | undefined;
}

type Why = 'first' | 'expiring' | 'rejected';

export function auth(option: ClientOptions['token'], clock: Clock, random: () => number): Auth {
  let current = typeof option === 'string' ? option : undefined;
  let refused: string | undefined, isRefused = false, strikes = 0;
  let expiresAt = Infinity, life = 0;
  let asking: Promise<string | undefined> | undefined;

  const fatal = (code: string, message: string) => {
    throw new TidingsError(code, message, { status: 401, whatToDo: 'Sign in again: reauth() with another token.' });
  };

  function take(token: string | undefined | null): string | undefined {
    if (token === null) return fatal('signed_out', 'There is no token: nobody is signed in.');
    if (isRefused && token === refused) return fatal('unauthorized', 'The server refused this token, and there is no other.');
    if (token !== current) expiresAt = Infinity;
    return current = token;
  }

  // One question at a time, whoever asks.
  async function ask(why: Why): Promise<string | undefined> {
    if (why === 'rejected' && strikes > 1) return fatal('unauthorized', 'The server refused two different tokens.');
    if (typeof option !== 'function') return take(current);
    return asking ??= (async () => {
      const control = new AbortController();
      const timer = clock.setTimeout(() => control.abort(), 30_000);
      try {
        const aborted = new Promise<never>((_, reject) => {
          control.signal.onabort = () => reject(new TidingsError('timeout', 'The token was not given in 30 s.'));
        });
        return take(await Promise.race([option(why, { signal: control.signal }), aborted]));
      } finally {
        clock.clearTimeout(timer);
        asking = undefined;
      }
    })();
  }

  return {
    get() {
      if (isRefused && current === refused) return ask('rejected');
      if (current === undefined) return ask('first');
      return clock.now() > expiresAt - 5000 ? ask('expiring') : Promise.resolve(current);
    },
    async renew() {
      return typeof option === 'function' ? ask('expiring') : undefined;
    },
    set(token) {
      strikes = 0;
      expiresAt = Infinity;
      current = token;
    },
    refuse(token) {
      if (isRefused && token === refused) return;
      refused = token;
      isRefused = true;
      strikes++;
    },
    accept(expiresIn) {
      strikes = 0;
      isRefused = false;
      life = (expiresIn ?? Infinity) * 1000;
      expiresAt = clock.now() + life;
    },
    untilRenewal() {
      if (typeof option !== 'function' || expiresAt === Infinity) return undefined;
      // A minute or a tenth of its life before the end, half of it at most; not all clients at once.
      const lead = Math.min(Math.max(60_000, life / 10), life / 2);
      return Math.max(0, expiresAt - clock.now() - lead * (1 - random() / 5));
    },
  };
}
