// SPDX-License-Identifier: Apache-2.0
// A network that breaks when it is told to: a WebSocket and a fetch for createClient, with the faults that people meet.  Without a
// fault they are the browser's own.
import { makeFetch } from './fetch.ts';
import { CALM, type Weather } from './pipe.ts';
import { FaultSocket } from './socket.ts';

/** Something that is open. */
export interface Wire { pump(): void; kill(): void }

export class Network {
  weather: Weather = CALM;
  readonly fetch: typeof fetch;
  readonly WebSocket: typeof WebSocket;
  readonly wires = new Set<Wire>();
  private readonly watchers = new Set<() => void>();

  constructor() {
    const network = this;
    this.fetch = makeFetch(this);
    this.WebSocket = class extends FaultSocket {
      constructor(url: string | URL, protocols?: string | string[]) { super(network, url, protocols); }
    } as unknown as typeof WebSocket;
  }

  /** Changes the weather. A browser tells its page of a cable that is pulled, so this does; a silent page would be no test of it. */
  set(change: Partial<Weather>) {
    const before = this.weather;
    this.weather = { ...before, ...change };
    if (!this.weather.dropped) for (const wire of [...this.wires]) wire.pump();
    if (before.dropped !== this.weather.dropped) dispatchEvent(new Event(this.weather.dropped ? 'offline' : 'online'));
    this.watchers.forEach(tell => tell());
  }

  /** Every connection breaks now, without a word. What a page can do: the server sees it closed. */
  kill() {
    for (const wire of [...this.wires]) wire.kill();
  }

  get faulty() {
    const { dropped, delay, rate, reads } = this.weather;
    return dropped || delay > 0 || rate > 0 || reads > 0;
  }

  watch = (tell: () => void) => {
    this.watchers.add(tell);
    return () => { this.watchers.delete(tell); };
  };
}
