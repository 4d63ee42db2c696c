// SPDX-License-Identifier: Apache-2.0
// Which link is the current one, and what follows when it is gone.  Each try has a number; what belongs to an older one is not
// listened to.
import type { Auth } from './auth.ts';
import { backoff as backoffOf } from './backoff.ts';
import type { Choice } from './choice.ts';
import { emitter } from './emitter.ts';
import type { Guarded } from './emitter.ts';
import { actionOf, reasonOf, TidingsError } from './errors.ts';
import type { Ending } from './errors.ts';
import { liveness } from './liveness.ts';
import type { PageEvent } from './page.ts';
import { isControl } from './transport/link.ts';
import type { Link, LinkOptions, Message, OpenLink } from './transport/link.ts';
import { websocket } from './transport/websocket.ts';
import type { ClientOptions, Clock, ConnectionState, Phase, Reason, Status, Stop, TransportName } from './types.ts';

/** A link that says nothing for so long does not work here. */
const WELCOME_MS = 5000;
const STABLE_MS = 10_000;
/** What comes back at once comes spread over so much. */
const SPREAD_MS = 1000;
const STATUS: Partial<Record<Phase, Status>> = { connecting: 'connecting', online: 'connected', polling: 'connected', failed: 'error' };

export interface ConnectionDeps {
  options: ClientOptions;
  auth: Auth;
  choice: Choice;
  clock: Clock;
  random(): number;
  later(fn: () => void, ms: number): Stop;
  guarded: Guarded;
  log: NonNullable<ClientOptions['log']>;
  /** What a link needs to be opened, but for its token and what it tells. */
  link(): Promise<Omit<LinkOptions, 'token' | 'poll' | 'message' | 'heard' | 'sent' | 'end'>>;
  tap(direction: 'in' | 'out', text: string): void;
  online(welcome: Message): void;
  /** `final`: and it does not come back by itself. */
  lost(reason: Reason, final: boolean): void;
  message(message: Message, text: string): void;
}

export interface Connection {
  readonly state: ConnectionState;
  readonly welcome: Message | undefined;
  readonly isOnline: boolean;
  watch(fn: (state: ConnectionState) => void): Stop;
  /** Only while there is a link. */
  send(command: Message): void;
  open(): void;
  close(): void;
  /** Leaves the link, if any, and connects now. */
  anew(): void;
  /** What the page tells; see page.ts. */
  page(what: PageEvent): void;
}

export function connection(d: ConnectionDeps): Connection {
  const { options, auth, choice, clock, random, later } = d;
  const backoff = backoffOf(options.backoff, random);
  const watchers = emitter<[ConnectionState]>(d.guarded);
  let link: Link | undefined, welcome: Message | undefined, token: string | undefined, drainMs: number | undefined;
  let number = 0, attempt = 0;
  /**
   * It is to be open; it polls for want of better; the server said when to come; the browser says that there is no network; a newer
   * connection took its place, and it comes back when somebody turns to this page.
   */
  let wanted = false, degraded = false, ordered = false, isOffline = false, isReplaced = false;
  /** What ends the try under way, the wait for the next one, and what else has begun and is not to go on. */
  let stops: Stop[] = [];

  const live = liveness({
    clock, later,
    send: message => link?.send(message),
    silent: () => lose({ code: 0, name: 'timeout', wake: true }),
    measured: rtt => set(state.phase, { ...state, rtt }),
  });

  const stateOf = (phase: Phase, since: number, { transport, retryAt, rtt, reason }: Partial<ConnectionState>): ConnectionState => ({
    phase, status: STATUS[phase] ?? 'disconnected', attempt, since, transport, retryAt, rtt, reason,
    get lastSeen() { return live.seen; },
  });
  let state = stateOf('idle', clock.now(), {});

  function set(phase: Phase, more: Partial<ConnectionState> = {}) {
    state = stateOf(phase, phase === state.phase ? state.since : clock.now(), more);
    watchers.tell(state);
  }

  // ---- one try ----

  async function connect(only?: TransportName) {
    quiet();
    const mine = ++number, isBeside = !!link; // what is polled goes on until there is better
    if (!isBeside) {
      attempt++;
      set('connecting', { reason: state.reason });
    }
    let end: Ending | undefined = { code: 0 };
    try {
      const given = await auth.get();
      if (mine !== number) return;
      token = given;
      const common = await d.link(), names = choice.names(common.url('').origin);
      if (degraded && !isBeside && !choice.pinned) names.push('poll');
      for (const name of only ? [only] : names) {
        if (mine !== number) return;
        d.log({ level: 'debug', message: `trying ${name}` });
        end = await tryOne(name, mine, common).catch(error => ({ code: 0, message: String(error) }));
        if (!end || actionOf(end.code) !== 'retry' || end.retryAfter !== undefined) break;
      }
    } catch (error) {
      end = { code: 0, message: String(error) };
      if (error instanceof TidingsError && error.status === 401 && mine === number)
        return fail(reasonOf({ code: 4001, name: error.code, message: error.message }));
    }
    if (end && mine === number) ended(end, isBeside ? 'beside' : 'try');
  }

  type Common = Awaited<ReturnType<ConnectionDeps['link']>>;

  // Resolves with nothing once the link is the current one.
  async function tryOne(name: TransportName, mine: number, common: Common): Promise<Ending | undefined> {
    const open: OpenLink = name === 'websocket' ? websocket : (await import('./transport/fallback.ts'))[name];
    if (mine !== number) return undefined;
    return new Promise(resolve => {
      const over = (end?: Ending) => {
        stop();
        resolve(end);
      };
      const giveUp = () => {
        opened.close();
        over({ code: 0, name: 'timeout', message: `No answer by ${name}.` });
      };
      const opened = open({
        ...common, token, poll: name === 'poll' ? pollMs() : undefined,
        sent: text => d.tap('out', text),
        heard: live.heard,
        message(message, text) {
          d.tap('in', text);
          if (opened === link) {
            live.heard(message);
            if (message.type === 'draining' && isControl(message)) drainMs = message.retry_after as number * 1000;
            d.message(message, text);
          } else if (message.type === 'connection') {
            over();
            adopt(opened, name, message);
          }
        },
        end(end) {
          if (opened === link) lose(end);
          else over(end);
        },
      });
      const stop = later(giveUp, WELCOME_MS);
      stops.push(giveUp);
    });
  }

  function adopt(opened: Link, name: TransportName, message: Message) {
    stops = [];
    if (link) drop(reasonOf({ code: 0 }), false);
    link = opened;
    welcome = message;
    attempt = 0;
    degraded = name === 'poll';
    choice.worked(name);
    auth.accept(message.token_expires_in as number | undefined);
    live.start(message.heartbeat as never, name === 'websocket');
    if (!degraded) stops = [later(backoff.reset, backoff.profile.stableAfter ?? STABLE_MS)];
    // While it polls it looks now and then whether there is better.
    if (degraded && !choice.pinned) again(backoff.longest());
    else set(degraded ? 'polling' : 'online', { transport: name });
    d.online(message);
  }

  // ---- after it ----

  // The current link is gone.
  function lose(end: Ending) {
    if (!link) return;
    const name = state.transport!;
    end.retryAfter ??= drainMs;
    if (end.useless || (name === 'websocket' && !end.code && !end.wake && choice.dropped(clock.now() - state.since))) choice.avoid(name);
    leave(end, false);
    ended(end, 'link');
  }

  function drop(reason: Reason, final: boolean) {
    live.stop();
    link?.close();
    link = welcome = drainMs = undefined;
    d.lost(reason, final);
  }

  // Until it waits, or is opened, again.
  function leave(end: Ending, final: boolean) {
    number++;
    quiet();
    drop(reasonOf(end), final);
  }

  // What ended: the link, a try to have one, or a try to have a better one.
  function ended(end: Ending, what: 'link' | 'try' | 'beside') {
    const reason = reasonOf(end), action = actionOf(end.code);
    d.log({ level: 'info', message: `connection: ${reason.message}`, detail: end });
    const isFirst = !backoff.tries;
    if (action === 'token') {
      auth.refuse(token);
      // With another token at once, unless connections like that keep ending.
      const wait = what === 'link' ? backoff.failed() ?? backoff.longest() : 0;
      return again(isFirst ? 0 : wait, reason);
    }
    if (action !== 'retry') {
      fail(reason);
      isReplaced = action === 'used';
      return;
    }
    if (what === 'beside') return again(backoff.longest(), reason);
    ordered = end.retryAfter !== undefined;
    let wait = backoff.failed(end.retryAfter, reason.name === 'rate_limited');
    if (wait === undefined) {
      if (options.degrade === false) return fail({ ...reason, whatToDo: 'Try again later: open().' });
      if (!degraded) {
        degraded = true;
        return void connect('poll');
      }
      wait = backoff.longest();
    }
    again(end.wake && isFirst ? random() * SPREAD_MS : wait, reason);
  }

  // Connects in so many milliseconds.
  function again(ms: number, reason?: Reason) {
    quiet();
    if (!ms) return void connect();
    stops = [later(connect, ms)];
    set(link ? 'polling' : isOffline ? 'offline' : 'waiting', { transport: link && 'poll', retryAt: clock.now() + ms, reason });
  }

  function fail(reason: Reason) {
    wanted = false;
    leave(reason, true);
    set('failed', { reason: { ...reason, retry: false } });
  }

  function quiet() {
    for (const stop of stops.splice(0)) stop();
  }

  function open() {
    if (!wanted) anew();
  }

  function anew() {
    if (link) leave({ code: 0, name: 'closed' }, false);
    wanted = true;
    degraded = isReplaced = false;
    attempt = 0;
    backoff.reset();
    connect();
  }

  const pollMs = () => (options.degrade || { poll: 30_000 }).poll;

  return {
    get state() { return state; },
    get welcome() { return welcome; },
    get isOnline() { return !!link; },
    watch: watchers.add,
    send: command => link?.send(command),
    open,
    anew,
    close() {
      wanted = isReplaced = false;
      auth.forget();
      leave({ code: 1000, name: 'closed' }, true);
      set('closed');
    },
    page(what) {
      if (what === 'used') isReplaced && open();
      if (!wanted || what === 'used') return;
      if (what === 'hide') {
        leave({ code: 0, name: 'hidden' }, false);
        set('waiting', { reason: state.reason });
      } else if (what === 'show') {
        if (state.phase === 'waiting' && !state.retryAt) connect();
      } else {
        isOffline = what === 'offline' || (what !== 'online' && isOffline);
        live.check(isOffline);
        // Something has changed: it is worth a try, unless the server said when.
        if (!link && state.retryAt && !ordered && what !== 'offline') again(1 + random() * SPREAD_MS, state.reason);
      }
    },
  };
}
