// SPDX-License-Identifier: Apache-2.0
// What a job wrote, line by line.
import { useEffect, useMemo, useState } from 'react';
import { logLine } from '@tidings/client/jobs';
import type { Client, LogLine } from '@tidings/client';
import { useTidings } from './context.ts';
import { holdJob } from './jobs.ts';
import { pacer } from './pace.ts';
import { peek } from './share.ts';
import { useShared, Watchers } from './shared.ts';
import type { Watchable } from './shared.ts';

export interface LogOptions {
  /** How many lines are kept: the newest. 2000. */
  window?: number;
}

interface Lines { readonly lines: readonly LogLine[]; readonly total: number }
interface Log extends Watchable { readonly shown: Lines; /** Views that do not follow. */ reading: number }

const NONE: Lines = { lines: [], total: 0 };
const linesOf = (log: Log | undefined) => log?.shown ?? NONE;

// While somebody reads further up the lines below his eyes must not be taken away, but memory has its end too.
const READING = 5;

function log(client: Client, id: string, window: number): Log {
  const watchers = new Watchers();
  const { value: job, release } = holdJob(client, id);
  let shown = NONE;
  let fresh: LogLine[] = [];
  let total = 0;
  const self: Log = {
    reading: 0,
    get shown() { return shown; },
    watch: fn => watchers.add(fn),
    close() {
      pace.stop();
      stop();
      release();
    },
  };
  const room = () => self.reading === 0 ? window : READING * window;
  const pace = pacer(client.clock, 'frame', () => {
    shown = { lines: [...shown.lines, ...fresh].slice(-room()), total };
    fresh = [];
    watchers.tell();
  });
  const stop = job.onEvent(event => {
    const line = logLine(event);
    if (!line) return;
    total++;
    fresh.push(line);
    if (fresh.length > 2 * room()) fresh = fresh.slice(-room());
    pace.ask();
  });
  return self;
}

export interface LogUse extends Lines {
  /** The view is at the end, and stays there when lines come. */
  readonly follow: boolean;
  /** false while somebody reads further up: up to five windows of lines are kept then. */
  setFollow(follow: boolean): void;
}

/** The newest lines of a job, oldest first, and how many there were in all. null: none. It renders once a frame at most. */
export function useLog(jobId: string | null, options: LogOptions = {}): LogUse {
  const { window = 2000 } = options;
  const client = useTidings();
  const [follow, setFollow] = useState(true);
  const key = jobId === null ? null : `log:${window}:${jobId}`;
  const { lines, total } = useShared<Log, Lines>(key, () => log(client, jobId!, window), linesOf);

  useEffect(() => {
    const shared = key === null || follow ? undefined : peek<Log>(client, key);
    if (!shared) return;
    shared.reading++;
    return () => void shared.reading--;
  }, [client, key, follow]);
  return useMemo(() => ({ lines, total, follow, setFollow }), [lines, total, follow]);
}
