// SPDX-License-Identifier: Apache-2.0
// What a topic has told, from its newest page on: loaded once, followed from exactly there, told anew after a gap.
import { useEffect, useRef, useState } from 'react';
import { useConnection, useTidings, useTopic } from '@tidings/react';
import type { Position, TidingsEvent } from '@tidings/client';
import { troubleOf, type Trouble } from './act.tsx';

export interface Story<S> { readonly state: S; readonly loaded: boolean; readonly trouble?: Trouble }

interface Kept<S> { pattern: string; state: S; since?: Position; trouble?: Trouble }

/**
 * `reduce` gets events in order, and each once, so that it may grow arrays in place that it made itself, as long as the state is another
 * object. What comes within a frame is one render. `limit`: of the page that it begins with.
 */
export function useStory<S>(pattern: string, reduce: (state: S, event: TidingsEvent) => S, empty: S, limit = 500): Story<S> {
  const client = useTidings();
  const [kept, setKept] = useState<Kept<S>>({ pattern, state: empty });
  const [round, setRound] = useState(0);
  const online = useConnection(state => state.status === 'connected');
  const waiting = useRef<TidingsEvent[]>([]);
  const now = useRef<Kept<S>>(kept);
  const latest = useRef({ reduce, empty });
  useEffect(() => { latest.current = { reduce, empty }; });
  const current = kept.pattern === pattern ? kept : { pattern, state: empty };

  useEffect(() => {
    const stop = new AbortController();
    waiting.current = [];
    client.request<{ events: TidingsEvent[]; position: Position }>('GET', '/api/v1/events', { query: { topic: pattern, limit }, signal: stop.signal })
      .then(({ data }) => {
        const state = data.events.reduce((so, event) => latest.current.reduce(so, event), latest.current.empty);
        setKept(now.current = { pattern, state, since: data.position });
      }, cause => { if (!stop.signal.aborted) setKept(now.current = { ...now.current, pattern, trouble: troubleOf(cause) }); });
    return () => stop.abort();
  }, [client, pattern, limit, round]);

  // What could not be loaded is asked for again when the connection is back.
  const failed = current.trouble !== undefined && current.trouble.code !== 'forbidden';
  useEffect(() => { if (failed && online) setRound(before => before + 1); }, [failed, online]);

  useTopic(current.since ? pattern : null, event => {
    if (waiting.current.push(event) > 1) return;
    const flush = () => {
      const events = waiting.current.splice(0);
      if (now.current.pattern !== pattern) return;
      // Not in the update, which React may run twice.
      const state = events.reduce((so, next) => latest.current.reduce(so, next), now.current.state);
      setKept(now.current = { ...now.current, state });
    };
    if (document.hidden) setTimeout(flush, 50); else requestAnimationFrame(flush);
  }, { since: current.since, state: false, onGap: () => setRound(before => before + 1) });

  return { state: current.state, loaded: current.since !== undefined, trouble: current.trouble };
}
