// SPDX-License-Identifier: Apache-2.0
// What the events of a project come to: the agents of its newest generation, their log, what happened, and what people said.
import type { LogLine, TidingsEvent } from '@tidings/client';
import { grown } from '../lines.ts';

export interface Agent { readonly id: string; readonly name: string; readonly status: 'waiting' | 'started' | 'completed' | 'failed' | 'cancelled'; readonly progress: number; readonly duration?: number }
export interface Act { readonly id: string; readonly time: string; readonly text: string; readonly tone: 'calm' | 'good' | 'bad' }
export interface Chat { readonly id: string; readonly time: string; readonly from: string; readonly text: string }
export interface Ending { readonly jobId: string; readonly status: 'completed' | 'failed' | 'cancelled'; readonly duration?: number; readonly result?: Record<string, unknown>; readonly error?: string; readonly actions: readonly string[] }

export interface Generation {
  readonly jobId?: string;
  readonly status: 'none' | 'queued' | 'running' | 'cancelling' | 'completed' | 'failed' | 'cancelled';
  readonly progress: number;
  readonly agents: readonly Agent[];
  readonly log: LogLine[];
  /** Lines before these that are no more kept. */
  readonly dropped: number;
  readonly ending?: Ending;
  readonly acts: readonly Act[];
  readonly chat: readonly Chat[];
}

/** Those of the example kind, in their order, so that one sees who is still to come. */
const NAMES = ['Analyst', 'Designer', 'Planner', 'Scaffolder', 'Modeller', 'Storekeeper', 'Tester', 'Writer', 'Editor', 'Reviewer', 'Test runner', 'Indexer', 'Packager'];
const waiting = (): Agent[] => NAMES.map(name => ({ id: name, name, status: 'waiting', progress: 0 }));

export const NOTHING: Generation = { status: 'none', progress: 0, agents: waiting(), log: [], dropped: 0, acts: [], chat: [] };
const ACTS = 100, SAID = 200;

type Data = Record<string, unknown> & {
  job_id?: string; status?: string; progress?: number; step?: { index: number; count: number; name: string }; agent?: string; agent_name?: string; duration?: number | null;
  message?: string; level?: string; result?: Record<string, unknown>; error?: string; suggested_actions?: string[]; from?: string; text?: string; holder?: string; locked?: boolean; user?: string;
};

export function reduce(state: Generation, event: TidingsEvent): Generation {
  const data = (event.data ?? {}) as Data;
  switch (event.type) {
    case 'status_update': return onStatus(of(state, data, event), data);
    case 'agent_update': return onAgent(of(state, data, event), data, event);
    case 'log': {
      const before = of(state, data, event);
      const line: LogLine = { text: data.message ?? '', level: data.level, time: event.time, id: event.id };
      const { lines: log, dropped } = grown(before.log, before.dropped, line);
      return { ...before, log, dropped };
    }
    case 'completion': return onEnd(of(state, data, event), data, event);
    case 'chat_message': return { ...state, chat: [...state.chat, { id: event.id ?? event.time, time: event.time, from: event.actor ?? data.from ?? '', text: data.text ?? '' }].slice(-SAID) };
    case 'lock_changed': return act(state, event, data.locked ? `${data.holder} locked the project` : 'The project is free again');
    case 'presence_joined': return act(state, event, `${data.user} came`);
    case 'presence_left': return act(state, event, `${data.user} left`);
    default: return state;
  }
}

// Another job than before: everything of the one before goes.
function of(state: Generation, { job_id: jobId }: Data, event: TidingsEvent): Generation {
  if (!jobId || state.jobId === jobId) return state;
  return act({ ...state, jobId, status: 'running', progress: 0, agents: waiting(), log: [], dropped: 0, ending: undefined }, event, 'A generation began');
}

function act(state: Generation, event: TidingsEvent, text: string, tone: Act['tone'] = 'calm'): Generation {
  const id = `${event.id ?? event.time}:${text}`;
  return { ...state, acts: [{ id, time: event.time, text, tone }, ...state.acts].slice(0, ACTS) };
}

function onStatus(state: Generation, { status, progress = 0, step }: Data): Generation {
  if (state.ending) return state;
  const agents = !step ? state.agents : state.agents.map(agent => agent.name !== step.name || agent.status !== 'started' ? agent
    : { ...agent, progress: Math.max(agent.progress, Math.min(100, progress * step.count - (step.index - 1) * 100)) });
  return { ...state, status: (status ?? state.status) as Generation['status'], progress: Math.max(state.progress, progress), agents };
}

function onAgent(state: Generation, { agent: id = '', agent_name: name = id, status, duration, message = '' }: Data, event: TidingsEvent): Generation {
  const next = status as Agent['status'];
  const agent: Agent = { id, name, status: next, progress: next === 'completed' ? 100 : 0, duration: duration ?? undefined };
  const known = state.agents.some(other => other.name === name);
  const agents = known ? state.agents.map(other => other.name === name ? { ...agent, progress: Math.max(agent.progress, other.progress) } : other) : [...state.agents, agent];
  return act({ ...state, agents }, event, message, next === 'failed' ? 'bad' : 'calm');
}

function onEnd(state: Generation, { job_id: jobId = '', status, duration, result, error, suggested_actions: actions = [] }: Data, event: TidingsEvent): Generation {
  const ending: Ending = { jobId, status: status as Ending['status'], duration: duration ?? undefined, result: result ?? undefined, error: error ?? undefined, actions };
  const [text, tone] = { completed: ['The generation is complete', 'good'], failed: ['The generation failed', 'bad'], cancelled: ['The generation was cancelled', 'calm'] }[ending.status] as [string, Act['tone']];
  return act({ ...state, status: ending.status, progress: ending.status === 'completed' ? 100 : state.progress, ending }, event, text, tone);
}
