// SPDX-License-Identifier: Apache-2.0
import { useMemo } from 'react';
import type { Client, ConnectionState, PublishOptions, Published, Reason, Status } from '@tidings/client';
import { useTidings } from './context.ts';
import { useSelected } from './select.ts';
import type { Source } from './select.ts';

const idle: ConnectionState = { phase: 'idle', status: 'disconnected', attempt: 0, since: 0 };
const whole = (state: ConnectionState) => state;

function connectionOf(client: Client): Source<ConnectionState> {
  return { subscribe: notify => client.watch(notify), get: () => client.state, idle: () => idle };
}

/**
 * The state of the connection, or what `select` takes of it: `useConnection(s => s.phase)` renders when the phase is another, and
 * not for each round trip.
 */
export function useConnection(): ConnectionState;
export function useConnection<T>(select: (state: ConnectionState) => T): T;
export function useConnection<T>(select?: (state: ConnectionState) => T): T | ConnectionState {
  const client = useTidings();
  const source = useMemo(() => connectionOf(client), [client]);
  return useSelected<ConnectionState, T | ConnectionState>(source, select ?? whole);
}

export interface WebSocketUse {
  readonly status: Status;
  readonly isConnected: boolean;
  /** Why it is not connected: what happened, and what to do. */
  readonly lastError?: Reason;
  /** A command: `send({ type: 'cancel', job_id })`. Resolves with the server's answer. */
  send(message: { type: string; [member: string]: unknown }): Promise<Record<string, unknown>>;
  publish(topic: string, type: string, data?: unknown, options?: PublishOptions): Promise<Published>;
  /** Now, instead of at the next try; also after it had failed or was closed. */
  reconnect(): void;
}

const brief = (state: ConnectionState) => ({ status: state.status, lastError: state.status === 'connected' ? undefined : state.reason });

/** The connection under the name that one looks for it. Events come by `useTopic`: a hook that holds the last message loses some. */
export function useWebSocket(): WebSocketUse {
  const client = useTidings();
  const { status, lastError } = useConnection(brief);
  const actions = useMemo<Pick<WebSocketUse, 'send' | 'publish' | 'reconnect'>>(() => ({
    send: ({ type, ...members }) => client.command(type, members),
    publish: (...event) => client.publish(...event),
    reconnect() {
      const { phase, reason } = client.state;
      // Without a token that is worth sending there is nothing to try.
      if (phase === 'failed' && (reason?.code === 4001 || reason?.code === 401)) return void client.reauth().catch(() => undefined);
      if (/^(idle|closed|failed)$/.test(phase)) client.open();
      else client.switchTo('auto');
    },
  }), [client]);
  return useMemo(() => ({ status, isConnected: status === 'connected', lastError, ...actions }), [status, lastError, actions]);
}
