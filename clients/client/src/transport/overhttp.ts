// SPDX-License-Identifier: Apache-2.0
// The protocol of the WebSocket, spoken over requests: what the transports by HTTP have in common.  Commands are carried out one after
// the other; what is subscribed is read by one request, which is made anew when that changes, from where the last one had come to.
import { urlOf } from './link.ts';
import type { Link, LinkOptions, Message } from './link.ts';

const EVENTS = '/api/v1/events';
/** The server takes no more in a URL, which may have 8 KiB. */
const TOPICS_MAX = 128, URL_MAX = 7000;
const PAGE = 1000;

/** What is known while it reads. */
export interface Reading {
  readonly o: LinkOptions;
  /** Everything up to it was handed on. */
  position: string;
  /** Asks for events of what is subscribed. Throws a Failure, or what fetch throws. */
  get(query: Query, accept: string): Promise<Response>;
  /** Hands a message on, with `ref` where one is waited for. */
  tell(message: Message): void;
  /** All there is was told: whoever resumed has caught up. */
  caughtUp(): void;
  /** Whether somebody waits for that. */
  readonly isAwaited: boolean;
  readonly signal: AbortSignal;
}

type Query = Record<string, string | number | undefined>;

export interface Page { events: Message[]; position: string; more: boolean; gap?: Message; state?: Message[] }

/** An answer that is none of use. */
export class Failure extends Error {
  readonly status: number;
  readonly problem: Message;
  readonly retryAfter?: number;

  constructor(response: Response, problem: Message) {
    super(String(problem.detail ?? response.statusText));
    this.status = response.status;
    this.problem = problem;
    const seconds = Number(response.headers.get('retry-after') ?? NaN);
    if (seconds >= 0) this.retryAfter = seconds;
  }
}

/** `read` reads until it is aborted, or throws; what it returns is an ending of its own. */
export function overHttp(o: LinkOptions, heartbeat: { interval: number; timeout: number }, read: (r: Reading) => Promise<{ retryAfter?: number; useless?: boolean }>): Link {
  const topics = new Set<string>(o.topics);
  const over = new AbortController();
  let { token } = o;
  let reading: AbortController | undefined, awaited: unknown[] = [], position = o.since ?? '';
  let queue: Promise<void>;

  async function get(names: Iterable<string>, query: Query, accept: string, signal: AbortSignal): Promise<Response> {
    const url = urlOf(o.base, EVENTS, { ...query, format: o.format });
    for (const name of names) url.searchParams.append('topic', name);
    const response = await o.fetch(url, {
      signal, cache: 'no-store', credentials: token ? 'same-origin' : 'include',
      headers: { accept, ...(token && { authorization: `Bearer ${token}` }) },
    });
    if (response.ok) return response;
    throw new Failure(response, await response.json().catch(() => ({})));
  }

  async function page(names: Iterable<string>, query: Query): Promise<Page> {
    const answer = await (await get(names, query, 'application/json', over.signal)).json();
    o.heard();
    return answer;
  }

  function tell(message: Message) {
    if (!over.signal.aborted) o.message(message, JSON.stringify(message));
  }

  const say = (type: string, members: Message) => tell({ type, control: true, ...members });

  function fail(error: unknown) {
    if (over.signal.aborted) return;
    over.abort();
    reading?.abort();
    const { status, retryAfter, message } = error as Failure;
    o.end({ code: status ?? 0, message, ...(retryAfter !== undefined && { retryAfter: retryAfter * 1000 }) });
  }

  function stop() {
    reading?.abort();
    reading = undefined;
  }

  function start() {
    stop();
    if (!topics.size || over.signal.aborted) return;
    const control = reading = new AbortController();
    read({
      o, signal: control.signal,
      get: (query, accept) => get(topics, query, accept, control.signal),
      tell: message => { if (!control.signal.aborted) tell(message); },
      caughtUp() {
        if (control.signal.aborted) return;
        const refs = awaited;
        awaited = [];
        for (const ref of refs.length ? refs : [undefined]) say('caught_up', { ref, position });
      },
      get isAwaited() { return awaited.length > 0; },
      get position() { return position; },
      set position(next) { if (!control.signal.aborted) position = next; },
    }).then(ending => {
      if (control.signal.aborted) return;
      over.abort();
      o.end({ code: 0, message: 'The stream ended.', ...ending });
    }, error => { if (!control.signal.aborted) fail(error); });
  }

  // One that is refused spoils a request for all: then each is asked for alone. Null when none is left.
  async function first(names: string[], query: Query, ref: unknown): Promise<[string[], Page] | null> {
    try {
      return [names, await page(names, query)];
    } catch (error) {
      const { status, problem, message } = error as Failure;
      if (status !== 403 && status !== 400 && status !== 413) throw error;
      if (names.length === 1) {
        say('command_error', { ...problem, type: 'command_error', ref, message: `${names[0]}: ${message}` });
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
      for (const event of part.state ?? []) tell(event);
      ({ position: since, more } = part);
    }
    say('caught_up', { ref, position: since });
  }

  async function subscribe({ topics: asked, since, state, ref }: Message) {
    const names: string[] = [], url = (more: string) => [...topics, ...names, more].map(encodeURIComponent).join('&topic=');
    for (const name of asked as string[]) {
      if (topics.size + names.length < TOPICS_MAX && url(name).length < URL_MAX) names.push(name);
      else say('command_error', { ref, code: 'too_large', message: `${name}: too many topics for this transport.` });
    }
    if (!names.length) return;
    const isFirst = !topics.size;
    // What happens from here on until the next request is in its answer: nothing is read meanwhile.
    stop();
    const begin = isFirst || since ? 'now' : position;
    const found = await first(names, { since: begin, limit: PAGE, state: state ? 1 : 0 }, ref);
    if (!found) return start();
    const [granted, page_] = found;
    for (const name of granted) topics.add(name);
    if (isFirst && since) {
      position = since as string;
      awaited.push(ref);
    } else if (isFirst) {
      position = page_.position;
    }
    say('subscribed', { ref, topics: granted, position: isFirst || since ? position : page_.position });
    for (const event of page_.state ?? []) tell(event);
    if (!since) {
      // Of what is new the state has this, or it was before; in the stream it comes again.
      let last = page_;
      for (const ids: unknown[] = []; !isFirst; last = await page(granted, { since: last.position, limit: PAGE })) {
        ids.push(...last.events.map(event => event.id));
        if (last.more) continue;
        say('skip', { ref, ids });
        break;
      }
      if (state) say('caught_up', { ref, position });
    }
    start();
    if (since && !isFirst) await history(granted, since as string, ref);
  }

  async function publish({ event, ref }: Message) {
    const response = await o.fetch(urlOf(o.base, EVENTS), {
      method: 'POST', body: JSON.stringify(event), signal: over.signal, credentials: token ? 'same-origin' : 'include',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    });
    const answer = await response.json();
    if (response.ok) return say('published', { ...answer, ref });
    const { retryAfter } = new Failure(response, answer);
    say('command_error', { ...answer, type: 'command_error', ref, message: answer.detail, retry_after: retryAfter });
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
      token = command.token as string | undefined ?? token;
      await page(['**'], { since: 'now', limit: 1 });
      start();
      return say(type === 'ping' ? 'pong' : 'authenticated', { ref });
    }
    say('command_error', { ref, code: 'bad_request', message: `There is no ${type} over this transport: use a request.` });
  }

  // The first request says whether the server is there, and takes the token.
  queue = page(['**'], { since: 'now', limit: 1 }).then(({ position: here }) => {
    position ||= here;
    say('connection', { position, heartbeat });
    start();
  }).catch(fail);

  return {
    send(command) {
      o.sent(JSON.stringify(command));
      // A publish waits for nothing, and what can't be sent is the sender's to repeat.
      if (command.type === 'publish')
        publish(command).catch(() => say('command_error', { ref: command.ref, code: 'network', message: 'No answer.' }));
      else queue = queue.then(() => over.signal.aborted ? undefined : run(command)).catch(fail);
    },
    close() {
      over.abort();
      stop();
    },
  };
}
