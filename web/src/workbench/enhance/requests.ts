// SPDX-License-Identifier: Apache-2.0
// Which requests this tab's session has. Their words are kept here, because the server tells only what comes of them.
import { useCallback, useEffect, useState } from 'react';
import type { Client, TidingsErrorShape } from '@tidings/client';

export interface EnhanceRequest {
  readonly id: string;
  readonly prompt: string;
  readonly started: number;
  /** Its job, once that is known. */
  readonly job?: string;
}

const MAX = 40;
const SESSION_KEY = 'tidings.enhance.session', LIST_KEY = 'tidings.enhance.requests';
const random = () => [...crypto.getRandomValues(new Uint8Array(9))].map(byte => byte.toString(36).padStart(2, '0')).join('');

function session() {
  let kept = sessionStorage.getItem(SESSION_KEY);
  if (!kept) sessionStorage.setItem(SESSION_KEY, kept = random());
  return kept;
}
export const SESSION = session();

function load(): EnhanceRequest[] {
  try { return JSON.parse(sessionStorage.getItem(LIST_KEY) ?? '[]') as EnhanceRequest[]; } catch { return []; }
}

export function useRequests(client: Client) {
  const [list, setList] = useState(load);
  useEffect(() => { sessionStorage.setItem(LIST_KEY, JSON.stringify(list)); }, [list]);

  const start = useCallback(async (prompt: string) => {
    const request: EnhanceRequest = { id: random(), prompt, started: Date.now() };
    setList(before => [request, ...before].slice(0, MAX));
    try {
      const job = await begin(client, request);
      setList(before => before.map(other => other.id === request.id ? { ...other, job } : other));
    } catch (error) {
      setList(before => before.filter(other => other.id !== request.id));
      throw error;
    }
  }, [client]);
  // The tab was reloaded before the answer came.
  useEffect(() => {
    for (const request of load().filter(kept => kept.job === undefined)) {
      begin(client, request).then(job => setList(before => before.map(other => other.id === request.id ? { ...other, job } : other)), () => {});
    }
  }, [client]);
  const forget = useCallback((id: string) => setList(before => before.filter(request => request.id !== id)), []);
  return { list, start, forget };
}

// Over the connection where there is a WebSocket, else by HTTP. The same request in a session is the same job, so that it is
// harmless to ask again when an answer was lost.
async function begin(client: Client, request: EnhanceRequest): Promise<string> {
  const job = { kind: 'enhance', request_id: request.id, params: { text: request.prompt } };
  if (client.state.transport === 'websocket' && client.state.phase === 'online') {
    try {
      const { job_id: id } = await client.command('start', job);
      return String(id);
    } catch (error) {
      const { code } = error as TidingsErrorShape;
      if (code !== 'network' && code !== 'timeout' && code !== 'closed') throw error;
    }
  }
  for (let patience = 20; ; patience--) {
    try {
      const { data } = await client.request<{ job_id: string }>('POST', '/api/v1/jobs', { body: { ...job, session: SESSION } });
      return data.job_id;
    } catch (error) {
      if ((error as TidingsErrorShape).code !== 'network' || patience === 0) throw error;
      await new Promise(resume => { setTimeout(resume, 1500); });
    }
  }
}
