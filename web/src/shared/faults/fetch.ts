// SPDX-License-Identifier: Apache-2.0
// fetch through the pipes of a Network.  New calls fail while the network is away, as a browser's do; an answer that is under way
// is silent until it is back.
import type { Network, Wire } from './network.ts';
import { Pipe } from './pipe.ts';

const failed = (why: string) => new TypeError(`Failed to fetch: ${why}`);
const length = (body: unknown) => typeof body === 'string' ? body.length : 0;

export function makeFetch(network: Network): typeof fetch {
  return async (input, init = {}) => {
    if (network.weather.dropped) {
      await Promise.resolve();
      throw failed('the network is dropped');
    }
    const up = new Pipe(() => network.weather, false), down = new Pipe(() => network.weather, true);
    const cut = new AbortController();
    let fail = (_: Error) => {};
    cut.signal.addEventListener('abort', () => fail(cut.signal.reason as Error));
    // One at a time.
    const through = (pipe: Pipe, size: number) => new Promise<void>((resolve, reject) => {
      fail = reject;
      if (cut.signal.aborted) reject(cut.signal.reason as Error);
      else pipe.push(size, resolve);
    });
    const wire: Wire = { pump() { up.pump(); down.pump(); }, kill() { cut.abort(failed('the connection was killed')); } };
    const follow = () => cut.abort(init.signal?.reason);
    const done = () => {
      network.wires.delete(wire);
      init.signal?.removeEventListener('abort', follow);
      up.cut();
      down.cut();
    };
    if (init.signal?.aborted) throw init.signal.reason;
    init.signal?.addEventListener('abort', follow);
    network.wires.add(wire);
    try {
      await through(up, length(init.body));
      const answer = await fetch(input, { ...init, signal: cut.signal });
      await through(down, 0);
      if (!answer.body) {
        done();
        return answer;
      }
      const { status, statusText, headers } = answer;
      return new Response(slowed(answer.body, size => through(down, size), done), { status, statusText, headers });
    } catch (error) {
      done();
      throw error;
    }
  };
}

// Takes the next piece only when the last one was taken: a slow reader is one for the server too.
function slowed(body: ReadableStream<Uint8Array>, through: (size: number) => Promise<void>, done: () => void) {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(to) {
      try {
        const next = await reader.read();
        await through(next.value?.length ?? 0);
        if (!next.done) {
          to.enqueue(next.value);
          return;
        }
        done();
        to.close();
      } catch (error) {
        done();
        to.error(error);
      }
    },
    async cancel(reason) {
      done();
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
