// SPDX-License-Identifier: Apache-2.0
// A reader that is slow, and not only seems so: WebSocketStream takes one message at a time from the network, so that what is not
// read waits at the server.  A browser without it reads everything at once; there the pipe alone is slow.
import type { Plain } from './socket.ts';

interface Opened { readable: ReadableStream<unknown>; writable: WritableStream<string>; protocol: string; extensions: string }
interface SocketStream {
  readonly opened: Promise<Opened>;
  readonly closed: Promise<{ closeCode: number; reason: string }>;
  close(info?: { closeCode?: number; reason?: string }): void;
}
declare global {
  // Chromium's, not in TypeScript's library yet.
  var WebSocketStream: undefined | (new (url: string, options?: { protocols?: string[] }) => SocketStream);
}

const pause = (ms: number) => new Promise(resume => setTimeout(resume, ms));

/** `reads`: how many messages a second are taken; asked before each, so that it can change. */
export function openSlowly(url: string, protocols: string | string[] | undefined, reads: () => number): Plain {
  if (!globalThis.WebSocketStream) return new WebSocket(url, protocols) as Plain;
  const stream = new globalThis.WebSocketStream(url, { protocols: [protocols ?? []].flat() });
  let writer: WritableStreamDefaultWriter<string> | undefined;
  const plain = {
    protocol: '', extensions: '', onopen: null, onmessage: null, onclose: null,
    send(data) { writer?.write(data).catch(() => {}); },
    close(closeCode, reason) {
      try { stream.close(closeCode === undefined ? {} : { closeCode, reason }); } catch { stream.close(); }
    },
  } as { -readonly [K in keyof Plain]: Plain[K] };

  async function read({ readable, writable, protocol, extensions }: Opened) {
    writer = writable.getWriter();
    writer.closed.catch(() => {});
    Object.assign(plain, { protocol, extensions });
    plain.onopen?.();
    const reader = readable.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      plain.onmessage?.({ data: next.value });
      if (reads() > 0) await pause(1000 / reads());
    }
  }

  stream.opened.then(read).catch(() => {});
  stream.closed.then(
    ({ closeCode, reason }) => plain.onclose?.({ code: closeCode, reason, wasClean: true }),
    () => plain.onclose?.({ code: 1006, reason: '', wasClean: false }));
  return plain;
}
