// SPDX-License-Identifier: Apache-2.0
// What is not needed to come online: the life of the page, another token in time, publishing, requests, positions that survive a
// reload.  The core loads it meanwhile, as one module that brings nothing of the core along.
import type { Auth } from './auth.ts';
import type { Connection } from './connection.ts';
import type { errorOf, TidingsError } from './errors.ts';
import { request } from './http.ts';
import { memory } from './memory.ts';
import { publish } from './outbox.ts';
import { watchPage } from './page.ts';
import { renewal } from './renewal.ts';
import type { Topics } from './topics.ts';
import type { LinkOptions, Message } from './transport/link.ts';
import type { Answer, ClientOptions, Clock, Position, Published, PublishOptions, RequestOptions, Stop } from './types.ts';

/** What the core has, and lends. */
export interface Core {
  options: ClientOptions;
  clock: Clock;
  random(): number;
  later(fn: () => void, ms: number): Stop;
  log: NonNullable<ClientOptions['log']>;
  path: string;
  auth: Auth;
  connection: Connection;
  topics: Topics;
  urls(): Promise<LinkOptions['url']>;
  fetch: typeof fetch;
  /** As the client's, for so many milliseconds. */
  command(type: string, members?: Message, signal?: AbortSignal, patience?: number): Promise<Message>;
  errorOf: typeof errorOf;
  TidingsError: typeof TidingsError;
  isPassing(error: unknown): boolean;
}

export interface Rest {
  /** The client was opened; also when it was already. */
  open(): void;
  close(): void;
  online(): void;
  lost(): void;
  message(message: Message): void;
  reauth(token?: string): Promise<void>;
  publish(topic: string, type: string, data: unknown, options?: PublishOptions): Promise<Published>;
  request<T>(method: string, path: string, options?: RequestOptions): Promise<Answer<T>>;
  /** Where the last page had come to, by pattern. */
  remembered?: (pattern: string) => Position | undefined;
}

export function rest(core: Core): Rest {
  const { options, auth, connection } = core;
  const waiting = new Map<Message, () => void>(), limits = { max: 100, ttl: 60_000, ...options.outbox };
  const tokens = renewal(core);
  const store = options.resume === 'session' ? memory(core) : undefined;
  let stop: Stop | undefined;

  return {
    open() {
      stop ??= watchPage(what => {
        if (what === 'hide') store?.save();
        connection.page(what);
      });
    },
    close() {
      stop?.();
      stop = undefined;
    },
    online: tokens.plan,
    lost() {
      tokens.stop();
      store?.save();
      for (const wake of waiting.values()) wake();
    },
    message(message) {
      const { control, type } = message;
      if (control && type === 'token_expiring') tokens.renew();
      if (control && type === 'state_cut')
        core.log({ level: 'warn', message: 'Not all state came: too much for a page, or not read in time. A WebSocket brings all of it.' });
      store?.saveNowAndThen();
    },
    async reauth(token) {
      auth.set(token);
      if (connection.state.phase === 'idle' || connection.state.phase === 'closed') return;
      const next = token ?? await auth.renew();
      if (next === undefined) connection.anew();
      else await tokens.present(next);
    },
    publish: (topic, type, data, given = {}) => publish(core, waiting, limits, { topic, type, data }, given),
    request: (method, path, given) => request(core, method, path, given),
    remembered: store?.of,
  };
}
