// SPDX-License-Identifier: Apache-2.0
// One use of a pattern: its handlers, and the events that it must not show yet.
import { emitter } from './emitter.ts';
import type { Guarded } from './emitter.ts';
import { TidingsError } from './errors.ts';
import type { Gap, Position, Stop, TidingsErrorShape, TidingsEvent, Topic, TopicOptions, TopicPhase } from './types.ts';

const HELD_EVENTS = 1000, HELD_BYTES = 1 << 20, UNREAD_EVENTS = 10_000;
/** Ids of history that are remembered, to know what comes a second time. */
const SEEN_IDS = 2000;
const RETRY_MAX_MS = 30_000;

/** What is to be asked for. */
export interface Ask { since?: Position | 'earliest'; state?: boolean }

export interface UseDeps {
  guarded: Guarded;
  later(fn: () => void, ms: number): Stop;
  /** Of the connection. */
  position(): Position | undefined;
  /** `ask` is another: it is to be asked for. */
  asked(): void;
  closed(use: Use): void;
}

/** What the table of topics knows and tells it, beside what the user does. */
export interface Use extends Topic {
  /** What is not answered yet; undefined once it has all that it asked for. */
  ask?: Ask;
  /** The SUBSCRIBE that it waits for. */
  ref?: number;
  /** It has its place in the stream of the connection, and goes on from the connection's position. */
  settled: boolean;
  /** Retained state is for it, too. */
  stateful: boolean;
  /** Where the last page had come to, of a use that has nothing yet. */
  restore(since: Position | undefined): void;
  to(phase: TopicPhase, error?: TidingsErrorShape): void;
  /** It is subscribed at `position`: beside the stream when what it asks for is history. */
  joined(position: Position, isHistory: boolean): void;
  /** All that it asked for is there. */
  caughtUp(): void;
  /** The connection is gone. What is held for a snapshot stays; what came beside the stream is asked for again. */
  paused(isFinal: boolean): void;
  /** What it has in the stream is asked for beside the one of a new connection. */
  unsettle(since?: Position): void;
  /** It is not subscribed; a later connection may ask anew. */
  deny(error: TidingsErrorShape): void;
  /** An event of the stream, of so many characters. */
  live(event: TidingsEvent, size: number): void;
  history(event: TidingsEvent): void;
  /** It comes again in the stream, and was seen. */
  skip(id: Position): void;
  state(event: TidingsEvent, size: number): void;
  gap(gap: Gap, isHistory: boolean): void;
}

export function useOf(name: string, options: TopicOptions, d: UseDeps): Use {
  const { guarded } = d;
  const events = emitter<[TidingsEvent]>(guarded), gaps = emitter<[Gap]>(guarded);
  const watchers = emitter<[]>(guarded), ends = emitter<[]>(guarded);
  const seen = new Set<Position>();
  /** Up to where it has seen everything, as long as that is not up to where the connection is. */
  let at: Position | undefined;
  /** Live events that have to wait. */
  let held: TidingsEvent[] | undefined, size = 0, isTooMuch = false;
  let snapshot: AbortController | undefined, isClosed = false;
  let resolve: () => void, reject: (error: unknown) => void;

  const use: Use = {
    name,
    phase: 'joining',
    settled: false,
    stateful: false,
    ready: new Promise<void>((...both) => { [resolve, reject] = both; }),
    get position() { return use.settled && !held ? d.position() : at; },

    on(type: string, fn: (event: never) => void) {
      return events.add(event => { if (type === '*' || type === event.type) fn(event as never); });
    },
    onGap: gaps.add,
    watch: watchers.add,
    close() {
      isClosed = true;
      drop();
      reject(new TidingsError('closed', `${name} was closed.`));
      ends.tell();
      for (const one of [events, gaps, watchers, ends]) one.clear();
      d.closed(use);
    },
    [Symbol.dispose || Symbol()]: () => use.close(),
    async *[Symbol.asyncIterator]() {
      const unread: TidingsEvent[] = [];
      let wake = () => {};
      const stops = [events.add(event => { unread.push(event); wake(); }), ends.add(() => wake())];
      try {
        for (;;) {
          if (unread.length > UNREAD_EVENTS) throw new TidingsError('overflow', `${name}: ${UNREAD_EVENTS} events were not read.`);
          if (unread.length) yield unread.shift()!;
          else if (isClosed) return;
          else await new Promise<void>(resume => { wake = resume; });
        }
      } finally {
        for (const stop of stops) stop();
      }
    },

    restore(since) {
      if (since && !options.snapshot) begin(since);
    },
    to(phase, error) {
      if (use.phase === phase && use.error === error) return;
      Object.assign(use, { phase, error });
      if (phase === 'live') resolve();
      if (phase === 'denied') reject(error);
      watchers.tell();
    },
    joined(position, isHistory) {
      const { since, state } = use.ask!, isFresh = !use.settled && !since;
      at = isHistory ? since : position;
      use.settled = !isHistory;
      use.stateful = !!state;
      if (isHistory) hold();
      else if (isFresh && options.snapshot) load(position, 0);
      if (since || state) use.to('catching-up');
      else done();
    },
    caughtUp() {
      use.stateful = false;
      // More came meanwhile than is kept here, but the log has it.
      if (isTooMuch) return again({ since: at });
      use.settled = true;
      if (!snapshot) release();
      done();
    },
    paused(isFinal) {
      // Nobody waits for what a snapshot would bring.
      if (isFinal && snapshot) begin();
      use.ref = undefined;
      use.stateful = false;
      // What has come need not come again; of the state that is not known.
      if (!use.settled) {
        drop();
        use.ask = { ...use.ask, since: at };
      } else if (use.ask) {
        use.ask = use.ask.state ? { state: true } : undefined;
      }
      if (use.phase !== 'denied') use.to(use.settled ? 'paused' : 'joining');
    },
    unsettle(since) {
      if (snapshot) return begin();
      use.settled = false;
      use.ask = { since: at = since, state: use.ask?.state };
    },
    deny(error) {
      const { position } = use;
      begin();
      // Granted again, who began somewhere goes on from where he is.
      if (use.ask!.since) use.ask!.since = at = position;
      use.to('denied', error);
    },
    live(event, length) {
      if (event.id && seen.size) {
        if (seen.delete(event.id)) return;
        // Behind the first that is new, all are.
        if (!held) seen.clear();
      }
      if (!held) return show(event);
      if (isTooMuch) return;
      held.push(event);
      size += length;
      if (held.length > HELD_EVENTS || size > HELD_BYTES) overflow();
    },
    history(event) {
      use.skip(event.id!);
      at = event.id;
      show(event);
    },
    skip(id) {
      seen.add(id);
      if (seen.size > SEEN_IDS) seen.delete(seen.values().next().value!);
    },
    state(event, length) {
      if (snapshot) use.live(event, length);
      else show(event);
    },
    gap(gap, isHistory) {
      use.stateful = true;
      gaps.tell(gap);
      if (!options.snapshot) return;
      if (isHistory) begin();
      else load(gap.to, 0);
    },
  };

  // From the beginning, as the user wanted it.
  function begin(position?: Position): void {
    const wanted = options.since ?? position ?? 'now', since = wanted === 'now' ? undefined : wanted;
    again({ since, state: options.state ?? !(since || options.snapshot) });
  }

  function again(ask: Ask): void {
    drop();
    use.settled = false;
    use.ref = undefined;
    use.ask = ask;
    at = ask.since;
    if (use.phase !== 'denied') use.to('joining');
    d.asked();
  }

  function done(): void {
    use.ask = use.ref = undefined;
    use.to(snapshot ? 'catching-up' : 'live');
  }

  function hold(): void {
    held = [];
    size = 0;
    isTooMuch = false;
  }

  function drop(): void {
    snapshot?.abort();
    snapshot = held = undefined;
    isTooMuch = false;
  }

  function release(): void {
    const waited = held ?? [];
    held = undefined;
    for (const event of waited) if (event.state || !seen.delete(event.id!)) show(event);
  }

  function overflow(): void {
    held = [];
    isTooMuch = true;
    if (!snapshot) return; // caughtUp() goes on from what was shown
    gaps.tell({ from: at!, to: d.position()!, reason: 'overflow' });
    begin();
  }

  // Runs the user's snapshot; meanwhile events are held.
  async function load(position: Position, tries: number): Promise<void> {
    if (!tries) {
      drop();
      hold();
      at = position;
    }
    const { signal } = snapshot = new AbortController();
    use.to('catching-up');
    try {
      const answer = await options.snapshot!({ position, signal });
      if (signal.aborted) return;
      // A backend that tells the position of what it gave saves showing what that has already.
      held!.splice(0, held!.findIndex(event => event.id === answer) + 1);
      snapshot = undefined;
      release();
      if (!use.ask && use.phase === 'catching-up') use.to('live');
    } catch (error) {
      if (signal.aborted) return;
      signal.onabort = d.later(() => load(position, tries + 1), Math.min(RETRY_MAX_MS, 1000 * 2 ** tries));
      use.to(use.phase, new TidingsError('snapshot', `The snapshot failed: ${error}`));
    }
  }

  function show(event: TidingsEvent): void {
    if (options.types?.includes(event.type) ?? true) events.tell(event);
  }

  use.ready.catch(() => {});
  if (options.onEvent) use.on('*', options.onEvent);
  if (options.onGap) use.onGap(options.onGap);
  begin();
  return use;
}
