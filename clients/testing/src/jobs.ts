// SPDX-License-Identifier: Apache-2.0
// Jobs, run by the test (docs/protocol.md, Jobs).
import type { Answer } from './entities.ts';
import { clean, isObject, Refusal } from './formats.ts';
import type { Json } from './formats.ts';
import { maySee, mayPublish, segmentOf } from './names.ts';
import type { Principal } from './names.ts';
import type { World } from './world.ts';

/** How a kind of job tells of itself on its own topic: names of its events, as in the configuration of the server. */
export interface KindOptions {
  /** `{name}` stands for a parameter, `{sub}`, `{job_id}`, `{session}`, `{request_id}`. Without a topic it tells of itself on jobs/{job_id} alone. */
  topic?: string;
  events?: Partial<Record<'start' | 'status' | 'progress' | 'step' | 'output' | 'log' | 'text' | 'complete' | 'error' | 'cancelled', string>>;
  /** Parameters that each of its events carries. */
  carry?: string[];
  /** Who may start it; anyone unless said. */
  who?: (user: string) => boolean;
}

type State = 'queued' | 'running' | 'cancelling' | 'done' | 'failed' | 'cancelled';

export interface JobFailure { code?: string; details?: unknown; suggestedActions?: string[] }

/** A job in the hands of the test. */
export class TestJob {
  readonly id: string;
  readonly kind: string;
  readonly owner: string;
  readonly viewers: readonly string[];
  readonly params: Json;
  readonly requestId: string | undefined;
  readonly topic: string | undefined;
  state: State = 'running';
  /** Aborted when somebody cancels it; without a listener it is cancelled at once. */
  readonly signal: AbortSignal;
  #world: World;
  #options: KindOptions;
  #abort = new AbortController();
  #progress = 0;
  #step: Json | null = null;
  #message: string | undefined;
  #offset = 0;
  #created: string;
  #ended: string | null = null;
  #end: Json = {};
  #logs: Json[] = [];
  #listens = false;

  constructor(world: World, options: KindOptions, init: { id: string; kind: string; owner: string; viewers: string[]; params: Json; requestId?: string; topic?: string }) {
    this.#world = world;
    this.#options = options;
    this.#created = world.time();
    this.id = init.id;
    this.kind = init.kind;
    this.owner = init.owner;
    this.viewers = init.viewers;
    this.params = init.params;
    this.requestId = init.requestId;
    this.topic = init.topic;
    this.signal = this.#abort.signal;
  }

  get hasEnded(): boolean { return this.#ended !== null; }

  /** As it is shown to who asks. */
  get shown(): Json {
    const { error, code, details, suggested_actions, ...rest } = this.#document as Json;
    return { ...rest, logs: this.#logs, error: error === undefined ? null : { code, message: error, details, suggested_actions } };
  }

  get #document(): Json {
    const status = this.state === 'done' ? 'completed' : this.state;
    return clean({
      job_id: this.id, kind: this.kind, state: this.state, status, owner: this.owner, viewers: this.viewers, topic: this.topic ?? null, request_id: this.requestId,
      progress: this.#progress, step: this.#step, message: this.#message, created: this.#created, started: this.#created, ended: this.#ended, result: null, ...this.#end,
    });
  }

  // ---- what the test says for it ----

  progress(percent: number, message?: string): this {
    this.#progress = Math.max(this.#progress, percent);
    this.#message = message ?? this.#message;
    return this.#tell('progress', 'latest').#say('progress', this.#standing);
  }

  /** It comes to a step: the `index`th of `count`, from 1. */
  step(index: number, count: number, name: string): this {
    this.#step = { index, count, name };
    return this.#tell('status').#say('status', this.#standing).#say('step', { agent: name, agent_name: name, status: 'started', duration: null, message: `Starting ${name} agent` });
  }

  /** Back in the queue, at that place. */
  queued(place: number): this {
    this.state = 'queued';
    this.#end = { place };
    return this.#tell('status').#say('status', this.#standing);
  }

  running(): this {
    this.state = 'running';
    this.#end = {};
    return this.#tell('status').#say('status', this.#standing);
  }

  output(line: string, stream: 'stdout' | 'stderr' = 'stdout'): this { return this.#say('output', { line, stream }); }

  log(message: string, level = 'info'): this {
    this.#logs.push({ time: this.#world.time(), level, message });
    return this.#say('log', { message, level });
  }

  /** A text goes on. */
  text(content: string): this {
    const offset = this.#offset;
    this.#offset += new TextEncoder().encode(content).length;
    return this.#say('text', { offset, content }, { key: this.id, class: 'append' });
  }

  /** Any event on the topic of its kind. */
  event(type: string, data: Json = {}): this { return this.#publish(type, data); }

  complete(result: unknown = null): void {
    const members = isObject(result) ? result : {};
    this.#progress = 100;
    this.#finish('done', 'completed', { result }, 'complete', { status: 'completed', duration: this.#duration, result, ...members });
  }

  fail(message: string, { code = 'failed', details = null, suggestedActions = [] }: JobFailure = {}): void {
    const error = { error: message, code, details, suggested_actions: suggestedActions };
    this.#finish('failed', 'error', error, 'error', { status: 'failed', duration: this.#duration, ...error });
  }

  cancelled(): void { this.#finish('cancelled', 'cancelled', {}, 'cancelled', { status: 'cancelled', duration: this.#duration }); }

  /** What to do when it is cancelled; in the end that calls cancelled(). Without, it is cancelled at once. */
  onCancel(fn: () => void): void {
    this.#listens = true;
    this.signal.addEventListener('abort', fn);
  }

  /** Somebody cancels it. */
  cancel(): State {
    if (this.hasEnded || this.state === 'cancelling') return this.state;
    this.state = 'cancelling';
    // Behind the answer to who cancels it.
    queueMicrotask(() => {
      this.#tell('status').#say('status', this.#standing);
      this.#abort.abort();
      if (!this.#listens) this.cancelled();
    });
    return 'cancelling';
  }

  /** For jobs.ts: it is told for the first time. */
  begin(): void {
    this.#say('start', { status: this.state }).#tell('status').#say('status', this.#standing);
  }

  get #standing(): Json {
    return clean({ status: this.state === 'done' ? 'completed' : this.state, progress: this.#progress, step: this.#step, message: this.#message });
  }

  get #duration(): number { return (Date.parse(this.#world.time()) - Date.parse(this.#created)) / 1000; }

  #tell(type: string, cls?: 'latest'): this {
    if (!this.hasEnded || type !== 'progress') this.#world.append({ topic: `jobs/${this.id}`, type, key: 'job', class: cls, data: this.#document, actor: this.owner });
    return this;
  }

  #say(what: keyof NonNullable<KindOptions['events']>, data: Json, more: { key?: string; class?: 'append'; clears?: boolean } = {}): this {
    const type = this.#options.events?.[what];
    return type === undefined ? this : this.#publish(type, data, more);
  }

  #publish(type: string, data: Json, more: { key?: string; class?: 'append'; clears?: boolean } = {}): this {
    if (this.topic === undefined) return this;
    const carried = Object.fromEntries((this.#options.carry ?? []).map(name => [name, this.params[name]]));
    const said = clean({ ...data, job_id: this.id, ...carried, request_id: this.requestId });
    this.#world.append({ topic: this.topic, type, data: said, actor: this.owner, ...more });
    return this;
  }

  #finish(state: State, type: string, end: Json, what: 'complete' | 'error' | 'cancelled', said: Json): void {
    if (this.hasEnded) return;
    this.state = state;
    this.#ended = this.#world.time();
    this.#end = end;
    this.#tell(type).#say(what, said, this.#offset > 0 ? { key: this.id, clears: true } : {});
  }
}

export type Handler = (job: TestJob) => unknown;

export class Jobs {
  readonly all = new Map<string, TestJob>();
  #world: World;
  #kinds = new Map<string, { run: Handler; options: KindOptions }>();
  /** By what makes a repeated start the same job. */
  #known = new Map<string, { content: string; job: TestJob }>();

  constructor(world: World) { this.#world = world; }

  declare(kind: string, run: Handler, options: KindOptions): void { this.#kinds.set(kind, { run, options }); }

  isShownTo(id: string, principal: Principal): boolean {
    const job = this.all.get(id);
    return job !== undefined && (job.owner === principal.sub || job.viewers.includes(principal.sub));
  }

  start(principal: Principal, body: unknown, more: { key?: string; session?: string; given?: Json; scope?: string } = {}): TestJob {
    if (!isObject(body) || typeof body.kind !== 'string') throw new Refusal('bad_request', 'A start needs a `kind`.');
    const kind = this.#kinds.get(body.kind), requestId = body.request_id as string | undefined, params = { ...(isObject(body.params) ? body.params : {}), ...more.given };
    if (!kind) throw new Refusal('bad_request', 'There is no kind of job with this name.');
    const place = more.key !== undefined ? `${principal.sub} ${more.key}` : requestId !== undefined ? `${more.session ?? more.scope} ${requestId}` : undefined;
    const content = JSON.stringify([body.kind, params]), known = place === undefined ? undefined : this.#known.get(place);
    if (known && known.content !== content) throw new Refusal('idempotency_mismatch', 'The key was used with other content; use a new key for new content.');
    if (known) return known.job;
    const id = this.#world.nextId(32), topic = this.#topicOf(kind.options, { ...params, sub: segmentOf(principal.sub), job_id: id, session: more.session, request_id: requestId });
    if (kind.options.who ? !kind.options.who(principal.sub) : false) throw new Refusal('forbidden', 'You may not start jobs of this kind.');
    const viewers = Array.isArray(body.viewers) ? body.viewers as string[] : [];
    const job = new TestJob(this.#world, kind.options, { id, kind: body.kind, owner: principal.sub, viewers, params, requestId, topic });
    this.all.set(id, job);
    if (place !== undefined) this.#known.set(place, { content, job });
    job.begin();
    // A turn later, so that whoever started it has its answer first.
    queueMicrotask(() => queueMicrotask(() => {
      Promise.resolve().then(() => kind.run(job)).catch((error: unknown) => job.fail(String((error as Error).message ?? error), { code: 'exit_status' }));
    }));
    return job;
  }

  #topicOf({ topic }: KindOptions, values: Json): string | undefined {
    return topic?.replace(/\{(\w+)\}/g, (_, name: string) => {
      if (values[name] === undefined) throw new Refusal('bad_request', name === 'session' ? 'This kind is started within a session, as on /ws/enhance.' : `Parameter ${name} is missing.`);
      return String(values[name]);
    });
  }

  /** Those that are meant: by id, by request, or all of a proposal that run. */
  cancel(principal: Principal, which: { id?: unknown; requestId?: unknown; proposalId?: unknown }): TestJob[] {
    const jobs = [...this.all.values()].filter(job => (which.id !== undefined ? job.id === which.id
      : which.requestId !== undefined ? job.requestId === which.requestId && job.owner === principal.sub
        : job.params.proposal_id === which.proposalId && !job.hasEnded) && this.#sees(principal, job));
    if (jobs.length === 0) throw new Refusal('not_found', 'There is no such job, or it is not yours.');
    for (const job of jobs) {
      const may = job.owner === principal.sub || principal.roles.includes('admin') || (job.topic !== undefined && mayPublish(principal, job.topic) === undefined);
      if (!may) throw new Refusal('forbidden', 'You may not cancel it.');
      job.cancel();
    }
    return jobs;
  }

  #sees(principal: Principal, job: TestJob): boolean { return this.isShownTo(job.id, principal) || maySee(principal, `jobs/${job.id}`); }

  serve(principal: Principal, method: string, parts: string[], body: unknown, headers: Headers, query: URLSearchParams): Answer {
    const [id, verb] = parts;
    if (id === undefined && method === 'POST') {
      const job = this.start(principal, body, { key: headers.get('idempotency-key') ?? undefined });
      return { status: 202, body: { ...job.shown, position: this.#world.position }, headers: { location: `/api/v1/jobs/${job.id}` } };
    }
    if (id === undefined) {
      const of = (name: 'kind' | 'state') => (job: TestJob) => !query.has(name) || query.getAll(name).includes(job[name]);
      const jobs = [...this.all.values()].filter(job => this.#sees(principal, job)).filter(of('kind')).filter(of('state'));
      return { status: 200, body: { jobs: jobs.map(job => job.shown), next: null } };
    }
    if (verb === 'cancel') return { status: 202, body: { job_id: id, state: this.cancel(principal, { id })[0]!.state } };
    const job = this.all.get(id);
    if (!job || !this.#sees(principal, job)) throw new Refusal('not_found', 'There is no such job, or it is not yours.');
    return { status: 200, body: { ...job.shown, position: this.#world.position } };
  }
}
