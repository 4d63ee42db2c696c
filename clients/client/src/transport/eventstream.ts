// SPDX-License-Identifier: Apache-2.0
// text/event-stream (WHATWG HTML, 9.2.6), as it comes in.

export interface ServerEvent {
  /** The last id that was given, by this event or an earlier one. */
  id: string;
  type: string;
  data: string;
}

export interface EventStreamHandlers {
  event(event: ServerEvent): void;
  /** A block without data: browsers dispatch nothing, but the id counts. */
  id?(id: string): void;
  /** Milliseconds. */
  retry?(ms: number): void;
}

/** Characters that are kept of an event that does not end. */
const EVENT_MAX = 1 << 26;

/** Takes text in pieces of any size; throws when an event is too large. */
export function eventStream(on: EventStreamHandlers): (text: string) => void {
  let rest = '', data: string | undefined, type = '', id = '', before = '\uFEFF';

  function line(text: string) {
    if (!text) {
      if (data !== undefined) on.event({ id, type: type || 'message', data });
      else on.id?.(id);
      data = undefined;
      type = '';
      return;
    }
    const colon = text.indexOf(':');
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'data') data = data === undefined ? value : `${data}\n${value}`;
    else if (name === 'event') type = value;
    else if (name === 'id' && !value.includes('\0')) id = value;
    else if (name === 'retry' && /^\d+$/.test(value)) on.retry?.(Number(value));
  }

  return text => {
    if (!text) return;
    // A byte order mark at the very start is none of it; nor is the LF of a CR LF that was cut in two.
    if (text[0] === before) text = text.slice(1);
    before = text.endsWith('\r') ? '\n' : '';
    rest += text;
    if (rest.length + (data?.length ?? 0) > EVENT_MAX) throw new Error('The stream has an event that is too large.');
    // A long line is not read again with each piece of it.
    if (!/[\r\n]/.test(text)) return;
    const lines = rest.split(/\r\n|\n|\r/);
    rest = lines.pop()!;
    for (const one of lines) line(one);
  };
}
