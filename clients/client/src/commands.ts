// SPDX-License-Identifier: Apache-2.0
// Commands that wait for a connection, and for their answers.
import { errorOf, errorOfReason, TidingsError } from './errors.ts';
import type { Message } from './transport/link.ts';
import type { Reason, Stop } from './types.ts';

interface Waiting {
  command: Message;
  sent: boolean;
  settle(answer: Message | TidingsError): void;
}

export interface CommandsDeps {
  later(fn: () => void, ms: number): Stop;
  isOnline(): boolean;
  send(command: Message): void;
}

export interface Commands {
  nextRef(): number;
  /** Sent now, or once there is a connection; `patience` is for both, in milliseconds. */
  command(type: string, members?: Message, signal?: AbortSignal, patience?: number): Promise<Message>;
  online(): void;
  /** Of what was sent it is not known whether it was carried out. `isFinal`: nor is there hope for the rest. */
  lost(reason: Reason, isFinal: boolean): void;
  message(message: Message): void;
}

export function commands(d: CommandsDeps): Commands {
  const waiting = new Map<unknown, Waiting>();
  let last = 0;

  function send(one: Waiting) {
    one.sent = true;
    d.send(one.command);
  }

  return {
    nextRef: () => ++last,
    command: (type, members, signal, patience = 30_000) => new Promise((resolve, reject) => {
      const ref = ++last;
      const abort = () => settle(new TidingsError('aborted', `${type} was aborted.`));
      const stop = d.later(() => settle(new TidingsError('timeout', `No answer to ${type} in time.`)), patience);
      function settle(answer: Message | TidingsError) {
        waiting.delete(ref);
        stop();
        signal?.removeEventListener('abort', abort);
        if (answer instanceof TidingsError) reject(answer);
        else resolve(answer);
      }
      const one = { command: { ...members, type, ref }, sent: false, settle };
      waiting.set(ref, one);
      signal?.addEventListener('abort', abort);
      if (signal?.aborted) abort();
      else if (d.isOnline()) send(one);
    }),
    online() {
      for (const one of waiting.values()) send(one);
    },
    lost(reason, isFinal) {
      for (const one of [...waiting.values()])
        if (isFinal || one.sent) one.settle(isFinal ? errorOfReason(reason) : new TidingsError('network', reason.message));
    },
    message(message) {
      waiting.get(message.ref)?.settle(message.type === 'command_error' ? errorOf(message) : message);
    },
  };
}

/** Whether the same may be granted a little later. */
export function isPassing(error: unknown): boolean {
  return ['rate_limited', 'unavailable', 'draining', 'network'].includes((error as TidingsError).code);
}
