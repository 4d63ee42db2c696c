// SPDX-License-Identifier: Apache-2.0
// The log: events in one order, the state that they leave, and what has been dropped.
import { overlap } from './names.ts';

export interface Draft {
  topic: string;
  type: string;
  data?: unknown;
  key?: string;
  class?: 'log' | 'latest' | 'append' | 'ephemeral';
  actor?: string;
  origin?: string;
  /** It leaves no state, and ends what there is of its key. */
  clears?: boolean;
}

export interface Stored extends Draft { readonly id?: string; readonly seq: number; readonly time: string; readonly data: unknown }

type State = Map<string, Stored[]>;

export interface Where { seq: number; gap?: { from: string; to: string; reason: 'retention' | 'epoch' | 'unsynced' } }

export class Log {
  epoch: string;
  /** Sequences of the last event, and of the last one that was dropped. */
  head = 0;
  horizon = 0;
  events: Stored[] = [];
  #state: State = new Map();
  /** As of the horizon. */
  #base: State = new Map();

  constructor(epoch: string) { this.epoch = epoch; }

  position(seq: number): string { return `${this.epoch}.${seq}`; }

  append(draft: Draft, time: string): Stored {
    const seq = ++this.head, event: Stored = { ...draft, data: draft.data ?? null, id: this.position(seq), seq, time };
    this.events.push(event);
    keep(this.#state, event);
    return event;
  }

  /** Events of these patterns behind a sequence, up to another one. */
  after(seq: number, patterns: Iterable<string>, to = this.head): Stored[] {
    const all = [...patterns];
    return this.events.filter(event => event.seq > seq && event.seq <= to && all.some(pattern => overlap(pattern, event.topic)));
  }

  /** The state of these patterns, now or as of the horizon. */
  state(patterns: Iterable<string>, at: 'head' | 'horizon' = 'head'): Stored[] {
    const all = [...patterns], events = [...(at === 'head' ? this.#state : this.#base).values()].flat();
    return events.filter(event => all.some(pattern => overlap(pattern, event.topic))).sort((a, b) => a.seq - b.seq);
  }

  /** The event that is the state of a topic and key. */
  latest(topic: string, key: string): Stored | undefined { return this.#state.get(`${topic} ${key}`)?.at(-1); }

  /** Drops events up to a sequence; state stays. */
  trim(seq: number): void {
    for (const event of this.events) if (event.seq <= seq) keep(this.#base, event);
    this.events = this.events.filter(event => event.seq > seq);
    this.horizon = Math.max(this.horizon, seq);
  }

  /** Where a reader goes on that has seen everything up to a position, and what of it is gone. undefined: that is no position. */
  find(since: string): Where | undefined {
    if (since === 'now') return { seq: this.head };
    if (since === 'earliest') return { seq: this.horizon };
    const [, epoch, digits] = /^([0-9a-f]{8})\.(\d{1,19})$/.exec(since) ?? [], seq = Number(digits);
    if (epoch === undefined) return undefined;
    const gap = (to: number, reason: 'retention' | 'epoch' | 'unsynced') => ({ seq: to, gap: { from: since, to: this.position(to), reason } });
    if (epoch !== this.epoch) return gap(this.horizon, 'epoch');
    if (seq > this.head) return gap(this.head, 'unsynced');
    return seq < this.horizon ? gap(this.horizon, 'retention') : { seq };
  }
}

/** State as it is sent: the chunks of a text in one. */
export function joined(events: Stored[]): Stored[] {
  const texts = new Map<string, Stored>();
  for (const event of events) {
    if (event.class !== 'append') continue;
    const place = `${event.topic} ${event.key}`, before = texts.get(place)?.data as { content: string; offset: number } | undefined;
    const data = event.data as { content: string; offset: number };
    texts.set(place, before ? { ...event, data: { ...data, content: before.content + data.content, offset: before.offset } } : event);
  }
  return [...events.filter(event => event.class !== 'append'), ...texts.values()];
}

function keep(state: State, event: Stored): void {
  if (event.key === undefined) return;
  const place = `${event.topic} ${event.key}`, before = state.get(place);
  if (event.data === null || event.clears) state.delete(place);
  else if (event.class === 'append' && before && (event.data as { offset: number }).offset > 0) before.push(event);
  else state.set(place, [event]);
}
