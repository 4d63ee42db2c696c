// SPDX-License-Identifier: Apache-2.0
// A client without a connection: what a test pushes, hooks are told; what they hold, a test can count.
import type { Client, Clock, ConnectionState, Job, JobState, TidingsEvent, TokenStream, Topic, TopicOptions, TopicPhase } from '@tidings/client';

/** A clock that stands still until it is turned. */
export class FakeClock implements Clock {
  private time = 0;
  private timers: { at: number; fn: () => void }[] = [];

  now(): number { return this.time; }

  setTimeout(fn: () => void, ms: number): unknown {
    const timer = { at: this.time + ms, fn };
    this.timers.push(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.timers = this.timers.filter(other => other !== timer);
  }

  turn(ms: number): void {
    const until = this.time + ms;
    for (;;) {
      const [next] = this.timers.filter(timer => timer.at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.clearTimeout(next);
      this.time = next.at;
      next.fn();
    }
    this.time = until;
  }

  get waiting(): number { return this.timers.length; }
}

export class FakeTopic {
  phase: TopicPhase = 'joining';
  closed = false;
  readonly watchers = new Set<() => void>();

  constructor(readonly name: string, readonly options: TopicOptions) {}

  watch(fn: () => void) {
    this.watchers.add(fn);
    return () => void this.watchers.delete(fn);
  }

  become(phase: TopicPhase) {
    this.phase = phase;
    for (const fn of this.watchers) fn();
  }

  close() { this.closed = true; }
}

export class FakeClient {
  readonly clock = new FakeClock();
  state: ConnectionState = { phase: 'idle', status: 'disconnected', attempt: 0, since: 0 };
  readonly watchers = new Set<(state: ConnectionState) => void>();
  /** All that were ever made, in order. */
  readonly topics: FakeTopic[] = [];
  readonly calls: unknown[][] = [];

  watch(fn: (state: ConnectionState) => void) {
    this.watchers.add(fn);
    return () => void this.watchers.delete(fn);
  }

  become(state: Partial<ConnectionState>) {
    this.state = { ...this.state, ...state };
    for (const fn of this.watchers) fn(this.state);
  }

  open() {
    this.calls.push(['open']);
    this.become({ phase: 'online', status: 'connected' });
  }

  close() {
    this.calls.push(['close']);
    this.become({ phase: 'closed', status: 'disconnected' });
  }

  switchTo(transport: string) { this.calls.push(['switchTo', transport]); }

  async reauth(token?: string) { this.calls.push(['reauth', token]); }

  async command(type: string, members?: unknown) {
    this.calls.push(['command', type, members]);
    return {};
  }

  topic(name: string, options: TopicOptions = {}): Topic {
    const made = new FakeTopic(name, options);
    this.topics.push(made);
    return made as unknown as Topic;
  }

  get open_topics() { return this.topics.filter(topic => !topic.closed); }

  say(topic: string, type: string, data: unknown, more: Partial<TidingsEvent> = {}) {
    const event: TidingsEvent = { id: `e.${this.said++}`, topic, type, time: '2026-11-27T12:00:00.000Z', data, ...more };
    for (const use of this.open_topics) if (use.name === topic) use.options.onEvent?.(event);
  }

  private said = 0;

  get client(): Client { return this as unknown as Client; }
}

/** A thing that is watched: what `job`, `tokenStream` and their like return. */
export class FakeThing<S> {
  closed = false;
  readonly watchers = new Set<() => void>();
  readonly listeners = new Set<(event: TidingsEvent) => void>();
  cancelled = 0;

  constructor(public state: S) {}

  watch(fn: () => void) {
    this.watchers.add(fn);
    return () => void this.watchers.delete(fn);
  }

  onEvent(fn: (event: TidingsEvent) => void) {
    this.listeners.add(fn);
    return () => void this.listeners.delete(fn);
  }

  become(state: Partial<S>) {
    this.state = { ...this.state, ...state };
    Object.assign(this, this.state);
    for (const fn of [...this.watchers]) fn();
  }

  async cancel() {
    this.cancelled++;
    return 'cancelling';
  }

  close() { this.closed = true; }
}

export class FakeJob extends FakeThing<JobState> {
  constructor(readonly id: string) { super({ id, progress: 0 }); }

  say(data: unknown) {
    for (const fn of this.listeners) fn({ topic: 'projects/1', type: 'output', time: '2026-11-27T12:00:00.000Z', data });
  }

  get job(): Job { return this as unknown as Job; }
}

export class FakeStream extends FakeThing<Partial<TokenStream>> {
  text = '';
  status: TokenStream['status'] = 'waiting';
}
