// SPDX-License-Identifier: Apache-2.0
// Locks: a lease on a name, renewed while it is wanted, and told when it is lost (docs/protocol.md, Locks).
import { codeOf, follow, isObject, plain, Watched } from './parts.ts';
import type { Client, Lock, LockState, Schema, Stop, TidingsErrorShape, TidingsEvent, Topic } from './types.ts';

const TTL_S = 30;

/** A lock as the server answers it. */
interface Answered { holder: string; fence: number; expires_in: number }

class Held implements Lock {
  #client: Client<Schema>;
  #path: string;
  #lock: Watched<LockState>;
  #topic: Topic;
  /** Kept by this one: acquired, and neither given back nor lost. */
  #kept = false;
  #ttl = TTL_S;
  /** By client.clock: until when the lease holds for certain. */
  #until = 0;
  #timer: unknown;
  #checking = false;
  #closed = false;
  /** Our name as a holder; by HTTP alone it is only known once a lock was taken. */
  #me: string | undefined;

  constructor(client: Client<Schema>, name: string) {
    this.#client = client;
    this.#path = `/api/v1/locks/${name.split('/').map(encodeURIComponent).join('/')}`;
    this.#lock = new Watched<LockState>({ name, mine: false });
    // The lock of a project is told on the topic that it is named for, which whoever may see the lock may follow; others on a topic of their own.
    const project = /^projects\/[^/]+$/.test(name);
    this.#topic = follow(client, project ? name : `locks/${name}`, {
      event: event => { if (event.key === 'lock') this.#take(event); },
      gap: () => this.#check(),
      // Not granted to follow, but perhaps to ask.
      phase: phase => { if (phase === 'denied') this.#check(); },
    }, project ? { types: ['lock_changed'] } : {});
  }

  get state(): LockState { return this.#lock.state; }

  watch(fn: (state: LockState) => void): Stop { return this.#lock.watch(state => fn(state)); }

  async acquire({ ttl = TTL_S, signal }: { ttl?: number; signal?: AbortSignal } = {}): Promise<LockState> {
    this.#ttl = ttl;
    await this.#put(signal);
    if (this.#closed) await this.#client.request('DELETE', this.#path);
    else this.#keep(true);
    return this.state;
  }

  async release(): Promise<void> {
    this.#keep(false);
    await this.#client.request('DELETE', this.#path).catch((error: unknown) => {
      if (codeOf(error) !== 'not_found') throw error;
    });
    this.#free();
  }

  close(): void {
    this.#closed = true;
    this.#topic.close();
    this.#lock.clear();
    // Nobody is to wait for the lease of one who has left.
    if (this.#kept) this.release().catch(() => { /* it ends by itself */ });
  }

  /** Takes it, or renews it. */
  async #put(signal?: AbortSignal): Promise<void> {
    const from = this.#client.clock.now();
    const { data } = await this.#client.request<Answered>('PUT', this.#path, { body: { ttl: this.#ttl }, signal });
    // Counted from before the request was sent: for us the lease is over no later than for the server.
    this.#until = from + data.expires_in * 1000;
    this.#me = data.holder;
    this.#set({ holder: data.holder, fence: data.fence, mine: true, until: new Date(Date.now() + data.expires_in * 1000).toISOString(), lost: undefined });
  }

  #isMe(holder: string | undefined): boolean { return holder !== undefined && holder === (this.#me ?? this.#client.user); }

  #set(changes: Partial<LockState>): void {
    this.#lock.tell({ ...this.state, ...changes });
  }

  #free(): void {
    if (this.state.holder !== undefined) this.#set({ holder: undefined, until: undefined, fence: undefined, mine: false });
  }

  #keep(kept: boolean): void {
    this.#kept = kept;
    this.#client.clock.clearTimeout(this.#timer);
    if (kept) this.#renewIn(this.#ttl * 1000 / 3);
  }

  /** Renews in so many ms, or, when the lease ends before, tells then that it is lost. */
  #renewIn(ms: number): void {
    const left = this.#until - this.#client.clock.now();
    this.#timer = this.#client.clock.setTimeout(() => {
      if (this.#client.clock.now() >= this.#until) this.#lose();
      else this.#renew();
    }, Math.max(0, Math.min(ms, left)));
  }

  #renew(): void {
    const next = (ms: number) => { if (this.#kept) this.#renewIn(ms); };
    this.#put().then(() => next(this.#ttl * 1000 / 3), (error: TidingsErrorShape) => {
      if (codeOf(error) !== 'lock_held') next(Math.min(1000, this.#ttl * 100));
      else if (this.#kept) this.#lose(error.problem?.holder as string | undefined);
    });
  }

  #lose(holder?: string): void {
    this.#keep(false);
    this.#set({ holder, until: undefined, fence: undefined, mine: false, lost: true });
  }

  #take({ type, data }: TidingsEvent): void {
    const said = isObject(data) ? data : {}, held = type === 'lock_changed' ? said.locked === true : type === 'lock_acquired' || type === 'lock_renewed';
    const holder = held ? said.holder as string : undefined;
    // What does not fit to what we have is perhaps only late: it is of before we took it.
    if (this.#kept && holder !== this.state.holder) this.#check();
    else if (!held) this.#free();
    else this.#set({ holder, until: said.until as string, mine: this.#isMe(holder), ...(holder === this.state.holder ? {} : { fence: undefined }) });
  }

  /** Asks who holds it. */
  #check(): void {
    if (this.#checking || this.#closed) return;
    this.#checking = true;
    this.#client.request<Answered>('GET', this.#path).then(({ data: { holder, fence } }) => {
      const mine = this.#isMe(holder);
      if (this.#kept && !mine) this.#lose(holder);
      else this.#set({ holder, fence, mine });
    }, (error: unknown) => {
      if (codeOf(error) !== 'not_found') return;
      if (this.#kept) this.#lose();
      else this.#free();
    }).finally(() => { this.#checking = false; });
  }
}

/** Follows a lock, and takes it when asked to. Close it when nobody looks any more; a lock that it keeps is given back. */
export function lock<S extends Schema>(client: Client<S>, name: string): Lock {
  return new Held(plain(client), name);
}
