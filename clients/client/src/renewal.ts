// SPDX-License-Identifier: Apache-2.0
// Another token before the one in use ends.
import type { TidingsError } from './errors.ts';
import type { Core } from './rest.ts';
import type { Stop } from './types.ts';

const RETRY_MS = 5000, RETRY_SPREAD_MS = 10_000;
/** Timers can't be set for longer; who renews earlier does no harm. */
const TIMER_MAX_MS = 0x7fffffff;

export interface Renewal {
  /** The connection has a token whose end is known; or none. */
  plan(): void;
  stop(): void;
  /** Asks for another one, and shows it. */
  renew(): Promise<void>;
  /** Shows a token to the server, over the open connection if that will do. */
  present(token: string): Promise<void>;
}

export function renewal(d: Core): Renewal {
  const { auth, connection } = d;
  let stop: Stop | undefined;

  function plan(atLeast = 0) {
    stop?.();
    const left = auth.untilRenewal();
    if (left !== undefined && connection.isOnline) stop = d.later(renew, Math.min(Math.max(left, atLeast), TIMER_MAX_MS));
  }

  async function renew() {
    try {
      const token = await auth.renew();
      // A connection that ended meanwhile comes back with it, if it does, in its own time.
      if (token !== undefined && connection.isOnline) await present(token);
    } catch (detail) {
      d.log({ level: 'warn', message: 'The token was not renewed.', detail });
      // Until it ends there is time to ask again; then the server says so, and that decides.
      plan(RETRY_MS + d.random() * RETRY_SPREAD_MS);
    }
  }

  async function present(token: string) {
    if (!connection.isOnline || d.options.refresh === 'reconnect') return connection.anew();
    try {
      const answer = await d.command('auth', { token });
      auth.accept(answer.expires_in as number | undefined);
      plan();
    } catch (error) {
      const { code } = error as TidingsError;
      // Of somebody else: the connection has to be his.
      if (code === 'forbidden') return connection.anew();
      if (code === 'unauthorized' || code === 'token_expired') auth.refuse(token);
      throw error;
    }
  }

  return { plan: () => plan(), stop: () => stop?.(), renew, present };
}
