// SPDX-License-Identifier: Apache-2.0
// Commands that wait for their answers.
import { errorOf, TidingsError } from './errors.ts';
import type { Message } from './transport/link.ts';
import type { Clock, Reason } from './types.ts';

/** For a connection to send it on, and for the answer. */
const PATIENCE_MS = 30_000;

interface Waiting {
  command: Message;
  sent: boolean;
  settle(answer: Message | TidingsError): void;
}

export interface Commands {
  nextRef(): number;
  /** Sent now, or once there is a connection. */
  command(type: string, members?: Message, signal?: AbortSignal): Promise<Message>;
  online(): void;
  /** What was sent is not known to have been carried out. `final`: nor is there hope for the rest. */
  lost(reason: Reason, final: boolean): void;
  message(message: Message): void;
}

export function commands(d: { clock: Clock; isOnline(): boolean; send(command: Message): void }): Commands {
  const waiting = new Map<unknown, Waiting>();
  let last = 0;

  function send(one: Waiting) {
    one.sent = true;
    d.send(one.command);
  }

  return {
    nextRef: () => ++last,
    command(type, members = {}, signal) {
      return new Promise((resolve, reject) => {
        const ref = ++last;
        const settle = (answer: Message | TidingsError) => {
          waiting.delete(ref);
          d.clock.clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
          if (answer instanceof TidingsError) reject(answer);
          else resolve(answer);
        };
        const abort = () => settle(new TidingsError('aborted', `${type} was aborted.`));
        const timer = d.clock.setTimeout(() => settle(new TidingsError('timeout', `No answer to ${type} within 30 s.`)), PATIENCE_MS);
        const one = { command: { ...members, type, ref }, sent: false, settle };
        waiting.set(ref, one);
        signal?.addEventListener('abort', abort);
        if (signal?.aborted) abort();
        else if (d.isOnline()) send(one);
      });
    },
    online() {
      for (const one of waiting.values()) send(one);
    },
    lost(reason, final) {
      for (const one of [...waiting.values()])
        if (one.sent || final) one.settle(new TidingsError(final ? reason.name : 'network', reason.message, { whatToDo: reason.whatToDo }));
    },
    message(message) {
      if (message.control !== true) return;
      waiting.get(message.ref)?.settle(message.type === 'command_error' ? errorOf(message) : message);
    },
  };
}
