// SPDX-License-Identifier: Apache-2.0
// The protocol of the WebSocket, spoken over requests: what the transports by HTTP have in common.  Commands are carried out one after
// the other; what is subscribed is read by one request, which is made anew when that changes, from where the last one had come to.
import type { Link, LinkOptions, Message, Query } from './link.ts';

/** The server takes no more in a URL, which may have 8 KiB. */
const TOPICS_MAX = 128, URL_MAX = 4000;
const PAGE = 1000;
const IDLE_MS = 20_000;
/** An answer that does not wait for events comes sooner. */
const PATIENCE_MS = 30_000;
const JSON_TYPE = 'application/json', PROBLEM_TYPE = 'application/problem+json';

/** What is known while it reads. */
export interface Reading {
  readonly o: LinkOptions;
  /** Everything up to it was handed on. */
  position: string;
  /** Asks for events of what is subscribed. Throws a Failure, or what fetch throws. */
  get(query: Query, accept: string): Promise<Response>;
  /** Hands a message on, with `ref` where one is waited for. */
  tell(message: Message): void;
  /** Hands on the state that a page has. */
  tellState(page: Page): void;
  /** All there is was told: whoever resumed has caught up. */
  caughtUp(): void;
  /** Whether somebody waits for that. */
  readonly isAwaited: boolean;
  readonly signal: AbortSignal;
}

export interface Page { events: Message[]; position: string; more: boolean; gap?: Message; state?: Message[]; state_complete?: boolean }

/** What is thrown when it can't go on; `retryAfter` in seconds. */
export interface Failure { status?: number; problem?: Message; message: string; retryAfter?: number; useless?: boolean }

/** `read` reads until it is aborted, or throws: a Failure, or anything else that has a message. */
export function overHttp(o: LinkOptions, heartbeat: { interval: number; timeout: number }, read: (r: Reading) => Promise<never>): Link {
  const topics = new Set<string>(o.topics);
  const over = new AbortController(), awaited: unknown[] = [];
  let { token } = o;
  let reading: AbortController | undefined, position = o.since ?? '';
  let queue: Promise<void>, idle: unknown;

  async function get(names: Iterable<string>, query: Query, accept: string, signal: AbortSignal, body?: string): Promise<Response> {
    const url = o.url('/api/v1/events', { ...query, format: o.format });
    for (const name of names) url.searchParams.append('topic', name);
    const response = await o.fetch(url, {
      method: body && 'POST', body, signal, credentials: token ? 'same-origin' : 'include',
      headers: { accept, ...(body && { 'content-type': accept }), ...(token && { authorization: 'Bearer ' + token }) },
    });
    if (response.ok) return response;
    const { status, headers } = response, retryAfter = headers.get('retry-after');
    const told: Message = headers.get('content-type')?.startsWith(PROBLEM_TYPE) ? await response.json().catch(() => ({})) : {};
    // What would be final is not when a proxy says it, of a server that it does not reach. A token may be a proxy's matter, too.
    const counts = told.code || status === 401 || status >= 429;
    throw {
      status: counts ? status : 0, problem: told, message: told.detail ?? 'HTTP ' + status, retryAfter: retryAfter ? +retryAfter : undefined,
    };
  }

  async function page(names: Iterable<string>, query: Query): Promise<Page> {
    // The commands behind it wait for it.
    const timer = o.clock.setTimeout(() => fail({ problem: { code: 'timeout' }, message: 'No answer in time.' }), PATIENCE_MS);
    try {
      const answer = await (await get(names, query, JSON_TYPE, over.signal)).json();
      o.heard();
      return answer;
    } finally {
      o.clock.clearTimeout(timer);
    }
  }

  function tell(message: Message) {
    if (!over.signal.aborted) o.message(message, JSON.stringify(message));
  }

  const say = (type: string, members: Message) => tell({ type, control: true, ...members });

  function tellState({ state, state_complete }: Page) {
    // No message of the server: it is for the log.
    if (state_complete === false) say('state_cut', {});
    state?.forEach(tell);
  }

  const refuse = (ref: unknown, { code, what_to_do }: Message, message: string, retry_after?: number) =>
    say('command_error', { ref, code, message, suggested_actions: [what_to_do], retry_after });

  function fail(error: unknown) {
    if (over.signal.aborted) return;
    over.abort();
    stop();
    const { status: code = 0, retryAfter, message, problem, useless } = error as Failure;
    o.end({ code, message, name: problem?.code as string | undefined, retryAfter: retryAfter && retryAfter * 1000, useless });
  }

  function stop() {
    reading?.abort();
    o.clock.clearTimeout(idle);
  }

  function start() {
    stop();
    if (over.signal.aborted) return;
    // With nothing to read it is asked now and then whether the server is there.
    if (!topics.size) {
      idle = o.clock.setTimeout(() => send({ type: 'ping' }), IDLE_MS);
      return;
    }
    const { signal } = reading = new AbortController();
    const unless = (fn: () => void) => { if (!signal.aborted) fn(); };
    read({
      o, signal,
      get: (query, accept) => get(topics, query, accept, signal),
      tell: message => unless(() => tell(message)),
      tellState: page => unless(() => tellState(page)),
      caughtUp: () => unless(() => {
        if (!awaited.length) say('caught_up', { position });
        for (const ref of awaited.splice(0)) say('caught_up', { ref, position });
      }),
      get isAwaited() { return awaited.length > 0; },
      get position() { return position; },
      set position(next) { unless(() => { position = next; }); },
      // One that was granted is not any more: which, a new beginning finds out.
    }).catch(error => unless(() => fail(error.status === 403 ? { ...error, status: 0 } : error)));
  }

  // One that is refused spoils a request for all: then each is asked for alone. Null when none is left.
  async function first(names: string[], query: Query, ref: unknown): Promise<[string[], Page] | null> {
    try {
      return [names, await page(names, query)];
    } catch (error) {
      const { status, problem, message } = error as Failure;
      if (status !== 403 && status !== 400 && status !== 413) throw error;
      if (names.length === 1) {
        refuse(ref, problem!, `${names[0]}: ${message}`);
        return null;
      }
    }
    const good: string[] = [];
    for (const name of names) if (await first([name], { since: 'now' }, ref)) good.push(name);
    return good.length ? [good, await page(good, query)] : null;
  }

  async function history(names: string[], since: string, ref: unknown) {
    for (let more = true; more;) {
      const part: Page = await page(names, { since, limit: PAGE });
      if (part.gap) say('gap', { ...part.gap, history: true, ref });
      for (const event of part.events) tell({ ...event, history: true, ref });
      tellState(part);
      ({ position: since, more } = part);
    }
    say('caught_up', { ref, position });
  }

  async function subscribe({ topics: asked, since, state, ref }: Message) {
    const names: string[] = [];
    for (const name of asked as string[]) {
      if (topics.size + names.length < TOPICS_MAX && [...topics, ...names, name].join('&topic=').length < URL_MAX) names.push(name);
      else refuse(ref, { code: 'too_large' }, name + ': too many topics.');
    }
    if (!names.length) return;
    const isFirst = !topics.size;
    // What happens from here on until the next request is in its answer: nothing is read meanwhile.
    stop();
    const found = await first(names, { since: isFirst || since ? 'now' : position, limit: PAGE, state: state ? 1 : 0 }, ref);
    if (!found) return start();
    let [granted, last] = found;
    // Of what is new these are before its beginning, or in the state; in the stream they come again.
    const ids = last.events.map(event => event.id);
    while (last.more) {
      last = await page(granted, { since: last.position, limit: PAGE, state: state ? 1 : 0 });
      ids.push(...last.events.map(event => event.id));
    }
    for (const name of granted) topics.add(name);
    if (isFirst) position = since as string | undefined ?? last.position;
    say('skip', { ref, ids });
    say('subscribed', { ref, topics: granted, position: since ? position : last.position, stands: position });
    tellState(last);
    // What the stream brings from here on is not read beside it.
    const isBeside = since && since !== position;
    if (isFirst && since) awaited.push(ref);
    else if (!isBeside && (since || state)) say('caught_up', { ref, position });
    start();
    if (isBeside) await history(granted, since as string, ref);
  }

  async function publish({ event, ref }: Message) {
    try {
      const answer = await get([], {}, JSON_TYPE, over.signal, JSON.stringify(event));
      say('published', { ...await answer.json(), ref });
    } catch (error) {
      const { problem = { code: 'network' }, message, retryAfter } = error as Failure;
      refuse(ref, problem, message, retryAfter);
    }
  }

  async function run(command: Message) {
    const { type, ref } = command;
    if (type === 'SUBSCRIBE') return subscribe(command);
    if (type === 'UNSUBSCRIBE') {
      for (const name of command.topics as string[]) topics.delete(name);
      return start();
    }
    if (type === 'ping' || type === 'auth') {
      // What is being read may be dead without saying so, or is read with the old token.
      const before = token;
      token = command.token as string | undefined ?? token;
      try {
        await page(['**'], { since: 'now', limit: 1 });
      } catch (error) {
        const { status, problem, message } = error as Failure;
        if (status !== 401 || token === before) throw error;
        token = before;
        return refuse(ref, problem!, message);
      }
      start();
      return say(type === 'ping' ? 'pong' : 'authenticated', { ref });
    }
    refuse(ref, { code: 'bad_request' }, type + ': not by this transport.');
  }

  // The first request says whether the server is there, and takes the token.
  queue = page(['**'], { since: 'now', limit: 1 }).then(({ position: here }) => {
    position ||= here;
    say('connection', { position, heartbeat });
    start();
  }).catch(fail);

  function send(command: Message) {
    o.sent(JSON.stringify(command));
    // A publish waits for nothing, and what can't be sent is the sender's to repeat.
    if (command.type === 'publish') publish(command);
    else queue = queue.then(() => over.signal.aborted ? undefined : run(command)).catch(fail);
  }

  return {
    send,
    close() {
      over.abort();
      stop();
    },
  };
}
