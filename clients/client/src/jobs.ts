// SPDX-License-Identifier: Apache-2.0
// Jobs: started, watched, cancelled.  A job goes on when nobody watches; whoever comes later sees it whole (docs/protocol.md, Jobs).
import { codeOf, failure, follow, isObject, plain, sendOnce, Watched } from './parts.ts';
import type {
  Client, Job, JobKind, JobProblem, JobState, JobStatus, LogLine, ParamsOf, Position, ResultOf, Schema, StartOptions, Stop, TidingsErrorShape,
  TidingsEvent, Topic,
} from './types.ts';

/** When no answer came to the question for a job it is asked again after this. */
const AGAIN_MS = 2000;

type Document = Record<string, unknown>;

const path = (id: string) => `/api/v1/jobs/${encodeURIComponent(id)}`;

function hasEnded(status: JobStatus | undefined): boolean {
  return status === 'done' || status === 'failed' || status === 'cancelled';
}

/** The problem of a document: an object when it was asked for, members of the document in an event. */
function problemOf(document: Document): JobProblem | undefined {
  const from = isObject(document.error) ? document.error : typeof document.error === 'string' ? { ...document, message: document.error } : undefined;
  return from && {
    message: String(from.message), code: String(from.code), details: from.details ?? undefined,
    suggestedActions: Array.isArray(from.suggested_actions) ? from.suggested_actions : [],
  };
}

function read<R>(id: string, document: Document, before: number): JobState<R> {
  // What the server does not know it says is null.
  const given = Object.fromEntries(Object.entries(document).filter(([, value]) => value !== null)) as Record<string, never>;
  return {
    id, kind: given.kind, status: given.state, progress: Math.max(Number(document.progress) || 0, before), step: given.step, message: given.message,
    result: given.result, error: problemOf(document), place: given.place, owner: given.owner, created: given.created, started: given.started,
    ended: given.ended, agents: given.agents, topic: given.topic,
  };
}

class Watching<R> implements Job<R> {
  readonly id: string;
  readonly done: Promise<R>;
  #client: Client<Schema>;
  #job: Watched<JobState<R>>;
  #topic: Topic | undefined;
  /** Where the events of the job's kind begin to be of interest. */
  #since: Position;
  #looking = false;
  #timer: unknown;
  #closed = false;
  #resolve!: (result: R) => void;
  #reject!: (error: unknown) => void;
  #uses = new Set<{ open(): void; topic?: Topic }>();

  constructor(client: Client<Schema>, id: string, since: Position, document?: Document) {
    this.id = id;
    this.#client = client;
    this.#since = since;
    this.#job = new Watched<JobState<R>>({ id, progress: 0 });
    this.done = new Promise<R>((resolve, reject) => { this.#resolve = resolve; this.#reject = reject; });
    this.done.catch(() => { /* who asks is told */ });
    if (document) this.#take(document);
    if (hasEnded(this.state.status)) return;
    this.#topic = follow(client, `jobs/${id}`, {
      event: event => { if (isObject(event.data)) this.#take(event.data); },
      // Live and nothing was shown, or not granted: there is no such job, it is not ours, or its state was dropped.
      phase: phase => { if ((phase === 'live' && !this.state.status) || phase === 'denied') this.#look(); },
    });
  }

  get state(): JobState<R> { return this.#job.state; }

  watch(fn: (state: JobState<R>) => void): Stop { return this.#job.watch(state => fn(state)); }

  onEvent(fn: (event: TidingsEvent) => void): Stop {
    const use = {
      topic: undefined as Topic | undefined,
      open: () => {
        // A kind without a topic of its own tells of itself in one place only.
        use.topic ??= follow(this.#client, this.state.topic ?? `jobs/${this.id}`, {
          event: event => { if (isObject(event.data) && event.data.job_id === this.id) fn(event); },
        }, { since: this.#since, state: false });
      },
    };
    this.#uses.add(use);
    if (this.state.status) use.open();
    return () => {
      this.#uses.delete(use);
      use.topic?.close();
    };
  }

  async cancel(): Promise<'cancelling' | 'ended'> {
    const { data } = await this.#client.request<{ state: JobStatus }>('POST', `${path(this.id)}/cancel`);
    return hasEnded(data.state) ? 'ended' : 'cancelling';
  }

  close(): void {
    this.#closed = true;
    this.#rest();
    for (const use of this.#uses) use.topic?.close();
    this.#uses.clear();
    this.#job.clear();
    this.#reject(failure({ code: 'closed', message: 'The job is not watched any more.' }));
  }

  /** Follows no more. */
  #rest(): void {
    this.#client.clock.clearTimeout(this.#timer);
    this.#topic?.close();
  }

  #take(document: Document): void {
    if (this.#closed || hasEnded(this.state.status)) return;
    const state = read<R>(this.id, document, this.state.progress);
    if (hasEnded(state.status)) this.#rest();
    if (state.status === 'done') this.#resolve(state.result as R);
    else if (state.status === 'failed') this.#reject(failure({ whatToDo: state.error?.suggestedActions[0], code: 'failed', message: 'The job has failed.', ...state.error }));
    else if (state.status === 'cancelled') this.#reject(failure({ code: 'cancelled', message: 'The job was cancelled.' }));
    this.#job.tell(state);
    for (const use of this.#uses) use.open();
  }

  #refuse(error: TidingsErrorShape): void {
    this.#rest();
    this.#reject(error);
    this.#job.tell({ ...this.state, refused: error });
  }

  /** Asks for the job: what it was, or why it can't be shown. */
  #look(): void {
    if (this.#looking || this.#closed || hasEnded(this.state.status)) return;
    this.#looking = true;
    this.#client.request<Document>('GET', path(this.id)).then(answer => {
      this.#take(answer.data);
      if (this.#topic?.phase === 'denied' && this.#topic.error && !hasEnded(this.state.status)) this.#refuse(this.#topic.error);
    }, (error: TidingsErrorShape) => {
      if (this.#closed) return;
      if (codeOf(error) === 'not_found' || codeOf(error) === 'forbidden') this.#refuse(error);
      else this.#timer = this.#client.clock.setTimeout(() => this.#look(), AGAIN_MS);
    }).finally(() => { this.#looking = false; });
  }
}

/** Watches a job that was started elsewhere, or before the page was loaded. Close it when nobody looks any more. */
export function job<R = unknown, S extends Schema = Schema>(client: Client<S>, id: string): Job<R> {
  return new Watching<R>(plain(client), id, 'earliest');
}

/**
 * Starts a job and watches it. By HTTP, where a lost answer is asked for again without a second start; by the connection when a `requestId` is given or
 * the endpoint has a session, whose job it becomes then. Rejects with a TidingsError: `rate_limited` when there is no room, `bad_request` for parameters.
 */
export async function startJob<S extends Schema, K extends JobKind<S>>(client: Client<S>, kind: K, params: ParamsOf<S, K>, options: StartOptions = {}):
Promise<Job<ResultOf<S, K>>> {
  const { requestId, viewers, idempotencyKey, signal } = options, from = plain(client);
  if (requestId !== undefined || from.welcome?.session !== undefined) {
    const members = { kind, params, viewers, request_id: requestId };
    const started = await from.command('start', members, signal);
    return new Watching<ResultOf<S, K>>(from, String(started.job_id), 'earliest');
  }
  const answer = await sendOnce<Document>(from, 'POST', '/api/v1/jobs', { body: { kind, params, viewers }, signal }, idempotencyKey);
  // The answer is of the very beginning, unless it is a repeat.
  const since = answer.repeated || idempotencyKey !== undefined ? undefined : answer.position;
  return new Watching<ResultOf<S, K>>(from, String(answer.data.job_id), since ?? 'earliest', answer.data);
}

/** What an event of a job says as a line of its log; undefined when it is none. */
export function logLine(event: TidingsEvent): LogLine | undefined {
  const data = isObject(event.data) ? event.data : {};
  const text = data.line ?? (data.level === undefined ? undefined : data.message);
  return typeof text !== 'string' ? undefined : {
    text, stream: data.stream as string | undefined, level: data.level as string | undefined, time: event.time, id: event.id,
  };
}
