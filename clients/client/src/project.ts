// SPDX-License-Identifier: Apache-2.0
// One connection for one project, for a page that wants just that: the messages of /api/ws/projects/{id} as the server writes them.
import { createClient } from './client.ts';
import { TidingsError } from './errors.ts';
import type { Client, ClientOptions, ConnectionState, Reason } from './types.ts';

export type ProjectMessage = { type: string } & Record<string, unknown>;

let options: Partial<ClientOptions> = {};
let client: Client | undefined;
const handlers = new Map<string, Set<(message: ProjectMessage) => void>>();

/** Before connect(): where the server is (the page's own unless said) and who comes; other options of createClient, too. */
export function configure(given: Partial<ClientOptions> & { url?: string }): void {
  options = { ...options, ...given };
}

/** Connects, leaving any project that it was connected to. `onConnectionChange` is told of true and false, with the whole state. */
export function connect(
  projectId: string,
  onMessage?: (message: ProjectMessage) => void,
  onError?: (error: Reason | TidingsError) => void,
  onConnectionChange?: (connected: boolean, state: ConnectionState) => void,
): void {
  disconnect();
  const id = encodeURIComponent(projectId);
  const mine = client = createClient({
    url: '', backoff: 'brief', ...options,
    path: `/api/ws/projects/${id}`, fallbackTopics: [`projects/${projectId}/**`], format: 'flat',
    onMessage(message) {
      const it = message as ProjectMessage;
      // One that throws does not keep others from being told.
      for (const fn of [onMessage, ...handlers.get(it.type) ?? [], ...handlers.get('*') ?? []]) {
        try {
          fn?.(it);
        } catch (error) {
          (globalThis.reportError ?? console.error)(error);
        }
      }
    },
  });
  let was = false, reason: Reason | undefined;
  mine.watch(state => {
    if (state.reason && state.reason !== reason) onError?.(state.reason);
    ({ reason } = state);
    const is = state.status === 'connected';
    if (is !== was) onConnectionChange?.(was = is, state);
  });
  mine.open();
}

/** Ends the connection; handlers stay for the next one. */
export function disconnect(): void {
  client?.close();
  client = undefined;
}

/** `type` of the message, or `*` for each. */
export function on(type: string, fn: (message: ProjectMessage) => void): void {
  if (!handlers.has(type)) handlers.set(type, new Set());
  handlers.get(type)!.add(fn);
}

export function off(type: string, fn: (message: ProjectMessage) => void): void {
  handlers.get(type)?.delete(fn);
}

/** Sends a command (docs/protocol.md, Commands); resolves with the server's answer. */
export function send(message: ProjectMessage): Promise<Record<string, unknown>> {
  const { type, ...members } = message;
  const answer = client ? client.command(type, members) : Promise.reject(new TidingsError('closed', 'connect() comes first.'));
  // Who does not look at the answer is not to be told of an unhandled rejection.
  answer.catch(() => {});
  return answer;
}

export function isConnected(): boolean {
  return client?.state.status === 'connected';
}
