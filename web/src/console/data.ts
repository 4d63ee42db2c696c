// SPDX-License-Identifier: Apache-2.0
// What the server says of itself, asked again and again while somebody looks.
import { useCallback, useEffect, useRef, useState } from 'react';
import { useTidings } from '@tidings/react';
import { troubleOf, type Trouble } from '../shared/kit/act.tsx';
import { BASE } from '../shared/session.ts';

export interface Connection {
  readonly id: string; readonly user: string | null; readonly address: string; readonly transport: string; readonly endpoint?: string;
  readonly since: string; readonly worker: number; readonly subscriptions: number; readonly behind: number; readonly unsent_bytes: number;
  readonly sent_bytes: number; readonly received_bytes: number;
}
export interface ConnectionsPage { readonly connections: readonly Connection[]; readonly count: number; readonly more: boolean }

export interface TopicsPage {
  readonly window_s: number; readonly whole: boolean;
  readonly topics: readonly { topic: string; events: number; bytes: number; last: string }[];
  readonly patterns: readonly { pattern: string; subscribers: number }[];
}

export interface LogState {
  readonly position: string; readonly head: number; readonly durable: number; readonly horizon: number; readonly appended: number; readonly segments: number;
  readonly bytes: number; readonly state_keys: number; readonly state_topics: number; readonly idempotency_keys: number; readonly writable: boolean;
  readonly groups: readonly { name: string; bytes: number; horizon: number }[];
}

export interface Polled<T> { readonly data?: T; readonly trouble?: Trouble; readonly again: () => void }

const EVERY_MS = 2000;

/** Calls `ask` every so often while the page is seen, each time when the last answer is there; and at once when `key` is another. */
function useAsked<T>(ask: (signal: AbortSignal) => Promise<T>, key: string | null, everyMs: number): Polled<T> {
  const [got, setGot] = useState<{ key: string | null; data?: T; trouble?: Trouble }>({ key });
  const [round, setRound] = useState(0);
  const again = useCallback(() => setRound(n => n + 1), []);
  const latest = useRef(ask);
  useEffect(() => { latest.current = ask; });
  useEffect(() => {
    if (key === null) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = async () => {
      try {
        const data = await latest.current(stop.signal);
        if (!stop.signal.aborted) setGot({ key, data });
      } catch (cause) {
        // What was there stays: it is old, and that is said.
        if (!stop.signal.aborted) setGot(before => ({ key, data: before.key === key ? before.data : undefined, trouble: troubleOf(cause) }));
      }
      if (!stop.signal.aborted && document.visibilityState === 'visible') timer = setTimeout(turn, everyMs);
    };
    const seen = () => {
      clearTimeout(timer);
      if (document.visibilityState === 'visible') void turn();
    };
    document.addEventListener('visibilitychange', seen);
    void turn();
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, [key, everyMs, round]);
  return { data: got.key === key ? got.data : undefined, trouble: got.key === key ? got.trouble : undefined, again };
}

/** A resource of the API; null: none. */
export function usePolled<T>(path: string | null, everyMs = EVERY_MS): Polled<T> {
  const client = useTidings();
  return useAsked(async signal => (await client.request<T>('GET', path!, { signal })).data, path, everyMs);
}

// ---- metrics ----------------------------------------------------------------------------------------------------------------

export type Metrics = ReadonlyMap<string, number>;

/** The Prometheus text format, as far as this server writes it: `name{labels} value`. */
export function parseMetrics(text: string): Metrics {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const space = line.lastIndexOf(' ');
    if (space > 0 && line[0] !== '#') values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return values;
}

/** The sum over all labels of a metric, or over those that `having` is part of. */
export function sum(metrics: Metrics, name: string, having = ''): number {
  let total = 0;
  for (const [key, value] of metrics)
    if ((key === name || key.startsWith(`${name}{`)) && key.includes(having)) total += value;
  return total;
}

/** The quantile of a histogram's growth from one reading to the next, in its unit; undefined when nothing happened. */
export function quantile(before: Metrics, after: Metrics, name: string, q: number): number | undefined {
  const grown: [number, number][] = [];
  for (const [key, value] of after) {
    const bound = key.startsWith(`${name}_bucket{`) ? /le="([^"]+)"/.exec(key)?.[1] : undefined;
    if (bound) grown.push([bound === '+Inf' ? Infinity : Number(bound), value - (before.get(key) ?? 0)]);
  }
  const all = grown.at(-1)?.[1] ?? 0;
  if (all <= 0) return undefined;
  let low = 0, under = 0;
  for (const [bound, count] of grown) {
    if (count >= q * all) return bound === Infinity ? low : low + (bound - low) * (q * all - under) / Math.max(1, count - under);
    [low, under] = [bound, count];
  }
  return low;
}

export interface Reading { readonly time: number; readonly metrics: Metrics }

const KEPT = 150; // readings: five minutes

/** The last five minutes of /metrics, for as long as this is shown. */
export function useReadings(): { readings: readonly Reading[]; trouble?: Trouble } {
  const [readings, setReadings] = useState<readonly Reading[]>([]);
  const { trouble } = useAsked(async signal => {
    const answer = await fetch(`${BASE}/metrics`, { signal });
    if (!answer.ok) throw new Error(`/metrics answered ${answer.status}.`);
    const reading = { time: Date.now() / 1000, metrics: parseMetrics(await answer.text()) };
    setReadings(before => [...before, reading].slice(-KEPT));
  }, 'metrics', EVERY_MS);
  return { readings, trouble };
}
