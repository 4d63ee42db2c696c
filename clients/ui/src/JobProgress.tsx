// SPDX-License-Identifier: Apache-2.0
// How a job goes: waiting, its steps and percent, what it says, its end; and when it failed, what can be done.
import type { JobState, JobStatus } from '@tidings/client';
import type { ReactNode } from 'react';
import { useSpoken } from './hooks.ts';
import { Button, Icon, Says } from './parts.tsx';
import { ProgressBar } from './ProgressBar.tsx';
import { classes, count, span } from './text.ts';

export const JOB_LABELS = {
  status: {
    queued: 'Waiting',
    running: 'Running',
    cancelling: 'Stopping',
    done: 'Done',
    failed: 'Failed',
    cancelled: 'Cancelled',
  } satisfies Record<JobStatus, string> as Record<JobStatus, string>,
  asking: 'Asking',
  refused: 'Not available',
  job: 'Job',
  place: (n: number) => (n <= 1 ? 'Next in line' : `${count(n - 1, 'job')} before it`),
  step: (index: number, of: number) => `Step ${index} of ${of}`,
  took: (ms: number) => `Took ${span(ms)}`,
  cancel: 'Cancel',
  retry: 'Try again',
  whatToDo: 'What you can do',
};

export interface JobProgressViewProps<R = unknown> {
  state: JobState<R>;
  /** What it is, as its heading; its kind unless given. */
  title?: ReactNode;
  /** Asks it to stop. Shown while it can be stopped. */
  onCancel?: () => void;
  /** Starts it anew. Shown when it failed or was cancelled. */
  onRetry?: () => void;
  /** Shown below when it is done; a function is given the result. */
  children?: ReactNode | ((result: R) => ReactNode);
  className?: string;
  labels?: Partial<typeof JOB_LABELS>;
}

const ICONS = { queued: 'clock', running: undefined, cancelling: undefined, done: 'check', failed: 'alert', cancelled: 'minus' } as const;
const TONES = { queued: 'still', running: 'accent', cancelling: 'still', done: 'good', failed: 'bad', cancelled: 'still' } as const;

export function JobProgressView<R>({ state, title, onCancel, onRetry, children, className, labels }: JobProgressViewProps<R>) {
  const say = { ...JOB_LABELS, ...labels };
  const { status, step, refused } = state;
  const heading = title ?? state.kind ?? say.job;
  const word = refused ? say.refused : status ? say.status[status] : say.asking;
  const percent = `${Math.floor(state.progress)} %`;
  const where = step ? `${say.step(step.index, step.count)}${step.name ? `: ${step.name}` : ''}` : undefined;
  const ended = status === 'done' || status === 'failed' || status === 'cancelled';
  const moving = status === 'running' || status === 'cancelling';
  const line = status === 'queued' && state.place !== undefined ? say.place(state.place) : where;
  const message = status !== 'failed' && state.message;
  const time = ended ? took(state) : undefined;
  const figure = moving && state.progress > 0 ? percent : time !== undefined && say.took(time);
  const spoken = useSpoken(`${typeof heading === 'string' ? heading : say.job}: ${word}`);
  return (
    <section className={classes('td td-card td-job', className)} aria-label={typeof heading === 'string' ? heading : undefined}>
      <header className="td-row">
        <strong className="td-grow td-title">{heading}</strong>
        <Chip status={refused ? 'failed' : status} word={word} />
      </header>
      {!refused && !(status === 'failed' && state.progress === 0) && (
        <ProgressBar label={typeof heading === 'string' ? heading : say.job} value={barOf(state)} tone={status ? TONES[status] : 'still'}
          text={[word, moving ? where : undefined, moving ? percent : undefined].filter(Boolean).join(', ')} />
      )}
      {(line || message || figure) && (
        <div className="td-row td-facts">
          <span className="td-grow">
            {line && <span>{line}</span>}
            {message && <span className="td-message">{message}</span>}
          </span>
          {figure && <span className="td-number">{figure}</span>}
        </div>
      )}
      <Trouble state={state} say={say} />
      {status === 'done' && children !== undefined && (
        <div className="td-result">{typeof children === 'function' ? children(state.result as R) : children}</div>
      )}
      {onCancel && (status === 'queued' || moving) && (
        <div className="td-row td-end"><Button onClick={onCancel} disabled={status === 'cancelling'}>{say.cancel}</Button></div>
      )}
      {onRetry && (status === 'failed' || status === 'cancelled') && (
        <div className="td-row td-end"><Button onClick={onRetry}><Icon name="refresh" />{say.retry}</Button></div>
      )}
      <Says>{spoken}</Says>
    </section>
  );
}

function Chip({ status, word }: { status: JobStatus | undefined; word: string }) {
  const icon = status && ICONS[status];
  return (
    <span className={classes('td-chip', `td-status-${status ?? 'asking'}`)}>
      {icon ? <Icon name={icon} /> : <span className="td-pulse" aria-hidden="true" />}{word}
    </span>
  );
}

function Trouble({ state, say }: { state: JobState<unknown>; say: typeof JOB_LABELS }) {
  const { error, refused } = state;
  if (refused) {
    return <div className="td-why td-soft-bad"><p>{refused.message}</p>{refused.whatToDo && <p className="td-muted">{refused.whatToDo}</p>}</div>;
  }
  if (!error) return null;
  return (
    <div className="td-why td-soft-bad">
      <p>{error.message}</p>
      {error.suggestedActions.length > 0 && (
        <>
          <p className="td-muted">{say.whatToDo}</p>
          <ul>{error.suggestedActions.map((action, n) => <li key={n}>{action}</li>)}</ul>
        </>
      )}
    </div>
  );
}

// Nobody knows how far a job is that has begun and has said nothing.
function barOf(state: JobState<unknown>): number | undefined {
  if (state.status === 'done') return 100;
  if (state.status === 'running' && state.progress === 0) return undefined;
  return state.progress;
}

function took(state: JobState<unknown>): number | undefined {
  if (!state.started || !state.ended) return undefined;
  const ms = Date.parse(state.ended) - Date.parse(state.started);
  return ms >= 0 ? ms : undefined;
}
