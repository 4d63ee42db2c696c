// SPDX-License-Identifier: Apache-2.0
// Which link is the current one, and what follows when it is gone.  Each try has a number; what belongs to an older one is not
// listened to.
import type { Auth } from './auth.ts';
import { backoff as backoffOf } from './backoff.ts';
import type { Choice } from './choice.ts';
import { actionOf, reasonOf, TidingsError } from './errors.ts';
import type { Ending } from './errors.ts';
import { liveness } from './liveness.ts';
import { usedAgain } from './page.ts';
import type { Link, LinkOptions, Message, OpenLink } from './transport/link.ts';
import { websocket } from './transport/websocket.ts';
import type { ClientOptions, Clock, ConnectionState, Phase, Reason, Status, Stop, TransportName } from './types.ts';

/** A link that says nothing for so long does not work here. */
const WELCOME_MS = 5000;
const STABLE_MS = 10_000;
const STATUS: Partial<Record<Phase, Status>> = { connecting: 'connecting', online: 'connected', polling: 'connected', failed: 'error' };

export interface ConnectionDeps {
  options: ClientOptions;
  auth: Auth;
  choice: Choice;
  clock: Clock;
  random(): number;
  /** What a link needs to be opened, but for its token and what it tells. */
  link(): Promise<Omit<LinkOptions, 'token' | 'poll' | 'message' | 'heard' | 'sent' | 'end'>>;
  guarded(fn: () => void): void;
  log: NonNullable<ClientOptions['log']>;
  tap(direction: 'in' | 'out', text: string): void;
  online(welcome: Message): void;
  /** `final`: and it does not come back by itself. */
  lost(reason: Reason, final: boolean): void;
  message(message: Message, text: string): void;
}

export interface Connection {
  readonly state: ConnectionState;
  readonly welcome: Message | undefined;
  watch(fn: (state: ConnectionState) => void): Stop;
  /** Only while there is a link. */
  send(command: Message): void;
  readonly isOnline: boolean;
  open(): void;
  close(): void;
  /** Leaves the link, if any, and connects now. */
  anew(): void;
  /** What the page tells; see page.ts. */
  page(what: 'check' | 'online' | 'offline' | 'hide' | 'show'): void;
}

export function connection(d: ConnectionDeps): Connection {
  const { options, auth, choice, clock, random } = d;
  const backoff = backoffOf(options.backoff, random);
  const watchers = new Set<(state: ConnectionState) => void>();
  let link: Link | undefined, welcome: Message | undefined;
  let giveUp: Stop | undefined; // the try under way
  let number = 0, attempt = 0;
  let wanted = false, degraded = false, ordered = false, isOffline = false;
  let retryTimer: unknown, stableTimer: unknown, token: string | undefined, drainMs: number | undefined;
  let stopWaiting: Stop | undefined;

  const live = liveness({
    clock,
    send: (message: Message) => link?.send(message),
    silent: () => lose({ code: 0, name: 'timeout', message: 'Nothing was heard for too long.', wake: true }),
    measured: rtt => set(state.phase, { ...state, rtt }),
  });

  const stateOf = (phase: Phase, more: Partial<ConnectionState>, since: number): ConnectionState => ({
    phase, status: STATUS[phase] ?? 'disconnected', attempt, since,
    transport: more.transport, retryAt: more.retryAt, rtt: more.rtt, reason: more.reason,
    get lastSeen() { return live.seen; },
  });
  let state = stateOf('idle', {}, clock.now());

  function set(phase: Phase, more: Partial<ConnectionState> = {}) {
    state = stateOf(phase, more, phase === state.phase ? state.since : clock.now());
    for (const fn of [...watchers]) d.guarded(() => fn(state));
  }

  // ---- one try ----

  async function connect(only?: TransportName) {
    const mine = ++number;
    quiet();
    const isBeside = !!link; // what is polled goes on until there is better
    if (!isBeside) {
      attempt++;
      set('connecting', { reason: state.reason });
    }
    let end: Ending = { code: 0 };
    try {
      token = await auth.get();
      const common = await d.link();
      for (const name of only ? [only] : choice.names(common.base, degraded && !isBeside)) {
        if (mine !== number) return;
        d.log({ level: 'debug', message: `trying ${name}` });
        const result = await tryOne(name, mine, common);
        if (!result) return;
        end = result;
        if (actionOf(end.code) !== 'retry' || end.retryAfter !== undefined) break;
      }
    } catch (error) {
      if (mine !== number) return;
      if (error instanceof TidingsError && error.status === 401) return fail(reasonOf({ code: 4001, name: error.code, message: error.message }));
      end = { code: 0, message: String(error) };
    }
    if (mine === number) ended(end, isBeside ? 'beside' : 'try');
  }

  // Resolves with nothing once the link is the current one.
  async function tryOne(name: TransportName, mine: number, common: Awaited<ReturnType<ConnectionDeps['link']>>): Promise<Ending | undefined> {
    const open = await moduleOf(name);
    if (mine !== number) return undefined;
    return new Promise(resolve => {
      let opened: Link | undefined;
      const over = (end?: Ending) => {
        clock.clearTimeout(timer);
        giveUp = undefined;
        resolve(end);
      };
      giveUp = () => {
        opened?.close();
        over({ code: 0, name: 'timeout', message: `No answer by ${name} within 5 s.` });
      };
      const timer = clock.setTimeout(giveUp, WELCOME_MS);
      try {
        opened = open({
          ...common, token, poll: name === 'poll' ? degradeMs() : undefined,
          sent: text => d.tap('out', text),
          heard: live.heard,
          message(message, text) {
            d.tap('in', text);
            if (opened === link) return received(message, text);
            if (message.type !== 'connection' || mine !== number) return;
            over();
            adopt(opened!, name, message);
          },
          end(end) {
            if (opened === link) lose(end);
            else over(end);
          },
        });
      } catch (error) {
        over({ code: 0, message: String(error) });
      }
    });
  }

  function adopt(opened: Link, name: TransportName, message: Message) {
    if (link) drop(reasonOf({ code: 0 }), false);
    link = opened;
    welcome = message;
    attempt = 0;
    degraded = name === 'poll';
    choice.worked(name);
    auth.accept(message.token_expires_in as number | undefined);
    live.start(message.heartbeat as { interval: number; timeout: number } | undefined, name === 'websocket');
    if (!degraded) stableTimer = clock.setTimeout(backoff.reset, backoff.profile.stableAfter ?? STABLE_MS);
    // While it polls it looks now and then whether there is better.
    if (degraded && !choice.pinned) again(backoff.longest(), undefined);
    else set('online', { transport: name });
    d.online(message);
  }

  function received(message: Message, text: string) {
    live.heard(message);
    if (message.type === 'draining') drainMs = (message.retry_after as number) * 1000;
    d.message(message, text);
  }

  // ---- after it ----

  // The current link is gone.
  function lose(end: Ending) {
    if (!link) return;
    const name = state.transport!;
    if (end.code === 1001 && drainMs !== undefined) end = { ...end, retryAfter: drainMs };
    if (end.useless || (name === 'websocket' && !end.code && !end.wake && choice.dropped(clock.now() - state.since)))
      choice.avoid(name);
    quiet();
    drop(reasonOf(end), false);
    number++;
    ended(end, 'link');
  }

  function drop(reason: Reason, final: boolean) {
    live.stop();
    link?.close();
    link = welcome = drainMs = undefined;
    d.lost(reason, final);
  }

  // What ended: the link, a try to have one, or a try to have a better one.
  function ended(end: Ending, what: 'link' | 'try' | 'beside') {
    const reason = reasonOf(end), action = actionOf(end.code);
    d.log({ level: 'info', message: `connection: ${reason.message}`, detail: end });
    if (!wanted) return;
    if (what === 'beside' && action === 'retry') return again(backoff.longest(), reason);
    if (action === 'token') {
      auth.refuse(token);
      // With another token at once, unless connections like that keep ending.
      return again(what === 'link' && backoff.tries ? backoff.failed() ?? backoff.longest() : 0, reason);
    }
    if (action !== 'retry') {
      fail(reason);
      if (action === 'used') stopWaiting = usedAgain(open);
      return;
    }
    ordered = end.retryAfter !== undefined;
    const isFirst = !backoff.tries;
    let wait = backoff.failed(end.retryAfter, reason.name === 'rate_limited');
    if (wait === undefined) {
      if (options.degrade === false) return fail({ ...reason, whatToDo: 'Try again later: open().' });
      if (!degraded) {
        degraded = true;
        return void connect('poll');
      }
      wait = backoff.longest();
    }
    again(end.wake && isFirst ? random() * 1000 : wait, reason);
  }

  // Connects in so many milliseconds.
  function again(ms: number, reason: Reason | undefined) {
    quiet();
    if (!ms) return void connect();
    retryTimer = clock.setTimeout(() => connect(), ms);
    const retryAt = clock.now() + ms;
    if (link) set('polling', { transport: 'poll', retryAt, reason });
    else set(isOffline ? 'offline' : 'waiting', { retryAt, reason });
  }

  function fail(reason: Reason) {
    quiet();
    number++;
    wanted = false;
    drop(reason, true);
    set('failed', { reason: { ...reason, retry: false } });
  }

  function quiet() {
    giveUp?.();
    for (const timer of [retryTimer, stableTimer]) clock.clearTimeout(timer);
    stopWaiting?.();
    stopWaiting = undefined;
  }

  function open() {
    if (wanted) return;
    wanted = true;
    backoff.reset();
    attempt = 0;
    degraded = false;
    connect();
  }

  // Until it is opened, or waits, again.
  function leave(final: boolean) {
    number++;
    quiet();
    drop(reasonOf({ code: 0, name: 'closed', message: 'It was closed here.' }), final);
  }

  const degradeMs = () => (options.degrade || { poll: 30_000 }).poll;

  function hasten() {
    if (link || !wanted || ordered || state.retryAt === undefined) return;
    again(1 + random() * 999, state.reason);
  }

  return {
    get state() { return state; },
    get welcome() { return welcome; },
    get isOnline() { return !!link; },
    watch(fn) {
      const one = (next: ConnectionState) => fn(next);
      watchers.add(one);
      return () => { watchers.delete(one); };
    },
    send: command => link?.send(command),
    open,
    close() {
      wanted = false;
      leave(true);
      set('closed');
    },
    anew() {
      leave(false);
      wanted = true;
      backoff.reset();
      degraded = false;
      connect();
    },
    page(what) {
      if (what === 'hide') {
        leave(false);
        if (wanted) set('waiting', { reason: state.reason });
      } else if (what === 'show' && wanted && !link && state.retryAt === undefined && state.phase === 'waiting') {
        connect();
      } else {
        if (what === 'offline') isOffline = true;
        else if (what === 'online') isOffline = false;
        live.check(what === 'offline');
        if (what !== 'offline') hasten();
      }
    },
  };
}

async function moduleOf(name: TransportName): Promise<OpenLink> {
  if (name === 'websocket') return websocket;
  if (name === 'sse') return (await import('./transport/sse.ts')).sse;
  return (await import('./transport/longpoll.ts')).longpoll;
}
