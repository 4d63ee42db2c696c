// SPDX-License-Identifier: Apache-2.0
// The client: puts the parts together.
import { auth as authOf } from './auth.ts';
import { choice as choiceOf } from './choice.ts';
import { commands as commandsOf, isPassing } from './commands.ts';
import { connection as connectionOf } from './connection.ts';
import { emitter } from './emitter.ts';
import { errorOf, errorOfReason, TidingsError } from './errors.ts';
import type { Rest } from './rest.ts';
import { topics as topicsOf } from './topics.ts';
import { isControl } from './transport/link.ts';
import type { LinkOptions, Message } from './transport/link.ts';
import type { Client, ClientOptions, Clock, Position, RegisteredSchema, Schema, Stop } from './types.ts';

const CLOCK: Clock = {
  now: () => performance.now(),
  setTimeout: (fn, ms) => globalThis.setTimeout(fn, ms),
  clearTimeout: timer => globalThis.clearTimeout(timer as number),
};

export function createClient<S extends Schema = RegisteredSchema>(options: ClientOptions): Client<S> {
  const clock = options.clock ?? CLOCK, random = options.random ?? Math.random;
  const WebSocket = options.WebSocket ?? globalThis.WebSocket;
  const fetch: typeof globalThis.fetch = (...given) => (options.fetch ?? globalThis.fetch)(...given);
  const log = options.log ?? (() => {});
  const path = options.path ?? '/ws', bound = path !== '/ws', isFlat = options.format === 'flat';
  const taps = emitter<['in' | 'out', string]>(guarded);
  let flatPosition: Position | undefined, session: { session?: string } = {};

  function guarded(fn: () => void) {
    try {
      fn();
    } catch (error) {
      log({ level: 'error', message: 'A handler threw.', detail: error });
      (globalThis.reportError ?? console.error)(error);
    }
  }

  function later(fn: () => void, ms: number): Stop {
    const timer = clock.setTimeout(fn, ms);
    return () => clock.clearTimeout(timer);
  }

  /** What most parts need. */
  const env = { options, clock, random, later, guarded, log };

  async function urls(): Promise<LinkOptions['url']> {
    const text = typeof options.url === 'function' ? await options.url() : options.url;
    const base = new URL(text.replace(/^ws/, 'http') || '/', globalThis.location?.href).href.replace(/[/?#]*$/, '');
    return (where, query = {}) => {
      const url = new URL(base + where);
      for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.append(name, String(value));
      return url;
    };
  }

  // A transport that can't be used here is not tried.
  const choice = choiceOf((options.transports ?? ['websocket', 'sse', 'longpoll'])
    .filter(name => name === 'websocket' ? WebSocket : !bound || options.fallbackTopics));
  const auth = authOf(env);

  const isOnline = () => connection.isOnline;
  const send = (command: Message) => connection.send(command);
  const commands = commandsOf({ ...env, isOnline, send });
  const topics = topicsOf({ ...env, send, nextRef: commands.nextRef, bound });
  const connection = connectionOf({
    ...env, auth, choice,
    tap: (direction, text) => taps.tell(direction, direction === 'out' ? text.replace(/("token":")[^"]*/, '$1…') : text),
    async link() {
      if (options.resume === 'session') await more();
      return {
        url: await urls(), path, clock, WebSocket, fetch, format: options.format ?? 'event', topics: options.fallbackTopics ?? [],
        since: bound ? flatPosition ?? topics.position : undefined, query: { ...options.query, ...session },
      };
    },
    online(welcome) {
      if (welcome.session) session = { session: welcome.session as string };
      rest?.online();
      topics.online(rest?.remembered);
      commands.online();
    },
    lost(reason, final) {
      rest?.lost();
      topics.lost(final);
      commands.lost(reason, final);
    },
    message(message, text) {
      const isEvent = !isControl(message);
      if (isEvent && options.onMessage) guarded(() => options.onMessage!(message));
      // A flat event is not one for topics.
      if (isFlat && (isEvent ? message.event_id && message.state !== true && !message.history : message.type === 'caught_up'))
        flatPosition = (message.event_id ?? message.position) as Position;
      if (isFlat && isEvent) return;
      topics.message(message, text.length);
      commands.message(message);
      rest?.message(message);
    },
  });

  let rest: Rest | undefined, isOpen = false;

  async function more(): Promise<Rest> {
    if (rest) return rest;
    const module = await import('./rest.ts');
    if (!rest) {
      rest = module.rest({ ...env, path, auth, connection, topics, urls, fetch, command, errorOf, TidingsError, isPassing });
      if (isOpen) rest.open();
      if (connection.isOnline) rest.online();
    }
    return rest;
  }

  function open() {
    isOpen = true;
    rest?.open();
    // What can't be loaded now is, once it is needed.
    more().catch(() => {});
    connection.open();
  }

  // Opens for the first use; throws when it was closed, or has failed.
  function begin(isNeeded: boolean) {
    const { phase, reason } = connection.state;
    if (phase === 'idle') open();
    else if (isNeeded && phase === 'failed') throw errorOfReason(reason!);
    else if (isNeeded && phase === 'closed') throw new TidingsError('closed', 'The client is closed.');
  }

  async function command(type: string, members?: Message, signal?: AbortSignal, patience?: number): Promise<Message> {
    begin(true);
    return commands.command(type, members, signal, patience);
  }

  const client: Client = {
    get state() { return connection.state; },
    watch: connection.watch,
    get id() { return connection.welcome?.connection_id as string | undefined; },
    get user() { return connection.welcome?.user as string | undefined; },
    get welcome() { return connection.welcome; },
    clock,
    open,
    close() {
      isOpen = false;
      rest?.close();
      connection.close();
    },
    reauth: async token => (await more()).reauth(token),
    switchTo(transport) {
      choice.pinned = transport === 'auto' ? undefined : transport;
      connection.anew();
    },
    topic(pattern, given) {
      const use = topics.add(pattern, given as never);
      begin(false);
      return use as never;
    },
    async publish(topic, type, data, given) {
      begin(true);
      return (await more()).publish(topic, type, data, given);
    },
    request: async (method, where, given) => (await more()).request(method, where, given),
    command,
    tap: taps.add,
  };
  return client as unknown as Client<S>;
}
