// SPDX-License-Identifier: Apache-2.0
// Server-Sent Events, read by fetch: it can send the Authorization header, which EventSource can't.
import { eventStream } from './eventstream.ts';
import type { Link, LinkOptions } from './link.ts';
import { overHttp } from './overhttp.ts';
import type { Reading } from './overhttp.ts';

/** The server writes at once: who hears nothing for so long is behind a proxy that holds it back. */
const FIRST_MS = 5000;

export function sse(o: LinkOptions): Link {
  return overHttp(o, { interval: 15, timeout: 30 }, read);
}

function read(r: Reading): Promise<never> {
  return new Promise((_, reject) => {
    const timer = r.o.clock.setTimeout(() => reject({ useless: true, message: 'Nothing came.' }), FIRST_MS);
    const quiet = () => r.o.clock.clearTimeout(timer);
    r.signal.addEventListener('abort', quiet);
    follow(r, () => { quiet(); r.o.heard(); }).catch(reject).finally(quiet);
  });
}

async function follow(r: Reading, heard: () => void): Promise<never> {
  const response = await r.get({ since: r.position }, 'text/event-stream');
  let retryAfter: number | undefined, retries = 0;
  const parse = eventStream({
    event({ id, type, data }) {
      const message = JSON.parse(data);
      if (type === 'tidings' && message.type === 'caught_up') {
        r.position = message.position;
        r.caughtUp();
      } else {
        if (!message.state && type !== 'tidings') r.position = id;
        r.tell(message);
      }
    },
    id(id) { if (id) r.position = id; },
    // The first one is for EventSource; another is how a server that stops spreads its clients.
    retry(ms) { if (retries++) retryAfter = ms / 1000; },
  });
  const reader = response.body!.getReader(), decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw { message: 'It ended.', retryAfter };
    heard();
    parse(decoder.decode(value, { stream: true }));
  }
}
