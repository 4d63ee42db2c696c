// SPDX-License-Identifier: Apache-2.0
// The newest events of a topic, for a feed.
import type { Client, EventOf, RegisteredSchema, TidingsEvent, TopicOptions } from '@tidings/client';
import { pacer } from './pace.ts';
import { useShared, Watchers } from './shared.ts';
import type { Watchable } from './shared.ts';

export interface EventsOptions extends Pick<TopicOptions, 'since' | 'state'> {
  /** How many are kept: the newest. 200. */
  max?: number;
  types?: readonly string[];
}

interface Feed extends Watchable { readonly events: readonly TidingsEvent[] }

const NONE: readonly TidingsEvent[] = [];
const eventsOf = (feed: Feed | undefined) => feed?.events ?? NONE;

function feed(client: Client, name: string, { max = 200, ...options }: EventsOptions): Feed {
  const watchers = new Watchers();
  let shown: readonly TidingsEvent[] = NONE;
  let fresh: TidingsEvent[] = [];
  // A page of history is one render, and so is what comes within a frame.
  const pace = pacer(client.clock, 'frame', () => {
    shown = [...shown, ...fresh].slice(-max);
    fresh = [];
    watchers.tell();
  });
  const onEvent = (event: TidingsEvent) => {
    // State is shown again after a gap.
    if (event.state && [...shown, ...fresh].some(other => other.id === event.id)) return;
    fresh.push(event);
    if (fresh.length > 2 * max) fresh = fresh.slice(-max);
    pace.ask();
  };
  const topic = client.topic(name, { ...options, onEvent });
  return {
    get events() { return shown; },
    watch: fn => watchers.add(fn),
    close() {
      pace.stop();
      topic.close();
    },
  };
}

/** The newest events of a topic or pattern, oldest first; it renders once a frame at most. null: none. */
export function useEvents<const P extends string>(name: P | null, options: EventsOptions = {}): readonly EventOf<RegisteredSchema, P>[] {
  const key = name === null ? null : 'events:' + JSON.stringify([name, options.max, options.since, options.state, options.types]);
  const events = useShared<Feed, readonly TidingsEvent[]>(key, client => feed(client, name!, options), eventsOf);
  return events as unknown as readonly EventOf<RegisteredSchema, P>[];
}
