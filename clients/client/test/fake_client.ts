// SPDX-License-Identifier: Apache-2.0
// A client whose topics and answers the test makes by hand: for what stands on a client and must not depend on how it gets its events.
import type {
  Answer, Client, Clock, ConnectionState, Gap, PublishOptions, Published, RequestOptions, Schema, Stop, TidingsErrorShape, TidingsEvent, Topic, TopicOptions, TopicPhase,
} from '../src/types.ts';

export class FakeClock implements Clock {
  #now = 0;
  #timers = new Map<number, { at: number; fn: () => void }>();
  #last = 0;

  now(): number { return this.#now; }

  setTimeout(fn: () => void, ms: number): number {
    this.#timers.set(++this.#last, { at: this.#now + ms, fn });
    return this.#last;
  }

  clearTimeout(timer: unknown): void { this.#timers.delete(timer as number); }

  get pending(): number { return this.#timers.size; }

  /** Runs what is due, and what that leads to. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const [next] = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (!next) break;
      this.#timers.delete(next[0]);
      this.#now = Math.max(this.#now, next[1].at);
      next[1].fn();
      await settle();
    }
    this.#now = end;
  }
}

/** All that is waiting for promises only. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

export class FakeTopic implements Topic {
  readonly name: string;
  readonly options: TopicOptions;
  phase: TopicPhase = 'joining';
  error?: TidingsErrorShape;
  closed = false;
  ready: Promise<void>;
  #watchers = new Set<() => void>();
  #live!: () => void;

  constructor(name: string, options: TopicOptions) {
    this.name = name;
    this.options = options;
    this.ready = new Promise(resolve => { this.#live = resolve; });
  }

  on(): Stop { throw new Error('not used'); }

  onGap(): Stop { throw new Error('not used'); }

  watch(fn: () => void): Stop {
    this.#watchers.add(fn);
    return () => this.#watchers.delete(fn);
  }

  close(): void { this.closed = true; }

  [Symbol.asyncIterator](): AsyncIterator<TidingsEvent> { throw new Error('not used'); }

  // What the connection does.

  become(phase: TopicPhase, error?: TidingsErrorShape): void {
    this.phase = phase;
    if (error) this.error = error;
    if (phase === 'live') this.#live();
    for (const fn of [...this.#watchers]) fn();
  }

  say(event: Partial<TidingsEvent>): void {
    if (this.closed) throw new Error('closed');
    const { types } = this.options;
    if (types && !types.includes(event.type!)) return;
    this.options.onEvent?.({ topic: this.name, type: 't', time: '2026-01-01T00:00:00.000Z', data: null, ...event });
  }

  gap(): void { this.options.onGap?.({ from: 'e.1', to: 'e.9', reason: 'retention' } as Gap); }
}

export function problem(status: number, code: string, members: Record<string, unknown> = {}): TidingsErrorShape {
  return Object.assign(new Error(code), { status, code, problem: { status, code, ...members } });
}

export interface Asked { method: string; path: string; options: RequestOptions; answer(data: unknown, position?: string): Promise<void>; refuse(error: TidingsErrorShape): Promise<void> }

export class FakeClient implements Client<Schema> {
  state: ConnectionState = { phase: 'online', status: 'connected', transport: 'websocket', attempt: 0, since: 0 };
  id = 'c1';
  user: string | null = 'ann';
  welcome: Record<string, unknown> = {};
  clock = new FakeClock();
  topics: FakeTopic[] = [];
  asked: Asked[] = [];
  commands: [string, Record<string, unknown>][] = [];
  answerCommand: (type: string, members: Record<string, unknown>) => Record<string, unknown> = () => ({});

  watch(): Stop { return () => { /* nothing is told */ }; }

  open(): void { /* it is */ }

  close(): void { /* it stays */ }

  async reauth(): Promise<void> { /* not asked for */ }

  switchTo(): void { /* not asked for */ }

  tap(): Stop { return () => { /* nothing is told */ }; }

  async publish(_topic: string, _type: string, _data?: unknown, _options?: PublishOptions): Promise<Published> { throw new Error('not used'); }

  topic(pattern: string, options: TopicOptions = {}): FakeTopic & Topic<never> {
    const topic = new FakeTopic(pattern, options);
    this.topics.push(topic);
    return topic as FakeTopic & Topic<never>;
  }

  request<T>(method: string, path: string, options: RequestOptions = {}): Promise<Answer<T>> {
    return new Promise((resolve, reject) => {
      this.asked.push({
        method, path, options,
        answer: (data, position) => { resolve({ status: 200, headers: new Headers(), data: data as T, position }); return settle(); },
        refuse: error => { reject(error); return settle(); },
      });
    });
  }

  async command(type: string, members: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    this.commands.push([type, members]);
    return this.answerCommand(type, members);
  }

  /** The topic of that name that is followed last. */
  followed(name: string): FakeTopic {
    const topic = this.topics.findLast(one => one.name === name && !one.closed);
    if (!topic) throw new Error(`${name} is not followed`);
    return topic;
  }

  /** The next request that nobody has looked at. */
  next(): Asked {
    const asked = this.asked.shift();
    if (!asked) throw new Error('nothing was asked');
    return asked;
  }

  /** Whether nothing is left: topics, timers. */
  get idle(): boolean { return this.topics.every(topic => topic.closed) && this.clock.pending === 0; }
}
