// SPDX-License-Identifier: Apache-2.0
// Requests that wait for something to come; or, every so often, such that do not wait.
import type { Link, LinkOptions } from './link.ts';
import { overHttp } from './overhttp.ts';
import type { Page, Reading } from './overhttp.ts';

const WAIT_S = 25;

export function longpoll(o: LinkOptions): Link {
  return overHttp(o, { interval: o.poll ? o.poll / 1000 : WAIT_S, timeout: 20 }, read);
}

async function read(r: Reading): Promise<never> {
  for (let isFirst = true, more = false; ; isFirst = false) {
    if (r.o.poll && !isFirst && !more) await sleep(r, r.o.poll);
    const wait = r.o.poll || r.isAwaited ? undefined : WAIT_S;
    const answer: Page = await (await r.get({ since: r.position, limit: 1000, wait }, 'application/json')).json();
    r.o.heard();
    if (answer.gap) r.tell({ type: 'gap', control: true, ...answer.gap });
    for (const event of answer.events) r.tell(event);
    r.tellState(answer);
    r.position = answer.position;
    ({ more } = answer);
    if (!more && (r.isAwaited || answer.gap)) r.caughtUp();
  }
}

function sleep(r: Reading, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = r.o.clock.setTimeout(resolve, ms);
    r.signal.addEventListener('abort', () => {
      r.o.clock.clearTimeout(timer);
      reject(r.signal.reason);
    });
  });
}
