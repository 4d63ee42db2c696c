// SPDX-License-Identifier: Apache-2.0
// What a job wrote, line by line.
import { useEffect, useMemo, useState } from 'react';
import { logLine } from '@tidings/client/jobs';
import type { Client, LogLine } from '@tidings/client';
import { useTidings } from './context.ts';
import { holdJob } from './jobs.ts';
import { peek } from './share.ts';
import { useFollowed } from './shared.ts';
import type { Followed, Shown } from './shared.ts';

export interface LogOptions {
  /** How many lines are kept: the newest. 2000. */
  window?: number;
}

interface Lines { readonly lines: readonly LogLine[]; readonly total: number }
interface Log extends Followed<Lines> { /** Views that do not follow. */ reading: number }

const NONE: Lines = { lines: [], total: 0 };

// While somebody reads further up the lines below his eyes must not be taken away, but memory has its end too.
const READING = 5;

function log(client: Client, news: () => void, id: string, window: number): Log {
  const { value: job, release } = holdJob(client, id);
  let lines: LogLine[] = [];
  let total = 0;
  const room = () => self.reading === 0 ? window : READING * window;
  const stop = job.onEvent(event => {
    const line = logLine(event);
    if (!line) return;
    total++;
    lines.push(line);
    if (lines.length > 2 * room()) lines = lines.slice(-room());
    news();
  });
  const self: Log = {
    reading: 0,
    read() {
      lines = lines.slice(-room());
      return { lines, total };
    },
    stop() {
      stop();
      release();
    },
  };
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
  const { lines, total } = useFollowed<Lines, Log>(key, (from, news) => log(from, news, jobId!, window), NONE);

  useEffect(() => {
    const shared = key === null || follow ? undefined : peek<Shown<Lines, Log>>(client, key)?.followed;
    if (!shared) return;
    shared.reading++;
    return () => void shared.reading--;
  }, [client, key, follow]);
  return useMemo(() => ({ lines, total, follow, setFollow }), [lines, total, follow]);
}
