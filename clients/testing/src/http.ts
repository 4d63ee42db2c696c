// SPDX-License-Identifier: Apache-2.0
// The server by HTTP: requests, pages, requests that wait, and event streams (docs/protocol.md, Read).
import { listEntities, serveEntity } from './entities.ts';
import type { Answer } from './entities.ts';
import { isObject, Refusal, write } from './formats.ts';
import type { Format, Json } from './formats.ts';
import { joined } from './log.ts';
import type { Stored, Where } from './log.ts';
import { isPattern, overlap } from './names.ts';
import type { Principal } from './names.ts';
import type { PresenceTable } from './presence.ts';
import type { Reader, World } from './world.ts';

const KEEP_ALIVE_MS = 15_000, WAIT_MAX_S = 60;

/** A stream or a waiting request, for who wants to end it. */
export interface HttpReader extends Reader { readonly transport: 'sse' | 'longpoll'; end(how: 'broken' | 'ended'): void }

/** What a request asks to read. */
class Query implements Reader {
  readonly id: string;
  readonly principal: Principal;
  readonly patterns: string[];
  readonly world: World;
  readonly where: Where | undefined;
  readonly since: string | undefined;
  readonly limit: number;
  readonly state: string | null;
  #types: string[];
  #format: Format;

  constructor(world: World, principal: Principal, url: URL, headers: Headers) {
    const { searchParams: query } = url, since = headers.get('last-event-id') ?? query.get('since') ?? undefined;
    this.world = world;
    this.principal = principal;
    this.id = world.nextId();
    this.patterns = query.getAll('topic');
    this.limit = Number(query.get('limit') ?? 100);
    this.state = query.get('state');
    this.since = since;
    this.#types = query.getAll('type');
    this.#format = (query.get('format') as Format | null) ?? 'event';
    if (this.patterns.length === 0) throw new Refusal('bad_request', 'Name at least one `topic`.');
    if (!this.patterns.every(isPattern)) throw new Refusal('bad_request', '`topic` is not a pattern.');
    this.where = since === undefined ? undefined : world.log.find(since);
    if (since !== undefined && !this.where) throw new Refusal('bad_request', '`since` is not a position.');
    if (!this.patterns.some(pattern => this.sees(pattern))) throw new Refusal('forbidden', 'Nothing of its topics is granted to you.');
  }

  sees(topic: string): boolean { return this.world.sees(this.principal, topic); }

  live(_event: Stored): void { /* whoever waits says what */ }

  matches(event: Stored): boolean {
    return (this.#types.length === 0 || this.#types.includes(event.type)) && this.patterns.some(pattern => overlap(pattern, event.topic)) && this.sees(event.topic);
  }

  write(event: Stored, more?: Json): Json { return write(event, this.#format, more); }

  /** What is retained, now or as of where nothing is dropped. */
  stateAt(at: 'head' | 'horizon'): Stored[] { return this.world.log.state(this.patterns, at).filter(event => this.matches(event)); }

  page(): Json {
    const { log } = this.world, { where, limit } = this;
    const all = where ? log.after(where.seq, this.patterns) : log.after(log.horizon, this.patterns).slice(-limit);
    const shown = all.slice(0, limit), more = all.length > limit;
    const position = more ? shown.at(-1)!.id! : this.world.position;
    const state = this.state === '1' || (where?.gap && this.state !== '0') ? this.stateAt('head').map(event => this.write(event, { state: true })) : undefined;
    return { events: shown.filter(event => this.matches(event)).map(event => this.write(event)), position, more, ...(where?.gap && { gap: where.gap }), ...(state && { state }) };
  }
}

export class Http {
  readonly readers = new Set<HttpReader>();
  #world: World;
  #presence: PresenceTable;

  constructor(world: World, presence: PresenceTable) {
    this.#world = world;
    this.#presence = presence;
  }

  /** Answers a request; `signal` is aborted when its client has gone. */
  async serve(method: string, url: URL, headers: Headers, text: string, signal: AbortSignal): Promise<Response> {
    let principal: Principal | undefined;
    try {
      if (url.pathname === '/healthz') return this.#respond({ status: 200, body: { status: 'ok' } });
      if (url.pathname === '/readyz') return this.#respond({ status: 200, body: { status: 'ready' } });
      const token = /^Bearer (.*)$/i.exec(headers.get('authorization') ?? '')?.[1] ?? url.searchParams.get('token') ?? url.searchParams.get('access_token') ?? undefined;
      principal = this.#world.principal(token);
      if (url.pathname === '/api/v1/events' && method === 'GET') return await this.#read(new Query(this.#world, principal, url, headers), url, headers, signal);
      return this.#respond(this.#answer(principal, method, url, headers, parse(text)), principal);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, problem, members } = error, extra: Record<string, string> = { 'content-type': 'application/problem+json' };
      if (status === 401) extra['www-authenticate'] = 'Bearer';
      if (members.expires_in !== undefined) extra['retry-after'] = String(members.expires_in);
      return this.#respond({ status, body: problem, headers: extra }, error instanceof NoPath ? undefined : principal);
    }
  }

  #respond({ status, body, headers }: Answer, principal?: Principal): Response {
    const position = principal ? { 'tidings-position': this.#world.position } : undefined;
    return new Response(body === undefined ? null : JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...position, ...headers } });
  }

  #answer(principal: Principal, method: string, url: URL, headers: Headers, body: unknown): Answer {
    const [api, version, resource, ...rest] = url.pathname.slice(1).split('/').map(decodeURIComponent);
    if (api === 'api' && version === 'projects' && rest[0] === 'generate' && method === 'POST') {
      const job = this.#world.jobs.start(principal, { kind: 'generate', params: { ...(isObject(body) ? body : {}), project_id: resource } }, { key: headers.get('idempotency-key') ?? undefined });
      return { status: 202, body: { job_id: job.id } };
    }
    switch (api === 'api' && version === 'v1' ? resource : '') {
      case 'events': return method === 'POST' ? this.#publish(principal, body, headers) : nothing();
      case 'jobs': return this.#world.jobs.serve(principal, method, rest, body, headers, url.searchParams);
      case 'locks': return this.#world.locks.serve(principal, method, rest.join('/'), body);
      case 'presence': return this.#presence.serve(principal, url.searchParams);
      case 'entities': {
        const [type, id] = rest;
        if (type === undefined) return nothing();
        return id === undefined ? listEntities(this.#world, principal, type, url.searchParams) : serveEntity(this.#world, principal, method, [type, id], body, headers);
      }
      default: return nothing();
    }
  }

  #publish(principal: Principal, body: unknown, headers: Headers): Answer {
    const { ids, position, durable } = this.#world.publish(principal, body, { key: headers.get('idempotency-key') ?? undefined });
    const many = Array.isArray(body) || (isObject(body) && body.topics !== undefined);
    return { status: 201, body: many ? { ids, position, durable } : { id: ids[0], position, durable } };
  }

  async #read(query: Query, url: URL, headers: Headers, signal: AbortSignal): Promise<Response> {
    if (headers.get('accept')?.includes('text/event-stream')) return this.#stream(query, signal);
    const wait = Math.min(WAIT_MAX_S, Number(url.searchParams.get('wait') ?? 0)), at = { 'cache-control': 'no-store' };
    if (wait > 0 && query.since === undefined) return this.#respond({ status: 200, body: { events: [], position: this.#world.position, more: false }, headers: at }, query.principal);
    const page = query.page();
    if (wait > 0 && (page.events as unknown[]).length === 0 && !page.gap && !page.more) {
      await this.#wait(query, wait * 1000, signal);
      // Whatever has come meanwhile; of `now` that is what came since the question.
      const from = query.where!.seq, events = this.#world.log.after(from, query.patterns).filter(event => query.matches(event)).slice(0, query.limit);
      Object.assign(page, { events: events.map(event => query.write(event)), position: this.#world.position });
    }
    return this.#respond({ status: 200, body: page, headers: { ...at, 'tidings-position': page.position as string } }, query.principal);
  }

  #wait(query: Query, ms: number, signal: AbortSignal): Promise<void> {
    const { clock, readers } = this.#world;
    return new Promise((resolve, reject) => {
      const done = (settle: () => void) => {
        clock.clearTimeout(timer);
        readers.delete(reader);
        this.readers.delete(reader);
        settle();
      };
      const reader: HttpReader = {
        id: query.id, principal: query.principal, patterns: query.patterns, transport: 'longpoll', sees: topic => query.sees(topic),
        live: event => { if (event.id !== undefined && query.matches(event)) done(resolve); },
        end: how => done(how === 'ended' ? resolve : () => reject(new TypeError('terminated'))),
      };
      const timer = clock.setTimeout(() => done(resolve), ms);
      readers.add(reader);
      this.readers.add(reader);
      signal.addEventListener('abort', () => done(() => reject(signal.reason)), { once: true });
    });
  }

  #stream(query: Query, signal: AbortSignal): Response {
    const world = this.#world, { clock, log } = world, { where } = query, encoder = new TextEncoder();
    let controller!: ReadableStreamDefaultController<Uint8Array>, timer: unknown, isOpen = true;
    const send = (text: string) => {
      if (!isOpen) return;
      controller.enqueue(encoder.encode(text));
      clock.clearTimeout(timer);
      timer = clock.setTimeout(() => send(`id: ${world.position}\n\n`), KEEP_ALIVE_MS);
    };
    const event = (one: Stored, state = false) => {
      const type = one.type === 'error' || one.type === 'open' ? `job_${one.type}` : one.type, id = state || one.id === undefined ? '' : `id: ${one.id}\n`;
      send(`${id}event: ${type}\ndata: ${JSON.stringify(query.write(one, state ? { state: true } : {}))}\n\n`);
    };
    const control = (type: string, members: Json) => send(`id: ${world.position}\nevent: tidings\ndata: ${JSON.stringify({ type, control: true, ...members })}\n\n`);
    const over = (finish: () => void) => {
      if (!isOpen) return;
      isOpen = false;
      clock.clearTimeout(timer);
      clock.clearTimeout(expiry);
      world.readers.delete(reader);
      this.readers.delete(reader);
      this.#presence.sync(reader, []);
      finish();
    };
    const reader: HttpReader = {
      id: query.id, principal: query.principal, patterns: query.patterns, transport: 'sse', sees: topic => query.sees(topic),
      live: one => { if (query.matches(one)) event(one); },
      end: how => over(() => (how === 'ended' ? controller.close() : controller.error(new TypeError('terminated')))),
    };
    const left = query.principal.expires - clock.now(), expiry = left === Infinity ? undefined : clock.setTimeout(() => reader.end('ended'), left);
    const body = new ReadableStream<Uint8Array>({ start: given => { controller = given; }, cancel: () => over(() => { /* its reader has left */ }) });
    signal.addEventListener('abort', () => over(() => controller.error(signal.reason)), { once: true });
    send('retry: 1000\n');
    if (where?.gap) control('gap', { topics: query.patterns, ...where.gap });
    const shown = where?.gap ? query.state !== '0' : query.state === '1' || (!where && query.state !== '0');
    if (shown) for (const one of joined(query.stateAt(where && where.seq === log.horizon && where.gap?.reason !== 'unsynced' ? 'horizon' : 'head'))) event(one, true);
    if (where) for (const one of log.after(where.seq, query.patterns)) if (query.matches(one)) event(one);
    control('caught_up', { position: world.position });
    world.readers.add(reader);
    this.readers.add(reader);
    this.#presence.sync(reader, query.patterns);
    return new Response(body, { status: 200, headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no', 'tidings-position': world.position } });
  }
}

class NoPath extends Refusal {}

function nothing(): never { throw new NoPath('not_found', 'There is nothing at this path.'); }

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal('bad_request', 'Send one valid JSON text in UTF-8.');
  }
}
