// SPDX-License-Identifier: Apache-2.0
// One use of a pattern: its handlers, and the events that it must not show yet.
import { TidingsError } from './errors.ts';
import type { Gap, Position, Stop, TidingsErrorShape, TidingsEvent, Topic, TopicOptions, TopicPhase } from './types.ts';

const HELD_EVENTS = 1000, HELD_BYTES = 1 << 20, UNREAD_EVENTS = 10_000;
/** Ids of history that are remembered, to know what comes a second time. */
const SEEN_IDS = 2000;

/** What is to be asked for. */
export interface Ask { since?: Position | 'earliest'; state: boolean }

export interface UseDeps {
  /** Calls what the user gave; what that throws is reported and goes no further. */
  guarded(fn: () => void): void;
  /** It is to be asked for: `ask` is another. */
  asked(): void;
  closed(use: Use): void;
  retryLater(fn: () => void, ms: number): Stop;
}

export class Use implements Topic {
  readonly name: string;
  phase: TopicPhase = 'joining';
  error?: TidingsErrorShape;
  readonly ready: Promise<void>;
  /** What is not answered yet; undefined once it has all that it asked for. */
  ask?: Ask;
  /** The SUBSCRIBE that it waits for. */
  ref?: number;
  /** It has its place in the stream of the connection, and goes on from the connection's position. */
  settled = false;
  /** Retained state is for it, too. */
  stateful = false;
  readonly options: TopicOptions;

  #deps: UseDeps;
  #position?: Position;
  #streamed: () => Position | undefined;
  #held?: TidingsEvent[];
  #bytes = 0;
  #overflowed = false;
  #seen?: Set<Position>;
  #snapshot?: AbortController;
  #handlers = new Map<string, Set<(event: never) => void>>();
  #gaps = new Set<(gap: Gap) => void>();
  #watchers = new Set<() => void>();
  #ends = new Set<() => void>();
  #settle!: { resolve(): void; reject(error: unknown): void };

  constructor(name: string, options: TopicOptions, deps: UseDeps, streamed: () => Position | undefined, since?: Position) {
    this.name = name;
    this.options = options;
    this.#deps = deps;
    this.#streamed = streamed;
    if (options.onEvent) this.on('*', options.onEvent);
    if (options.onGap) this.onGap(options.onGap);
    this.ready = new Promise<void>((resolve, reject) => { this.#settle = { resolve, reject }; });
    this.ready.catch(() => {});
    this.#begin(since);
  }

  get position(): Position | undefined {
    return this.settled && !this.#held ? this.#streamed() : this.#position;
  }

  // ---- for the user ----

  on(type: string, fn: (event: never) => void): Stop {
    return add(this.#handlers.get(type) ?? this.#handlers.set(type, new Set()).get(type)!, fn);
  }

  onGap(fn: (gap: Gap) => void): Stop {
    return add(this.#gaps, fn);
  }

  watch(fn: () => void): Stop {
    return add(this.#watchers, fn);
  }

  close(): void {
    this.#snapshot?.abort();
    this.#settle.reject(new TidingsError('closed', `${this.name} was closed.`));
    for (const end of this.#ends) end();
    for (const set of [this.#handlers, this.#gaps, this.#watchers, this.#ends]) set.clear();
    this.#deps.closed(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TidingsEvent> {
    const unread: TidingsEvent[] = [];
    let wake = () => {}, over = false;
    const stop = this.on('*', (event: TidingsEvent) => { unread.push(event); wake(); });
    const end = () => { over = true; wake(); };
    this.#ends.add(end);
    try {
      for (;;) {
        if (unread.length > UNREAD_EVENTS) throw new TidingsError('overflow', `${this.name}: ${UNREAD_EVENTS} events were not read.`);
        if (unread.length) yield unread.shift()!;
        else if (over) return;
        else await new Promise<void>(resolve => { wake = resolve; });
      }
    } finally {
      stop();
      this.#ends.delete(end);
    }
  }

  // ---- for the table of topics ----

  to(phase: TopicPhase, error?: TidingsErrorShape): void {
    if (this.phase === phase && this.error === error) return;
    this.phase = phase;
    this.error = error;
    if (phase === 'live') this.#settle.resolve();
    if (phase === 'denied') this.#settle.reject(error);
    this.changed();
  }

  changed(): void {
    for (const fn of [...this.#watchers]) this.#deps.guarded(fn);
  }

  /** It is subscribed at `position`: beside the stream when what it asks for is history. */
  joined(position: Position, history: boolean): void {
    const { since, state } = this.ask!;
    const fresh = !this.settled && !since;
    this.#position = history ? since : position;
    this.settled = !history;
    this.stateful = state;
    if (history) this.#hold();
    else if (fresh && this.options.snapshot) this.#load(position);
    if (since || state) this.to('catching-up');
    else this.#done();
  }

  /** All that it asked for is there. */
  caughtUp(): void {
    this.stateful = false;
    if (this.#overflowed) {
      // More came meanwhile than is kept here, but the log has it.
      this.#drop();
      this.#again({ since: this.#position!, state: false });
      return;
    }
    this.settled = true;
    if (!this.#snapshot) this.#release();
    this.#done();
  }

  /** The connection is gone. What is held for a snapshot stays; what came beside the stream is asked for again. */
  paused(): void {
    this.ref = undefined;
    this.stateful = false;
    if (!this.settled) this.#drop();
    // What came of it in the stream need not come again; of the state that is not known.
    else if (this.ask) this.ask = this.ask.state ? { state: true } : undefined;
    if (this.phase !== 'denied') this.to(this.settled ? 'paused' : 'joining');
  }

  /** What it has is asked for beside the stream of a new connection. */
  unsettle(since?: Position): void {
    if (this.#snapshot) {
      this.#drop();
      this.#begin();
      return;
    }
    this.settled = false;
    this.ask = { since, state: !!this.ask?.state };
  }

  /** It is not subscribed; a later connection may ask anew. */
  deny(error: TidingsErrorShape): void {
    this.#drop();
    this.#begin();
    this.to('denied', error);
  }

  live(event: TidingsEvent, size: number): void {
    if (event.id && this.#seen?.size) {
      if (this.#seen.delete(event.id)) return;
      // Behind the first that is new, all are.
      if (!this.#held) this.#seen = undefined;
    }
    if (!this.#held) return this.#show(event);
    if (this.#overflowed) return;
    this.#held.push(event);
    this.#bytes += size;
    if (this.#held.length > HELD_EVENTS || this.#bytes > HELD_BYTES) this.#overflow();
  }

  history(event: TidingsEvent): void {
    this.skip(event.id!);
    this.#position = event.id;
    this.#show(event);
  }

  /** It comes again in the stream, and was seen. */
  skip(id: Position): void {
    this.#seen ??= new Set();
    this.#seen.add(id);
    if (this.#seen.size > SEEN_IDS) this.#seen.delete(this.#seen.values().next().value!);
  }

  state(event: TidingsEvent, size: number): void {
    if (this.#snapshot) this.live(event, size);
    else this.#show(event);
  }

  gap(gap: Gap, history: boolean): void {
    this.stateful = true;
    for (const fn of this.#gaps) this.#deps.guarded(() => fn(gap));
    if (!this.options.snapshot) return;
    this.#drop();
    if (history) this.#begin();
    else this.#load(gap.to);
  }

  // ---- inside ----

  #begin(since?: Position): void {
    const wanted = this.options.since ?? since ?? 'now';
    const from = wanted === 'now' ? undefined : wanted;
    this.#again({ since: from, state: this.options.state ?? !(from || this.options.snapshot) });
  }

  #again(ask: Ask): void {
    this.settled = false;
    this.ref = undefined;
    this.ask = ask;
    if (this.phase !== 'denied') this.to('joining');
    this.#deps.asked();
  }

  #done(): void {
    this.ask = this.ref = undefined;
    this.to(this.#snapshot ? 'catching-up' : 'live');
  }

  #hold(): void {
    this.#held = [];
    this.#bytes = 0;
    this.#overflowed = false;
  }

  #drop(): void {
    this.#snapshot?.abort();
    this.#snapshot = this.#held = undefined;
    this.#overflowed = false;
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) if (!event.id || event.state || !this.#seen?.delete(event.id)) this.#show(event);
  }

  #overflow(): void {
    this.#overflowed = true;
    this.#held = [];
    if (!this.#snapshot) return; // caughtUp() goes on from what was shown
    const gap: Gap = { from: this.#position!, to: this.#streamed()!, reason: 'overflow' };
    this.#drop();
    for (const fn of this.#gaps) this.#deps.guarded(() => fn(gap));
    this.#begin();
  }

  // Runs the user's snapshot; meanwhile events are held.
  async #load(position: Position, tries = 0): Promise<void> {
    const control = this.#snapshot = new AbortController();
    if (!tries) {
      this.#hold();
      this.#position = position;
    }
    this.to('catching-up');
    try {
      const answer = await this.options.snapshot!({ position, signal: control.signal });
      if (control.signal.aborted) return;
      // A backend that tells the position of what it gave saves showing what that has already.
      const at = this.#held!.findIndex(event => event.id === answer);
      if (at >= 0) this.#held!.splice(0, at + 1);
      this.#snapshot = undefined;
      this.#release();
      if (!this.ask && this.phase === 'catching-up') this.to('live');
    } catch (error) {
      if (control.signal.aborted) return;
      const stop = this.#deps.retryLater(() => this.#load(position, tries + 1), Math.min(30_000, 1000 * 2 ** tries));
      control.signal.onabort = stop;
      this.error = error instanceof TidingsError ? error : new TidingsError('snapshot', `The snapshot failed: ${error}`);
      this.changed();
    }
  }

  #show(event: TidingsEvent): void {
    const { types } = this.options;
    if (types && !types.includes(event.type)) return;
    for (const type of [event.type, '*'])
      for (const fn of [...this.#handlers.get(type) ?? []]) this.#deps.guarded(() => fn(event as never));
  }
}

// The same function may be given twice, and is then called twice.
function add<T extends (...given: never[]) => void>(set: Set<T>, fn: T): Stop {
  const one = ((...given) => fn(...given)) as T;
  set.add(one);
  return () => { set.delete(one); };
}
