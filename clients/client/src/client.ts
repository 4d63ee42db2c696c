// SPDX-License-Identifier: Apache-2.0
// The client: puts the parts together.
import { auth as authOf } from './auth.ts';
import { choice as choiceOf } from './choice.ts';
import { commands as commandsOf } from './commands.ts';
import { connection as connectionOf } from './connection.ts';
import { TidingsError } from './errors.ts';
import { request } from './http.ts';
import { memory } from './memory.ts';
import { outbox as outboxOf } from './outbox.ts';
import { watchPage } from './page.ts';
import { topics as topicsOf } from './topics.ts';
import type { Message } from './transport/link.ts';
import type { Client, ClientOptions, Clock, Position, RegisteredSchema, Schema, Stop } from './types.ts';

/** Timers can't be set for longer. */
const TIMER_MAX_MS = 0x7fffffff;

const CLOCK: Clock = {
  now: () => performance.now(),
  setTimeout: (fn, ms) => globalThis.setTimeout(fn, Math.min(ms, TIMER_MAX_MS)),
  clearTimeout: timer => globalThis.clearTimeout(timer as number),
};

export function createClient<S extends Schema = RegisteredSchema>(options: ClientOptions): Client<S> {
  const clock = options.clock ?? CLOCK, random = options.random ?? Math.random;
  const WebSocket = options.WebSocket ?? globalThis.WebSocket;
  const fetch: typeof globalThis.fetch = (...given) => (options.fetch ?? globalThis.fetch)(...given);
  const log = options.log ?? (() => {});
  const path = options.path ?? '/ws', bound = path !== '/ws', isFlat = options.format === 'flat';
  const taps = new Set<(direction: 'in' | 'out', text: string) => void>();
  let flatPosition: Position | undefined;
  let stopPage: Stop | undefined, renewal: unknown;

  function guarded(fn: () => void) {
    try {
      fn();
    } catch (error) {
      log({ level: 'error', message: 'A handler threw.', detail: error });
      if (typeof reportError === 'function') reportError(error);
      else console.error(error);
    }
  }

  function later(fn: () => void, ms: number): Stop {
    const timer = clock.setTimeout(fn, ms);
    return () => clock.clearTimeout(timer);
  }

  async function base(): Promise<URL> {
    const text = typeof options.url === 'function' ? await options.url() : options.url;
    return new URL(text.replace(/^ws/, 'http'), globalThis.location?.href);
  }

  function tap(direction: 'in' | 'out', text: string) {
    if (!taps.size) return;
    const shown = direction === 'out' ? text.replace(/("token":")[^"]*/, '$1…') : text;
    for (const fn of [...taps]) guarded(() => fn(direction, shown));
  }

  const wantedTransports = options.transports ?? ['websocket', 'sse', 'longpoll'];
  const choice = choiceOf(wantedTransports.filter(name => name === 'websocket' || !bound || options.fallbackTopics), !!WebSocket);
  const auth = authOf(options.token, clock, random);
  const http = { auth, base, fetch };

  const connection = connectionOf({
    options, auth, choice, clock, random, guarded, log, tap,
    link: async () => ({
      base: await base(), path, clock, WebSocket, fetch, format: options.format ?? 'event', topics: options.fallbackTopics ?? [],
      since: bound ? flatPosition ?? topics.position : undefined, query: { ...options.query, ...session },
    }),
    online(welcome) {
      if (welcome.session) session = { session: welcome.session as string };
      planRenewal();
      topics.online();
      commands.online();
      outbox.online();
    },
    lost(reason, final) {
      clock.clearTimeout(renewal);
      topics.lost();
      commands.lost(reason, final);
      if (final) outbox.fail(new TidingsError(reason.name, reason.message, { whatToDo: reason.whatToDo }));
      store.save();
    },
    message(message, text) {
      const isEvent = message.control !== true;
      if (isEvent && options.onMessage) guarded(() => options.onMessage!(message));
      if (isEvent && isFlat) {
        if (message.event_id && message.state !== true && !message.history) flatPosition = message.event_id as Position;
        return;
      }
      if (message.type === 'token_expiring') renew();
      if (isFlat && message.type === 'caught_up') flatPosition = message.position as Position;
      topics.message(message, text.length);
      commands.message(message);
      store.saveNowAndThen();
    },
  });

  let session: { session?: string } = {};
  const isOnline = () => connection.isOnline;
  const commands = commandsOf({ clock, isOnline, send: connection.send });
  const outbox = outboxOf({ limits: { max: 100, ttl: 60_000, ...options.outbox }, clock, commands, isOnline });
  const store = memory({
    isOn: options.resume === 'session', clock, key: `tidings:positions:${typeof options.url === 'string' ? options.url : ''}${path}`,
    read: () => ({ position: topics.position, patterns: topics.settled() }),
  });
  const topics = topicsOf({ send: connection.send, nextRef: commands.nextRef, guarded, later, bound, remembered: store.of });

  // ---- another token, before this one ends ----

  function planRenewal(atLeast = 0) {
    clock.clearTimeout(renewal);
    const left = auth.untilRenewal();
    if (left === undefined || !isOnline()) return;
    const wait = Math.max(left, atLeast);
    renewal = clock.setTimeout(wait > TIMER_MAX_MS ? planRenewal : renew, Math.min(wait, TIMER_MAX_MS));
  }

  async function renew() {
    try {
      const token = await auth.renew();
      if (token !== undefined) await present(token);
    } catch (error) {
      log({ level: 'warn', message: 'The token was not renewed.', detail: error });
      // Until it ends there is time to ask again; then the server says so, and that decides.
      planRenewal(5000 + random() * 10_000);
    }
  }

  // Shows the token to the server, over the open connection if that will do.
  async function present(token: string) {
    if (!isOnline() || options.refresh === 'reconnect') return connection.anew();
    try {
      const answer = await commands.command('auth', { token });
      auth.accept(answer.expires_in as number | undefined);
      planRenewal();
    } catch (error) {
      const { code } = error as TidingsError;
      // Of somebody else: the connection has to be his.
      if (code === 'forbidden') return connection.anew();
      if (code === 'unauthorized' || code === 'token_expired') auth.refuse(token);
      throw error;
    }
  }

  const isOver = () => connection.state.phase === 'failed' || connection.state.phase === 'closed';

  function open() {
    stopPage ??= watchPage(what => {
      if (what === 'hide') store.save();
      connection.page(what);
    });
    connection.open();
  }

  function begin() {
    if (connection.state.phase === 'idle') open();
  }

  const over = () => new TidingsError(connection.state.reason?.name ?? 'closed', connection.state.reason?.message ?? 'The client is closed.');

  const client: Client = {
    get state() { return connection.state; },
    watch: connection.watch,
    get id() { return connection.welcome?.connection_id as string | undefined; },
    get user() { return connection.welcome?.user as string | undefined; },
    get welcome() { return connection.welcome; },
    clock,
    open,
    close() {
      stopPage?.();
      stopPage = undefined;
      connection.close();
    },
    async reauth(token) {
      if (token !== undefined) auth.set(token);
      const next = token ?? await auth.renew();
      if (next === undefined || isOver()) connection.anew();
      else await present(next);
    },
    switchTo(transport) {
      choice.pin(transport === 'auto' ? undefined : transport);
      connection.anew();
    },
    topic(pattern, given) {
      const use = topics.add(pattern, given as never);
      begin();
      return use as never;
    },
    publish(topic, type, data, given = {}) {
      begin();
      return isOver() ? Promise.reject(over()) : outbox.publish(topic, type, data, given);
    },
    request: (method, where, given) => request(http, method, where, given),
    command(type, members, signal) {
      begin();
      return isOver() ? Promise.reject(over()) : commands.command(type, members as Message, signal);
    },
    tap(fn) {
      const one: typeof fn = (direction, text) => fn(direction, text);
      taps.add(one);
      return () => { taps.delete(one); };
    },
  };
  return client as unknown as Client<S>;
}
