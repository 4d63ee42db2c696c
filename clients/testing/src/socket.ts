// SPDX-License-Identifier: Apache-2.0
// A class that looks like WebSocket, whose other end is in the same program.

/** The server's end of a socket. */
export interface Peer {
  /** A text of the client. */
  text(text: string): void;
  /** The client has closed it. */
  closed(code: number): void;
}

/** What the server's end does to the client's. */
export interface ClientEnd {
  opened(protocol: string): void;
  received(text: string): void;
  /** It ends; code 1006 without a close frame. */
  ended(code: number, reason: string): void;
}

export type Connect = (end: ClientEnd, url: URL, protocols: string[]) => Peer;

type Listener = ((event: Event) => void) | null;

/** A WebSocket class whose sockets lead to `connect`. */
export function socketClass(connect: Connect): typeof WebSocket {
  class TestSocket extends EventTarget implements ClientEnd {
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
    onopen: Listener = null;
    onmessage: Listener = null;
    onerror: Listener = null;
    onclose: Listener = null;
    #peer: Peer;

    constructor(url: string | URL, protocols: string | string[] = []) {
      super();
      const parsed = new URL(url);
      this.url = parsed.href;
      this.#peer = connect(this, parsed, [protocols].flat());
    }

    send(text: string): void {
      if (this.readyState === 0) throw new DOMException('Still in CONNECTING state', 'InvalidStateError');
      if (this.readyState === 1) this.#peer.text(String(text));
    }

    close(code = 1005): void {
      if (this.readyState > 1) return;
      this.readyState = 2;
      this.#peer.closed(code);
    }

    opened(protocol: string): void {
      if (this.readyState !== 0) return;
      this.readyState = 1;
      this.protocol = protocol;
      this.#tell('open', {});
    }

    received(text: string): void { if (this.readyState === 1) this.#tell('message', { data: text, origin: new URL(this.url).origin }); }

    ended(code: number, reason: string): void {
      if (this.readyState === 3) return;
      const wasClean = code !== 1006;
      this.readyState = 3;
      if (!wasClean) this.#tell('error', {});
      this.#tell('close', { code, reason, wasClean });
    }

    #tell(type: 'open' | 'message' | 'error' | 'close', members: Record<string, unknown>): void {
      const event = Object.assign(new Event(type), members);
      this[`on${type}`]?.(event);
      this.dispatchEvent(event);
    }
  }
  return TestSocket as unknown as typeof WebSocket;
}
