// SPDX-License-Identifier: Apache-2.0
// What one person has in this tab: the clients, all on the same network, and what passes on them.
import { createClient, type Client, type ClientOptions } from '@tidings/client';
import { createContext, useContext } from 'react';
import { Network } from './faults/network.ts';
import { BASE, freshToken, hasPastedToken, type Person } from './session.ts';

/** A raw message as it passed. */
export interface Passed {
  readonly n: number;
  readonly time: number;
  /** Of which client. */
  readonly client: string;
  readonly direction: 'in' | 'out';
  readonly text: string;
}

const KEPT = 500; // raw messages
const SHORT_S = 5; // what a token is good for when it is to expire

export class Desk {
  readonly person: Person;
  readonly network = new Network();
  /** The newest raw messages; a new array when there are more. */
  passed: readonly Passed[] = [];
  private fresh: Passed[] = [];
  private n = 0;
  private frame = 0;
  private holdUntil = 0;
  private leaving: ReturnType<typeof setTimeout> | undefined;
  private readonly clients = new Map<string, Client>();
  private readonly watchers = new Set<() => void>();

  constructor(person: Person) { this.person = person; }

  /** The client of that name; made when it is asked for first, and kept until this person leaves. */
  client(name: string, options: Partial<ClientOptions> = {}): Client {
    let client = this.clients.get(name);
    if (client) return client;
    client = createClient({
      url: BASE, token: (why, { signal }) => this.token(why, signal), WebSocket: this.network.WebSocket, fetch: this.network.fetch, ...options,
    }) as Client;
    client.tap((direction, text) => this.pass(name, direction, text));
    this.clients.set(name, client);
    this.watchers.forEach(tell => tell());
    return client;
  }

  /** That on `/ws`, which nearly everything uses. */
  get main() { return this.client('main'); }
  get all(): readonly Client[] { return [...this.clients.values()]; }

  /** Lets every token end in a few seconds. `renew`: the client may have another one in time; else the server has to throw it out first. */
  async expire(renew: boolean) {
    const token = await freshToken(this.person, this.network.fetch, { seconds: SHORT_S });
    if (!token) return;
    // The server closes within a second of the end; seconds of a token are whole ones.
    this.holdUntil = renew ? 0 : performance.now() + (SHORT_S + 2.5) * 1000;
    await Promise.all(this.all.map(client => client.reauth(token)));
  }

  private async token(why: 'first' | 'expiring' | 'rejected', signal: AbortSignal) {
    if (why === 'rejected' && hasPastedToken()) return null; // there is no other one
    const wait = why === 'expiring' ? this.holdUntil - performance.now() : 0;
    if (wait > 0) await new Promise(resume => { setTimeout(resume, wait); });
    return freshToken(this.person, this.network.fetch, { signal });
  }

  /** Somebody sits here, until what it returns is called. React's StrictMode goes and comes back, which should cost no connection. */
  use() {
    clearTimeout(this.leaving);
    return () => { this.leaving = setTimeout(() => { for (const client of this.clients.values()) client.close(); }, 1000); };
  }

  watch = (tell: () => void) => {
    this.watchers.add(tell);
    return () => { this.watchers.delete(tell); };
  };

  clear() {
    this.passed = this.fresh = [];
    this.watchers.forEach(tell => tell());
  }

  // Shown once a frame, however fast they come.
  private pass(client: string, direction: 'in' | 'out', text: string) {
    this.fresh.push({ n: ++this.n, time: Date.now(), client, direction, text: text.length > 2000 ? `${text.slice(0, 2000)}…` : text });
    if (this.fresh.length > KEPT) this.fresh = this.fresh.slice(-KEPT);
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.passed = [...this.passed, ...this.fresh].slice(-KEPT);
      this.fresh = [];
      this.watchers.forEach(tell => tell());
    });
  }
}

export const DeskContext = createContext<Desk | null>(null);

export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (!desk) throw new Error('There is nobody here.');
  return desk;
}
