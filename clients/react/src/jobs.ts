// SPDX-License-Identifier: Apache-2.0
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { job, startJob } from '@tidings/client/jobs';
import type {
  Client, Job, JobKind, JobProblem, JobState, ParamsOf, RegisteredSchema, ResultOf, StartOptions, TidingsErrorShape,
} from '@tidings/client';
import { useLatest, useTidings } from './context.ts';
import { hold } from './share.ts';
import { useShared } from './shared.ts';

export const jobKey = (id: string) => `job:${id}`;

/** The job as all components share it; for other files of this package. */
export const holdJob = (client: Client, id: string) => hold<Job>(client, jobKey(id), () => job(client, id));

export interface JobCallbacks<R = unknown> {
  /** Once for a job, also when it had ended before this component came. */
  onDone?: (result: R | undefined, state: JobState<R>) => void;
  /** It failed, was cancelled (`error` is absent then), or can't be seen (`state.refused`). */
  onFail?: (error: JobProblem | undefined, state: JobState<R>) => void;
}

export type JobUse<R = unknown> = JobState<R> & {
  /** It was asked for, and has not ended. */
  readonly active: boolean;
  cancel(): Promise<'cancelling' | 'ended'>;
};

/** What is known of a job; null: of none. It goes on when nobody looks. */
export function useJob<R = unknown>(id: string | null, callbacks: JobCallbacks<R> = {}): JobUse<R> {
  const client = useTidings();
  const key = id === null ? null : jobKey(id);
  const state = useShared<Job, JobState>(key, () => job(client, id!), shared => shared.state, { id: id ?? '', progress: 0 }) as JobState<R>;
  const latest = useLatest(callbacks);
  const told = useRef<string>(undefined);
  const { status, refused } = state;
  const ended = status === 'done' || status === 'failed' || status === 'cancelled' || refused !== undefined;

  useEffect(() => {
    if (!ended || told.current === state.id) return;
    told.current = state.id;
    if (state.status === 'done') latest.current.onDone?.(state.result, state);
    else latest.current.onFail?.(state.error, state);
  }, [ended, state, latest]);

  const cancel = useCallback(async () => {
    if (id === null) return 'ended';
    const { value, release } = holdJob(client, id);
    try {
      return await value.cancel();
    } finally {
      release();
    }
  }, [client, id]);
  return useMemo(() => ({ ...state, active: id !== null && !ended, cancel }), [state, id, ended, cancel]);
}

export interface StartJobUse<P, R> {
  /** Rejects when it was refused; that is `error` too. What was started before goes on, and is `job` no longer. */
  start(params: P, options?: StartOptions): Promise<Job<R>>;
  /** What was started last. */
  readonly job?: JobUse<R>;
  /** It is being started; that it runs is `job.active`. */
  readonly pending: boolean;
  readonly error?: TidingsErrorShape;
  /** Forgets the job (which goes on) and the error. */
  reset(): void;
}

interface Started { id: string | null; pending: boolean; error?: TidingsErrorShape }

const NOTHING: Started = { id: null, pending: false };

/** Starting a job of a kind, and what becomes of it. */
export function useStartJob<const K extends JobKind<RegisteredSchema>>(
  kind: K, callbacks?: JobCallbacks<ResultOf<RegisteredSchema, K>>,
): StartJobUse<ParamsOf<RegisteredSchema, K>, ResultOf<RegisteredSchema, K>> {
  type Params = ParamsOf<RegisteredSchema, K>;
  type Result = ResultOf<RegisteredSchema, K>;
  const client = useTidings();
  const [started, setStarted] = useState(NOTHING);
  const turn = useRef(0);
  const current = useJob<Result>(started.id, callbacks);

  const start = useCallback(async (params: Params, options?: StartOptions) => {
    const mine = ++turn.current;
    setStarted(before => ({ id: before.id, pending: true }));
    try {
      const made = await startJob(client, kind, params, options) as Job<Result>;
      // The components that show it share the object that was made by starting it, unless they have one already.
      const { value, release } = hold<Job>(client, jobKey(made.id), () => made as Job);
      if (value !== made) made.close();
      if (mine === turn.current) setStarted({ id: made.id, pending: false });
      release();
      return value as Job<Result>;
    } catch (error) {
      if (mine === turn.current) setStarted({ id: null, pending: false, error: error as TidingsErrorShape });
      throw error;
    }
  }, [client, kind]);
  const reset = useCallback(() => {
    turn.current++;
    setStarted(NOTHING);
  }, []);
  const { id, pending, error } = started;
  return useMemo(() => ({ start, job: id === null ? undefined : current, pending, error, reset }),
    [start, id, current, pending, error, reset]);
}
