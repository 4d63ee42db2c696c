// SPDX-License-Identifier: Apache-2.0
// What a transport is to the rest: something that takes commands of the protocol and gives its messages.  A WebSocket does that
// by itself; the others are made to look the same, so that there is one way of subscribing and resuming.
import type { Ending } from '../errors.ts';
import type { Clock, Position } from '../types.ts';

/** Parameters of a URL; those that are undefined are left out. */
export type Query = Record<string, string | number | undefined>;

/** A JSON object as it goes over the wire. */
export type Message = Record<string, unknown>;

/** Whether the server says it of itself. A flat event may have a member `control` of its publisher, and always has its time. */
export function isControl(message: Message): boolean {
  return message.control === true && !message.timestamp;
}

export interface LinkOptions {
  /** Of a path at the server, below whatever its base URL has; http or https. */
  url(path: string, query?: Query): URL;
  path: string;
  query: Record<string, string>;
  /** Where an endpoint with topics of its own goes on. */
  since?: Position;
  format: string;
  token?: string;
  /** What stands for the endpoint's own topics where it can't be reached. */
  topics: string[];
  /** Milliseconds between two polls; undefined: answers wait until there is something. */
  poll?: number;
  clock: Clock;
  WebSocket?: typeof WebSocket;
  fetch: typeof fetch;
  /** A message of the server, and its text. The first is `connection`: from then on the link can be used. */
  message(message: Message, text: string): void;
  /** Something came that is no message. */
  heard(): void;
  /** Text that goes out. */
  sent(text: string): void;
  /** It is over: said at most once, and not after close(). */
  end(end: Ending): void;
}

export interface Link {
  send(command: Message): void;
  /** Ends it without another word of it. */
  close(): void;
}

export type OpenLink = (options: LinkOptions) => Link;
