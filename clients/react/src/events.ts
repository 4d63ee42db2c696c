// SPDX-License-Identifier: Apache-2.0
// The newest events of a topic, for a feed.
import type { Client, EventOf, RegisteredSchema, TidingsEvent, TopicOptions } from '@tidings/client';
import { useFollowed } from './shared.ts';
import type { Followed } from './shared.ts';

export interface EventsOptions extends Pick<TopicOptions, 'since' | 'state'> {
  /** How many are kept: the newest. 200. */
  max?: number;
  types?: readonly string[];
}

const NONE: readonly TidingsEvent[] = [];

function feed(client: Client, news: () => void, name: string, { max = 200, ...options }: EventsOptions): Followed<readonly TidingsEvent[]> {
  let events: TidingsEvent[] = [];
  const onEvent = (event: TidingsEvent) => {
    // State is shown again after a gap.
    if (event.state && events.some(other => other.id === event.id)) return;
    events.push(event);
    if (events.length > 2 * max) events = events.slice(-max);
    news();
  };
  const topic = client.topic(name, { ...options, onEvent });
  return { read: () => events.slice(-max), stop: () => topic.close() };
}

/** The newest events of a topic or pattern, oldest first; it renders once a frame at most. null: none. */
export function useEvents<const P extends string>(name: P | null, options: EventsOptions = {}): readonly EventOf<RegisteredSchema, P>[] {
  const key = name === null ? null : 'events:' + JSON.stringify([name, options.max, options.since, options.state, options.types]);
  return useFollowed(key, (client, news) => feed(client, news, name!, options), NONE) as unknown as readonly EventOf<RegisteredSchema, P>[];
}
