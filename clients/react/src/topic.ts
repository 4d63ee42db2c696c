// SPDX-License-Identifier: Apache-2.0
// A topic for as long as a component is there.
import { useMemo } from 'react';
import type { RefObject } from 'react';
import type {
  Client, EventOf, Gap, Position, RegisteredSchema, TidingsErrorShape, TidingsEvent, Topic, TopicOptions, TopicPhase,
} from '@tidings/client';
import { useLatest, useTidings } from './context.ts';
import { constant, useSource } from './select.ts';
import type { Source } from './select.ts';
import { LINGER } from './share.ts';

/** One function for all events, or one for each type, `'*'` for all of them. */
export type Handlers<E extends TidingsEvent> =
  | ((event: E) => void)
  | { readonly [T in E['type'] | '*']?: (event: T extends '*' ? E : Extract<E, { type: T }> extends never ? E : Extract<E, { type: T }>) => void };

export interface TopicState {
  /** idle: nothing is subscribed (the name is null, or nothing was shown yet). The others: see `TopicPhase`. */
  readonly phase: TopicPhase | 'idle';
  readonly position?: Position;
  /** Why it is denied. */
  readonly error?: TidingsErrorShape;
  /** The last gap: a part was lost, and what came behind it is complete. */
  readonly gap?: Gap;
}

export const IDLE: TopicState = { phase: 'idle' };

// Events that come while the component is away (a second at most) wait for it; with more than this it begins anew instead.
const AWAY = 1000;

interface Latest { handlers: Handlers<TidingsEvent>; options: TopicOptions }

function deliver({ handlers }: Latest, event: TidingsEvent): void {
  if (typeof handlers === 'function') return handlers(event);
  const byType = handlers as Record<string, ((event: TidingsEvent) => void) | undefined>;
  if (Object.hasOwn(byType, event.type)) byType[event.type]!(event);
  if (event.type !== '*') byType['*']?.(event);
}

// Each component has a use of its own, because each is shown the state first; that they are one subscription is the client's doing.
function topicSource(client: Client, name: string, latest: RefObject<Latest>): Source<TopicState> {
  let topic: Topic | undefined;
  let unwatch: (() => void) | undefined;
  let state = IDLE;
  let notify: (() => void) | undefined;
  let away: TidingsEvent[] = [];
  let timer: unknown;

  const end = () => {
    client.clock.clearTimeout(timer);
    unwatch?.();
    topic?.close();
    topic = unwatch = undefined;
    state = IDLE;
    away = [];
  };
  const read = (gap = state.gap) => {
    if (!topic) return;
    state = { phase: topic.phase, position: topic.position, error: topic.error, gap };
    notify?.();
  };
  const begin = () => {
    const { since, state: retained, types, snapshot } = latest.current.options;
    topic = client.topic(name, {
      since, types, state: retained,
      snapshot: snapshot && (how => (latest.current.options.snapshot ?? snapshot)(how)),
      onEvent: event => {
        if (notify) return deliver(latest.current, event);
        if (away.push(event) > AWAY) end();
      },
      onGap: gap => {
        read(gap);
        if (notify) latest.current.options.onGap?.(gap);
      },
    });
    unwatch = topic.watch(() => read());
    read();
  };

  return {
    get: () => state,
    idle: () => IDLE,
    subscribe(told) {
      client.clock.clearTimeout(timer);
      notify = told;
      if (!topic) begin();
      for (const event of away.splice(0)) deliver(latest.current, event);
      return () => {
        notify = undefined;
        timer = client.clock.setTimeout(end, LINGER);
      };
    },
  };
}

const none = constant(IDLE);

/**
 * Calls `handlers` for each event of a topic or pattern while the component is there; null subscribes nothing. They, and the
 * functions among the options, may be new with each render: the latest are called, and nothing is subscribed again. Another name,
 * `since`, `state` or `types` is another subscription.
 */
export function useTopic<const P extends string>(
  name: P | null, handlers: Handlers<EventOf<RegisteredSchema, P>>, options: Omit<TopicOptions, 'onEvent'> = {},
): TopicState {
  const client = useTidings();
  const latest = useLatest({ handlers, options } as unknown as Latest);
  const key = name === null ? null : JSON.stringify([name, options.since, options.state, options.types]);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the key stands for what it is made of
  const source = useMemo(() => name === null ? none : topicSource(client, name, latest), [client, key]);
  return useSource(source);
}
