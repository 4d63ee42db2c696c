// SPDX-License-Identifier: Apache-2.0
// Texts that grow while they are looked at, as the tokens of a language model.
import { failure, follow, isObject, plain, Watched } from './parts.ts';
import { GrowingText } from './text.ts';
import type { Client, JobProblem, Schema, Stop, TidingsEvent, TokenStream, Topic } from './types.ts';

export { GrowingText } from './text.ts';

export interface StreamOptions {
  /** Where the chunks are published: the topic of the job's kind (`job.state.topic`), or your own. */
  topic: string;
  /** Only chunks with this key; without it, of the first text that comes and matches the rest. */
  key?: string;
  jobId?: string;
  requestId?: string;
}

/** Of an event whose publisher is a job, or whoever uses the same words. */
interface Said {
  content?: unknown; offset?: unknown; job_id?: unknown; request_id?: unknown; agent?: unknown; duration?: unknown; status?: unknown; error?: unknown;
  code?: unknown; details?: unknown; suggested_actions?: unknown; result?: unknown; usage?: unknown;
}

/** Whether an event without the text's key tells the end of its job. */
function endsJob(said: Said): boolean {
  return typeof said.duration === 'number' && said.agent === undefined && said.status !== undefined;
}

class Stream implements TokenStream {
  status: TokenStream['status'] = 'waiting';
  error?: JobProblem;
  usage?: Record<string, unknown>;
  #client: Client<Schema>;
  #options: StreamOptions;
  #text = new GrowingText();
  /** After a gap: what is shown anew, until it is all there. */
  #anew: GrowingText | undefined;
  #key: string | undefined;
  #job: string | undefined;
  #topic: Topic;
  #watched = new Watched<undefined>(undefined);
  #mending = false;
  #closed = false;

  constructor(client: Client<Schema>, options: StreamOptions) {
    this.#client = client;
    this.#options = options;
    this.#key = options.key;
    this.#job = options.jobId;
    this.#topic = follow(client, options.topic, {
      event: event => this.#take(event),
      gap: () => { this.#anew = new GrowingText(); },
      phase: phase => {
        if (phase === 'live') {
          this.#show();
          this.#ask();
        } else if (phase === 'denied') {
          const { code = 'forbidden', message = '' } = this.#topic.error ?? {};
          this.#end('error', { code, message, suggestedActions: [] });
        }
      },
    });
  }

  get text(): string { return this.#text.text; }

  watch(fn: () => void): Stop { return this.#watched.watch(fn); }

  async cancel(): Promise<void> {
    if (this.#job !== undefined) await this.#client.request('POST', `/api/v1/jobs/${encodeURIComponent(this.#job)}/cancel`);
    else if (this.#options.requestId !== undefined) await this.#client.command('cancel', { request_id: this.#options.requestId });
    else throw failure({ code: 'not_found', message: 'Nothing has come of this text yet, so nobody knows its job.' });
  }

  close(): void {
    this.#closed = true;
    this.#topic.close();
    this.#watched.tell();
    this.#watched.clear();
  }

  /** What the text has grown by, for each who iterates from its beginning. Throws when the job failed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    for (let run = -1, at = 0; ;) {
      if (run !== this.#text.run) [run, at] = [this.#text.run, 0];
      const delta = this.text.slice(at);
      at = this.text.length;
      if (delta !== '') {
        yield delta;
        continue;
      }
      if (this.error) throw failure(this.error);
      if (this.#closed || this.#hasEnded()) return;
      await new Promise<void>(resolve => {
        const stop = this.#watched.watch(() => { stop(); resolve(); });
      });
    }
  }

  #hasEnded(): boolean { return this.status !== 'waiting' && this.status !== 'streaming'; }

  /** Whether an event may be about this text, by what was asked for. */
  #isOurs(said: Said): boolean {
    const { jobId, requestId } = this.#options;
    return (jobId === undefined || said.job_id === jobId) && (requestId === undefined || said.request_id === requestId);
  }

  #take(event: TidingsEvent): void {
    const said: Said = isObject(event.data) ? event.data : {}, { key } = event;
    if (this.#closed) return;
    if (key !== undefined && typeof said.content === 'string' && typeof said.offset === 'number') {
      if (!this.#isOurs(said) || key !== (this.#key ?? key)) return;
      this.#key = key;
      if (typeof said.job_id === 'string') this.#job = said.job_id;
      this.#put(said.content, said.offset, event.state === true);
    } else if (key !== undefined && key === this.#key) {
      this.#finish(said);
    } else if (endsJob(said) && this.#isOurs(said) && (this.#options.requestId !== undefined || said.job_id === this.#job)) {
      this.#finish(said);
    }
  }

  #put(content: string, offset: number, shown: boolean): void {
    if (!shown) this.#show();
    (this.#anew ?? this.#text).put(content, offset);
    this.status = 'streaming';
    if (this.#anew) return;
    if (this.#text.start > 0) this.#mend();
    this.#watched.tell();
  }

  /** What was shown anew takes the place of what there was, in one step. */
  #show(): void {
    const anew = this.#anew;
    this.#anew = undefined;
    if (!anew || anew.text === '') return;
    anew.run = this.#text.run + (anew.text.startsWith(this.text) ? 0 : 1);
    this.#text = anew;
    this.#watched.tell();
  }

  /** A part was missed, which a gap or a late start without state can do: the state has it. */
  #mend(): void {
    if (this.#mending) return;
    this.#mending = true;
    const query = { topic: this.#options.topic, since: 'now', state: 1 };
    this.#client.request<{ state?: TidingsEvent[] }>('GET', '/api/v1/events', { query }).then(({ data }) => {
      if (this.#closed) return;
      this.#anew = new GrowingText();
      for (const event of data.state ?? []) this.#take({ ...event, state: true });
      this.#show();
    }, () => { /* the part that came is all that there is */ }).finally(() => { this.#mending = false; });
  }

  /** Live, and nothing was said: the job may have ended before we came. */
  #ask(): void {
    if (this.#job === undefined || this.#hasEnded()) return;
    this.#client.request<Said & { state?: string }>('GET', `/api/v1/jobs/${encodeURIComponent(this.#job)}`).then(({ data }) => {
      if (this.#closed || this.#hasEnded() || !['done', 'failed', 'cancelled'].includes(data.state ?? '')) return;
      const error = isObject(data.error) ? { ...data.error, error: data.error.message } : {};
      this.#finish({ result: data.result, status: data.state, ...error });
    }, () => { /* what can't be seen is waited for */ });
  }

  /** The end says the whole text again where it came from a language model. */
  #finish(said: Said): void {
    const result = isObject(said.result) ? said.result : {};
    if (typeof result.text === 'string') {
      this.#anew = new GrowingText();
      this.#anew.put(result.text, 0);
    }
    this.#show();
    const usage = said.usage ?? result.usage;
    if (isObject(usage)) this.usage = usage;
    if (said.status === 'cancelled') this.#end('cancelled');
    else if (typeof said.error !== 'string') this.#end('done');
    else {
      const actions = Array.isArray(said.suggested_actions) ? said.suggested_actions : [];
      this.#end('error', { message: said.error, code: String(said.code), details: said.details ?? undefined, suggestedActions: actions });
    }
  }

  #end(status: 'done' | 'cancelled' | 'error', error?: JobProblem): void {
    this.status = status;
    if (error) this.error = error;
    this.#watched.tell();
  }
}

/** Follows a text. Who comes late has what was said before; close it when nobody reads any more. */
export function tokenStream<S extends Schema>(client: Client<S>, options: StreamOptions): TokenStream {
  return new Stream(plain(client), options);
}
