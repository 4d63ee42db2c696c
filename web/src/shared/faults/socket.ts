// SPDX-License-Identifier: Apache-2.0
// A WebSocket through the pipes of a Network.
import type { Network, Wire } from './network.ts';
import { Pipe } from './pipe.ts';
import { openSlowly } from './slow.ts';

/** The part of a WebSocket that is needed here; the browser's, or one that reads slowly. */
export interface Plain {
  readonly protocol: string;
  readonly extensions: string;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

const REFUSED_MS = 300; // how long a new connection takes to fail while the network is away

export class FaultSocket extends EventTarget implements Wire {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;
  readonly url: string;
  readyState = 0;
  protocol = '';
  extensions = '';
  binaryType = 'blob';
  bufferedAmount = 0;
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  private readonly network: Network;
  private readonly up: Pipe;
  private readonly down: Pipe;
  private real: Plain | undefined;

  constructor(network: Network, url: string | URL, protocols?: string | string[]) {
    super();
    this.network = network;
    this.url = String(url);
    this.up = new Pipe(() => network.weather, false);
    this.down = new Pipe(() => network.weather, true);
    network.wires.add(this);
    if (network.weather.dropped) setTimeout(() => this.kill(), REFUSED_MS);
    else this.begin(protocols);
  }

  private begin(protocols?: string | string[]) {
    const real = this.real = this.network.weather.reads > 0 ? openSlowly(this.url, protocols, () => this.network.weather.reads)
      : new WebSocket(this.url, protocols) as Plain;
    real.onopen = () => this.down.push(0, () => {
      this.readyState = 1;
      this.protocol = real.protocol;
      this.extensions = real.extensions;
      this.tell(new Event('open'));
    });
    real.onmessage = ({ data }) => this.down.push(String(data).length, () => this.tell(new MessageEvent('message', { data })));
    real.onclose = ({ code, reason, wasClean }) => this.down.push(0, () => this.end(code, reason, wasClean));
  }

  send(data: string) {
    if (this.readyState === 0) throw new DOMException('It is not open yet.', 'InvalidStateError');
    if (this.readyState !== 1) return;
    this.bufferedAmount += data.length;
    this.up.push(data.length, () => {
      this.bufferedAmount -= data.length;
      this.real?.send(data);
    });
  }

  close(code?: number, reason?: string) {
    if (this.readyState > 1) return;
    const open = this.readyState === 1;
    this.readyState = 2;
    // A browser gives up waiting for the other side's answer after a while; here the other side is known to be away.
    if (!open || this.network.weather.dropped) {
      this.real?.close();
      setTimeout(() => this.end(1006, '', false), 0);
    } else {
      this.up.push(0, () => this.real?.close(code, reason));
    }
  }

  pump() {
    this.up.pump();
    this.down.pump();
  }

  kill() {
    this.real?.close();
    this.end(1006, '', false);
  }

  private end(code: number, reason: string, wasClean: boolean) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.up.cut();
    this.down.cut();
    this.network.wires.delete(this);
    if (this.real) this.real.onopen = this.real.onmessage = this.real.onclose = null;
    if (!wasClean) this.tell(new Event('error'));
    this.tell(new CloseEvent('close', { code, reason, wasClean }));
  }

  private tell(event: Event) {
    const handler = this[`on${event.type}` as 'onopen'];
    handler?.call(this as unknown as WebSocket, event);
    this.dispatchEvent(event);
  }
}
