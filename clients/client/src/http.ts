// SPDX-License-Identifier: Apache-2.0
// Requests beside the connection, with the same token.
import type { Core } from './rest.ts';
import type { Answer, RequestOptions } from './types.ts';

/** As long as a command waits. */
const PATIENCE_MS = 30_000;

export function request<T>(d: Core, method: string, path: string, o: RequestOptions = {}): Promise<Answer<T>> {
  const { signal } = o, over = new AbortController();
  return new Promise((resolve, reject) => {
    const stop = d.later(() => end('timeout', `No answer to ${method} ${path} in time.`), PATIENCE_MS);
    const abort = () => end('aborted', 'The request was aborted.');
    function done() {
      stop();
      signal?.removeEventListener('abort', abort);
    }
    // Also when what it waits for does not heed the signal.
    function end(code: string, message: string) {
      done();
      reject(new d.TidingsError(code, message));
      over.abort();
    }
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    else ask<T>(d, method, path, { ...o, signal: over.signal }).then(resolve, reject).finally(done);
  });
}

async function ask<T>(d: Core, method: string, path: string, o: RequestOptions): Promise<Answer<T>> {
  const sent: Record<string, string> = { accept: 'application/json', ...o.headers };
  if (o.body !== undefined) sent['content-type'] = o.contentType ?? 'application/json';
  for (let again = false; ; again = true) {
    const url = (await d.urls())(path, o.query);
    const token = await d.auth.get();
    if (token) sent.authorization = `Bearer ${token}`;
    let response, text;
    try {
      response = await d.fetch(url, {
        method, headers: sent, signal: o.signal, body: o.body === undefined ? undefined : JSON.stringify(o.body),
        credentials: token ? 'same-origin' : 'include',
      });
      text = await response.text();
    } catch (error) {
      throw new d.TidingsError('network', `No answer from ${url.host}: ${(error as Error).message}`);
    }
    const data = parse(text);
    const { status, headers } = response;
    if (response.ok) d.auth.accept(undefined, token);
    if (response.ok) return { status, headers, data: data as T, position: headers.get('tidings-position') ?? undefined };
    if (status === 401) {
      d.auth.refuse(token);
      // It was not carried out. When no other token can be had, that is what is thrown.
      if (!again) continue;
    }
    const wait = Number(headers.get('retry-after') ?? NaN);
    throw d.errorOf((data ?? {}) as Record<string, unknown>, status, wait >= 0 ? wait : undefined);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
