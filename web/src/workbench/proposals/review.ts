// SPDX-License-Identifier: Apache-2.0
// What the events of a proposal come to.
import type { LogLine, TidingsEvent } from '@tidings/client';
import { grown } from '../lines.ts';

export interface Validation { readonly jobId: string; readonly status: 'running' | 'passed' | 'failed' | 'error'; readonly lines: LogLine[]; readonly dropped: number; readonly summary?: string; readonly by?: string; readonly duration?: number }
export interface Iteration { readonly jobId: string; readonly status: 'running' | 'complete' | 'error' | 'cancelled'; readonly files: readonly string[]; readonly validation?: { status: string; summary: string }; readonly error?: string; readonly actions: readonly string[]; readonly by?: string }
export interface Remark { readonly id: string; readonly time: string; readonly author: string; readonly text: string }

export interface Review {
  readonly validation?: Validation;
  readonly iteration?: Iteration;
  readonly remarks: readonly Remark[];
  readonly status: string;
  readonly statusBy?: string;
}

export const UNREAD: Review = { remarks: [], status: 'draft' };
export const STATES = ['draft', 'in review', 'approved', 'rejected'] as const;
const REMARKS = 200;

type Data = Record<string, unknown> & {
  job_id?: string; line?: string; stream?: string; status?: string; summary?: string; error?: string | { message: string }; suggested_actions?: string[];
  files_modified?: string[]; validation?: { status: string; summary: string }; comment?: string; author?: string; duration?: number;
};
const errorOf = ({ error }: Data) => typeof error === 'string' ? error : error?.message;

export function reduce(state: Review, event: TidingsEvent): Review {
  const data = (event.data ?? {}) as Data;
  const { job_id: jobId = '' } = data;
  const validation = state.validation?.jobId === jobId ? state.validation : undefined;
  const iteration = state.iteration?.jobId === jobId ? state.iteration : undefined;
  switch (event.type) {
    case 'validation_start':
      return { ...state, validation: { jobId, status: 'running', lines: [], dropped: 0, by: event.actor } };
    case 'output': {
      if (!validation) return state;
      const line: LogLine = { text: data.line ?? '', stream: data.stream, time: event.time, id: event.id };
      return { ...state, validation: { ...validation, ...grown(validation.lines, validation.dropped, line) } };
    }
    case 'validation_complete':
      return validation ? { ...state, validation: { ...validation, status: data.status === 'passed' ? 'passed' : 'failed', summary: data.summary, duration: data.duration } } : state;
    case 'validation_error':
      return validation ? { ...state, validation: { ...validation, status: 'error', summary: errorOf(data) ?? 'It was cancelled.' } } : state;
    case 'iteration_start':
      return { ...state, iteration: { jobId, status: 'running', files: [], actions: [], by: event.actor } };
    case 'iteration_complete':
      return iteration ? { ...state, iteration: { ...iteration, status: 'complete', files: data.files_modified ?? [], validation: data.validation } } : state;
    case 'iteration_error':
      return iteration ? { ...state, iteration: { ...iteration, status: 'error', error: errorOf(data), actions: data.suggested_actions ?? [] } } : state;
    case 'iteration_cancelled':
      return iteration ? { ...state, iteration: { ...iteration, status: 'cancelled' } } : state;
    case 'comment_created':
      return { ...state, remarks: [...state.remarks, { id: event.id ?? event.time, time: event.time, author: event.actor ?? data.author ?? '', text: data.comment ?? '' }].slice(-REMARKS) };
    case 'proposal_status':
      return { ...state, status: data.status ?? state.status, statusBy: event.actor };
    default: return state;
  }
}
