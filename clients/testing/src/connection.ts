// SPDX-License-Identifier: Apache-2.0
// One WebSocket at the server: what is subscribed on it, what it is sent, and its commands (docs/protocol.md, WebSocket).
import type { Visit } from './endpoints.ts';
import { clean, isObject, Refusal, write } from './formats.ts';
import type { Format, Json } from './formats.ts';
import { joined } from './log.ts';
import type { Stored, Where } from './log.ts';
import { isPattern, overlap } from './names.ts';
import type { Principal } from './names.ts';
import type { PresenceTable } from './presence.ts';
import type { Reader, World } from './world.ts';

const SUBSCRIPTIONS_MAX = 100;
const COMMANDS_AT_ONCE = 40, COMMANDS_PER_SECOND = 20;
const HEARTBEAT_MS = 30_000, IDLE_MS = 600_000;

export interface Wire {
  send(text: string): void;
  /** Ends it, from the server's side. */
  close(code: number, reason: string): void;
}

export class Connection implements Reader {
  readonly id: string;
  readonly patterns = new Set<string>();
  principal: Principal;
  #world: World;
  #presence: PresenceTable;
  #wire: Wire;
  #visit: Visit;
  #format: Format;
  #types: string[];
  /** Of the URL: for the first SUBSCRIBE, or for the topics of the endpoint. */
  #since: string | undefined;
  #state: string | null;
  #quiet: unknown;
  #expiry: unknown[] = [];
  #lastCommand: number;
  #allowance = COMMANDS_AT_ONCE;
  #refused = 0;
  #open = true;

  constructor(world: World, presence: PresenceTable, wire: Wire, principal: Principal, visit: Visit, query: URLSearchParams) {
    this.id = world.nextId();
    this.#world = world;
    this.#presence = presence;
    this.#wire = wire;
    this.principal = principal;
    this.#visit = visit;
    this.#format = (query.get('format') as Format | null) ?? visit.format;
    this.#types = query.getAll('type');
    this.#since = query.get('since') ?? undefined;
    this.#state = query.get('state');
    this.#lastCommand = world.clock.now();
  }

  // ---- its beginning and end ----

  begin(): void {
    const { variables, session, topics } = this.#visit, where = this.#since === undefined || topics.length === 0 ? undefined : this.#world.log.find(this.#since);
    const position = where ? where.gap?.from ?? this.#world.log.position(where.seq) : this.#world.position;
    this.#world.readers.add(this);
    this.#control('connection', {
      message: 'connected', connection_id: this.id, user: this.principal.sub, ...variables, session, position, heartbeat: { interval: 30, timeout: 10 },
      token_expires_in: this.#secondsLeft(),
    });
    this.#watchToken();
    if (topics.length === 0) return;
    for (const topic of topics) this.patterns.add(topic);
    this.#presence.sync(this, this.patterns);
    this.#since = undefined;
    this.#begins(topics, where, undefined, this.#state === '0' ? false : !where || this.#state === '1');
  }

  /** It is over, whoever ended it. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#world.readers.delete(this);
    for (const timer of [this.#quiet, ...this.#expiry]) this.#world.clock.clearTimeout(timer);
    this.#presence.sync(this, []);
  }

  close(code: number, reason: string): void {
    this.end();
    this.#wire.close(code, reason);
  }

  /** The server stops. */
  drain(retryAfter: number): void {
    this.#control('draining', { retry_after: retryAfter });
    this.close(1001, 'draining: the server is stopping');
  }

  // ---- what it is sent ----

  sees(topic: string): boolean { return this.#world.sees(this.principal, topic); }

  live(event: Stored): void {
    if (this.#matches(event, this.patterns)) this.#event(event);
  }

  #matches(event: Stored, patterns: Iterable<string>): boolean {
    if (this.#types.length > 0 && !this.#types.includes(event.type)) return false;
    return [...patterns].some(pattern => overlap(pattern, event.topic)) && this.sees(event.topic);
  }

  #event(event: Stored, more: Json = {}): void { this.#send(write(event, this.#format, more)); }

  #control(type: string, members: Json, ref?: unknown): void { this.#send(clean({ type, control: true, ref, ...members })); }

  #send = (message: Json): void => {
    if (!this.#open) return;
    this.#wire.send(JSON.stringify(message));
    const { clock } = this.#world;
    clock.clearTimeout(this.#quiet);
    this.#quiet = clock.setTimeout(() => {
      if (this.patterns.size === 0 && clock.now() - this.#lastCommand >= IDLE_MS) this.close(4008, 'timeout: nothing was subscribed or said');
      else this.#control('heartbeat', { position: this.#world.position, time: this.#world.time() });
    }, HEARTBEAT_MS);
  };

  #stateOf(patterns: string[], at: 'head' | 'horizon' = 'head'): void {
    for (const event of joined(this.#world.log.state(patterns, at).filter(one => this.#matches(one, patterns)))) this.#event(event, { state: true });
  }

  /** State, what was missed, and that it has caught up. */
  #begins(topics: string[], where: Where | undefined, ref: unknown, state: boolean): void {
    const { log } = this.#world;
    if (where?.gap) this.#control('gap', { topics, ...where.gap });
    if (where?.gap && this.#state !== '0') this.#stateOf(topics, where.gap.reason === 'unsynced' ? 'head' : 'horizon');
    else if (state) this.#stateOf(topics, where && where.seq === log.horizon ? 'horizon' : 'head');
    if (where) for (const event of log.after(where.seq, topics)) if (this.#matches(event, topics)) this.#event(event);
    this.#control('caught_up', { position: this.#world.position }, ref);
  }

  /** Beside the stream. */
  #history(topics: string[], { seq, gap }: Where, ref: unknown): void {
    const beside = { history: true };
    if (gap) {
      this.#control('gap', { topics, ...gap, ...beside }, ref);
      this.#stateOf(topics, gap.reason === 'unsynced' ? 'head' : 'horizon');
    }
    for (const event of this.#world.log.after(seq, topics)) if (this.#matches(event, topics)) this.#event(event, clean({ ...beside, ref }));
    this.#control('caught_up', { position: this.#world.position }, ref);
  }

  // ---- commands ----

  text(text: string): void {
    if (!this.#open) return;
    if (text === 'pong') return;
    if (!this.#allowed()) return;
    if (text === 'ping') {
      this.#wire.send('pong');
      return;
    }
    let command: unknown, ref: unknown;
    try {
      command = JSON.parse(text);
    } catch { /* told below */ }
    try {
      if (!isObject(command) || typeof command.type !== 'string') throw new Refusal('bad_request', 'A command is a JSON object with a `type`.');
      if (typeof command.ref === 'string' || typeof command.ref === 'number') ({ ref } = command);
      this.#carryOut(command.type.toLowerCase(), command, ref);
    } catch (error) {
      this.#refuse(error, ref);
    }
  }

  #refuse(error: unknown, ref: unknown): void {
    if (!(error instanceof Refusal)) throw error;
    const { code, message, advice, members } = error;
    this.#control('command_error', { code, message, suggested_actions: advice ? [advice] : [], ...members }, ref);
  }

  #allowed(): boolean {
    const now = this.#world.clock.now();
    this.#allowance = Math.min(COMMANDS_AT_ONCE, this.#allowance + (now - this.#lastCommand) / 1000 * COMMANDS_PER_SECOND);
    this.#lastCommand = now;
    if (this.#allowance >= 1) {
      this.#allowance--;
      this.#refused = 0;
      return true;
    }
    if (++this.#refused > 40) this.close(4029, 'rate_limited: too many commands');
    else this.#refuse(new Refusal('rate_limited', 'Too many commands; this one was not carried out.'), undefined);
    return false;
  }

  #carryOut(type: string, command: Json, ref: unknown): void {
    switch (type) {
      case 'subscribe': return this.#subscribe(command, ref);
      case 'unsubscribe': return this.#unsubscribe(command, ref);
      case 'ping': return this.#control('pong', { time: this.#world.time() }, ref);
      case 'pong': return undefined;
      case 'auth': return this.#auth(command.token, ref);
      case 'publish': return this.#publish(command.event, ref);
      case 'start': return this.#start(command, ref);
      case 'cancel': {
        const jobs = this.#world.jobs.cancel(this.principal, { id: command.job_id, requestId: command.request_id, proposalId: command.proposal_id });
        for (const job of jobs) this.#control('cancelling', { job_id: job.id, state: job.state }, ref);
        return undefined;
      }
      default: throw new Refusal('bad_request', 'Unknown command: SUBSCRIBE, UNSUBSCRIBE, ping, publish, start, cancel and auth are known.');
    }
  }

  #subscribe(command: Json, ref: unknown): void {
    const topics = topicsOf(command), first = this.patterns.size === 0, state = command.state === true;
    const since = command.since ?? (first ? this.#since : undefined);
    const where = since === undefined ? undefined : this.#world.log.find(String(since));
    if (since !== undefined && !where) throw new Refusal('bad_request', '`since` is not a position.');
    const granted = topics.filter(topic => {
      const refusal = !this.sees(topic) ? new Refusal('forbidden', `${topic}: nothing of it is granted to you.`)
        : !this.patterns.has(topic) && this.patterns.size >= SUBSCRIPTIONS_MAX ? new Refusal('too_large', `${topic}: too many subscriptions on this connection.`) : undefined;
      if (refusal) this.#refuse(refusal, ref);
      else this.patterns.add(topic);
      return !refusal;
    });
    if (granted.length === 0) return;
    this.#since = undefined;
    const position = first && where ? where.gap?.from ?? this.#world.log.position(where.seq) : this.#world.position;
    this.#control('subscribed', { topics: granted, position }, ref);
    this.#presence.sync(this, this.patterns);
    if (where && !first && since !== 'now') {
      if (state) this.#stateOf(granted);
      this.#history(granted, where, ref);
    } else if (where || state) {
      this.#begins(granted, first ? where : undefined, ref, state);
    }
  }

  #unsubscribe(command: Json, ref: unknown): void {
    const topics = topicsOf(command).filter(topic => this.patterns.delete(topic));
    this.#presence.sync(this, this.patterns);
    this.#control('unsubscribed', { topics, position: this.#world.position }, ref);
  }

  #publish(event: unknown, ref: unknown): void {
    // The answer goes before the event to who published and follows the topic.
    const held: Json[] = [], send = this.#send;
    this.#send = message => { held.push(message); };
    try {
      const { ids, position, durable } = this.#world.publish(this.principal, event, { origin: this.id });
      const many = Array.isArray(event) || (isObject(event) && event.topics !== undefined);
      send(clean({ type: 'published', control: true, ref, ...(many ? { ids } : { id: ids[0] }), position, durable }));
    } finally {
      this.#send = send;
      for (const message of held) this.#send(message);
    }
  }

  #start(command: Json, ref: unknown): void {
    const { session, variables } = this.#visit;
    const job = this.#world.jobs.start(this.principal, command, { session, given: variables, scope: this.id });
    this.#control('started', { job_id: job.id, request_id: job.requestId, topic: job.topic }, ref);
  }

  // ---- its token ----

  #secondsLeft(): number | undefined {
    const left = this.principal.expires - this.#world.clock.now();
    return left === Infinity ? undefined : Math.max(0, Math.floor(left / 1000));
  }

  #watchToken(): void {
    const { clock } = this.#world, left = this.principal.expires - clock.now();
    for (const timer of this.#expiry) clock.clearTimeout(timer);
    this.#expiry = left === Infinity ? [] : [
      clock.setTimeout(() => this.#control('token_expiring', { expires_in: this.#secondsLeft() }), Math.max(left / 2, left - 60_000)),
      clock.setTimeout(() => this.close(4001, 'Unauthorized: the token has expired'), left),
    ];
  }

  #auth(token: unknown, ref: unknown): void {
    const principal = this.#world.principal(String(token));
    if (principal.sub !== this.principal.sub) throw new Refusal('forbidden', 'the token is another subject’s.');
    this.principal = principal;
    const lost = this.lose(topic => !this.sees(topic));
    this.#watchToken();
    this.#control('authenticated', { user: principal.sub, expires_in: this.#secondsLeft(), lost }, ref);
  }

  /** What is not subscribed any more. */
  lose(gone: (topic: string) => boolean): string[] {
    const lost = [...this.patterns].filter(gone);
    for (const topic of lost) this.patterns.delete(topic);
    this.#presence.sync(this, this.patterns);
    return lost;
  }

  /** A grant was taken away. */
  accessLost(topics: string[], reason: string): void { if (topics.length > 0) this.#control('access_lost', { topics, reason }); }
}

/** `topics`, or a scope of entities. */
function topicsOf(command: Json): string[] {
  const { scope } = command, type = command.entity_type ?? (isObject(scope) ? scope.entity_type : undefined), id = command.entity_id ?? (isObject(scope) ? scope.entity_id : undefined);
  const topics = command.topics !== undefined ? [command.topics].flat()
    : type !== undefined ? [`entities/${type}/${id ?? '*'}`]
      : scope === 'all' || command.all === true ? ['entities/**']
        : typeof scope === 'string' ? [scope.includes('/') ? `entities/${scope}` : `entities/${scope}/*`] : undefined;
  if (!topics) throw new Refusal('bad_request', 'SUBSCRIBE needs `topics` (patterns) or a `scope`.');
  if (!topics.every(isPattern)) throw new Refusal('bad_request', 'One of the topics is not a pattern.');
  return topics as string[];
}
