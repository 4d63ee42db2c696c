// SPDX-License-Identifier: Apache-2.0
// The protocol over a WebSocket, which is its own.
import type { Link, LinkOptions } from './link.ts';

// The server takes 40 commands at once and 20 a second; what is more waits here.
const AT_ONCE = 38, EACH_MS = 55;
const ERROR_MS = 50;

export function websocket(o: LinkOptions): Link {
  const url = o.url(o.path, { ...o.query, format: o.format, since: o.since });
  url.protocol = url.protocol.replace('http', 'ws');
  const queue: string[] = [];
  let allowance = AT_ONCE, counted = o.clock.now();
  let timer: unknown, over = false;
  const socket = new o.WebSocket!(url, o.token ? ['tidings', 'bearer.' + o.token] : []);

  function pump() {
    timer = undefined;
    const now = o.clock.now();
    allowance = Math.min(AT_ONCE, allowance + (now - counted) / EACH_MS);
    counted = now;
    for (; queue.length && allowance >= 1; allowance--) socket.send(queue.shift()!);
    if (queue.length) timer = o.clock.setTimeout(pump, EACH_MS);
  }

  function stop(): boolean {
    o.clock.clearTimeout(timer);
    return over || !(over = true);
  }

  socket.onmessage = ({ data }) => {
    if (over) return;
    let message;
    try {
      message = JSON.parse(data);
    } catch { /* the text `pong` */ }
    if (message) o.message(message, data);
    else o.heard();
  };
  socket.onclose = ({ code, reason }) => {
    if (!stop()) o.end({ code: code === 1006 || code === 1005 ? 0 : code, message: reason });
  };
  // What follows it is `close`, which says more; but not everywhere when there was no connection yet.
  socket.onerror = () => {
    timer ??= o.clock.setTimeout(() => { if (!stop()) o.end({ code: 0 }); }, ERROR_MS);
  };

  return {
    send(command) {
      const text = JSON.stringify(command);
      o.sent(text);
      queue.push(text);
      if (!timer) pump();
    },
    close() {
      stop();
      // 1000 frees the place at the server at once; a socket that is dead waits for nothing of ours.
      socket.close(1000);
    },
  };
}
