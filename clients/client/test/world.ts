// SPDX-License-Identifier: Apache-2.0
// A world without time and network of its own: a clock that is turned, and sockets whose other end is the test.
import { onTestFinished } from 'vitest';
import { createClient } from '../src/index.ts';
import type { Client, ClientOptions, Clock, ConnectionState, TidingsEvent } from '../src/index.ts';
// Loaded at once: what is imported dynamically is not to depend on real time.
import '../src/rest.ts';
import '../src/transport/fallback.ts';

interface Timer { due: number; fn: () => void }

export class FakeClock implements Clock {
  #now = 1000;
  readonly timers = new Set<Timer>();

  now = (): number => this.#now;

  setTimeout = (fn: () => void, ms: number): unknown => {
    const timer = { due: this.#now + Math.max(0, ms), fn };
    this.timers.add(timer);
    return timer;
  };

  clearTimeout = (timer: unknown): void => { this.timers.delete(timer as Timer); };

  /** Lets so much time pass; what is due runs in its turn. */
  async tick(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const next = [...this.timers].filter(timer => timer.due <= end).sort((a, b) => a.due - b.due)[0];
      if (!next) break;
      this.#now = Math.max(this.#now, next.due);
      this.timers.delete(next);
      next.fn();
    }
    this.#now = end;
    await settled();
  }

  /** The machine sleeps: time has passed, and no timer ran in time. */
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
    await this.tick(0);
  }
}

/** Until everything that does not wait for time has been done. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise(resolve => setImmediate(resolve));
}

type Sent = Record<string, any>;

export class FakeSocket {
  readonly url: URL;
  readonly protocols: string[];
  readonly sent: Sent[] = [];
  closed?: number;
  onmessage?: (event: { data: string }) => void;
  onclose?: (event: { code: number; reason: string }) => void;
  onerror?: () => void;

  constructor(url: URL, protocols: string[]) {
    this.url = new URL(url);
    this.protocols = protocols;
  }

  send(text: string): void { this.sent.push(JSON.parse(text)); }
  close(code?: number): void { this.closed ??= code ?? 1005; }

  // ---- the server's end ----

  say(message: object): void { this.onmessage?.({ data: JSON.stringify(message) }); }
  control(type: string, members: object = {}): void { this.say({ type, control: true, ...members }); }
  welcome(members: object = {}): void {
    this.control('connection', {
      message: 'connected', connection_id: 'c1', user: 'ann', position: 'e.0', heartbeat: { interval: 30, timeout: 10 }, ...members,
    });
  }
  event(topic: string, id: string | undefined, data: unknown, more: object = {}): void {
    this.say({ ...(id && { id }), topic, type: 'said', time: '2026-01-01T00:00:00.000Z', data, ...more });
  }
  end(code = 1006, reason = ''): void { this.onclose?.({ code, reason }); }

  /** Commands of this type, in order. */
  commands(type: string): Sent[] { return this.sent.filter(one => one.type === type); }
  /** Answers the n-th SUBSCRIBE. */
  subscribed(position: string, n = -1): Sent {
    const command = this.commands('SUBSCRIBE').at(n)!;
    this.control('subscribed', { ref: command.ref, topics: command.topics, position });
    return command;
  }
  caughtUp(position: string, n = -1): void {
    this.control('caught_up', { ref: this.commands('SUBSCRIBE').at(n)!.ref, position });
  }
}

export interface World {
  client: Client;
  clock: FakeClock;
  sockets: FakeSocket[];
  /** The newest one. */
  readonly socket: FakeSocket;
  states: ConnectionState[];
  /** Phases as they came, without repeats. */
  readonly phases: string[];
  requests: { url: URL; method: string; headers: Record<string, string>; body?: string }[];
}

export interface WorldOptions extends Partial<ClientOptions> {
  /** What is answered to HTTP; nobody is there unless given. */
  answer?: (url: URL, request: RequestInit) => Response | Promise<Response>;
}

export function world({ answer, ...options }: WorldOptions = {}): World {
  const clock = new FakeClock(), sockets: FakeSocket[] = [], states: ConnectionState[] = [], requests: World['requests'] = [];
  class Socket extends FakeSocket {
    constructor(url: URL, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const client = createClient({
    url: 'http://tidings.test', token: 't0', transports: ['websocket'], backoff: { base: 1000, factor: 2, max: 30_000, jitter: 'none' },
    clock, random: () => 0.5, WebSocket: Socket as unknown as typeof WebSocket,
    fetch: async (given, init = {}) => {
      const url = new URL(String(given));
      requests.push({ url, method: init.method ?? 'GET', headers: init.headers as Record<string, string>, body: init.body as string });
      if (!answer) throw new TypeError('fetch failed');
      return answer(url, init);
    },
    ...options,
  }) as unknown as Client;
  client.watch(state => states.push(state));
  onTestFinished(() => client.close());
  return {
    client, clock, sockets, states, requests,
    get socket() { return sockets.at(-1)!; },
    get phases() { return states.map(state => state.phase).filter((phase, i, all) => phase !== all[i - 1]); },
  };
}

/** One that is online. */
export async function online(options?: WorldOptions): Promise<World> {
  const it = world(options);
  it.client.open();
  await settled();
  it.socket.welcome();
  await settled();
  return it;
}

/** A list that an `onEvent` fills with the data that came. */
export function collector(): { got: unknown[]; onEvent: (event: TidingsEvent) => void } {
  const got: unknown[] = [];
  return { got, onEvent: event => { got.push(event.state ? ['state', event.data] : event.data); } };
}
