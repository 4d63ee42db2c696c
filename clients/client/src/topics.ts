// SPDX-License-Identifier: Apache-2.0
// What is subscribed.  A connection has one position: what had its place in the stream is resumed by one SUBSCRIBE `since` it, what
// is new is asked for beside it.  Events are matched to the uses of a pattern here.
import { errorOf, TidingsError } from './errors.ts';
import { isPattern, matches } from './match.ts';
import type { Message } from './transport/link.ts';
import type { Gap, Position, Stop, TidingsEvent, TopicOptions } from './types.ts';
import { Use } from './use.ts';

/** Of one command. */
const PATTERNS_MAX = 256;
const LINGER_MS = 1000;

/** A SUBSCRIBE under way. */
interface Group {
  uses: Use[];
  since?: Position | 'earliest';
  /** It continues the stream; what is new waits until that has caught up. */
  resumes: boolean;
  /** It is the first of its connection. */
  first: boolean;
}

export interface TopicsDeps {
  /** Puts it on the wire. */
  send(command: Message): void;
  nextRef(): number;
  guarded(fn: () => void): void;
  later(fn: () => void, ms: number): Stop;
  /** The endpoint has topics of its own: it stands somewhere before anything is subscribed. */
  bound: boolean;
  /** Where the last page had come to, by pattern. */
  remembered(pattern: string): Position | undefined;
}

export interface Topics {
  /** Up to where everything was handed on. */
  readonly position: Position | undefined;
  /** Patterns that have their place in the stream. */
  settled(): string[];
  add(pattern: string, options?: TopicOptions): Use;
  online(): void;
  lost(): void;
  /** Takes a message of the server, of so many characters. */
  message(message: Message, size: number): void;
}

export function topics(d: TopicsDeps): Topics {
  const uses = new Set<Use>();
  const groups = new Map<unknown, Group>();
  // What the link has been asked for.
  const subscribed = new Set<string>();
  const lingering = new Map<string, Stop>();
  let position: Position | undefined;
  let online = false, first = true, resuming = false, scheduled = false;

  const useDeps = {
    guarded: d.guarded,
    retryLater: d.later,
    asked: schedule,
    closed(use: Use) {
      if (!uses.delete(use)) return;
      for (const group of groups.values()) group.uses = group.uses.filter(one => one !== use);
      if (isUsed(use.name) || !subscribed.has(use.name)) return;
      lingering.get(use.name)?.();
      lingering.set(use.name, d.later(() => { lingering.delete(use.name); schedule(); }, LINGER_MS));
    },
  };

  const isUsed = (pattern: string) => [...uses].some(use => use.name === pattern);

  // All that one turn of the event loop asks for goes out together.
  function schedule() {
    if (scheduled || !online) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      if (online) flush();
    });
  }

  function flush() {
    const waiting = new Set([...groups.values()].flatMap(group => group.uses.map(use => use.name)));
    const unused = [...subscribed].filter(name => !lingering.has(name) && !waiting.has(name) && !isUsed(name));
    for (const name of unused) subscribed.delete(name);
    for (const part of parts(unused)) d.send({ type: 'UNSUBSCRIBE', topics: part });
    if (resuming) return;
    // What begins now goes first: behind one that begins earlier the connection would stand too early for it.
    const asks = new Map<string, Use[]>([['', []], ['+', []]]);
    for (const use of uses) {
      if (!use.ask || use.ref || use.phase === 'denied') continue;
      const key = (use.ask.since ?? '') + (use.ask.state ? '+' : '');
      asks.get(key)?.push(use) ?? asks.set(key, [use]);
    }
    for (const [key, group] of asks) subscribe(group, group[0]?.ask?.since, key.endsWith('+'), false);
  }

  function subscribe(group: Use[], since: Position | 'earliest' | undefined, state: boolean, resumes: boolean) {
    for (const part of parts([...new Set(group.map(use => use.name))])) {
      const ref = d.nextRef();
      const members = group.filter(use => part.includes(use.name));
      for (const use of members) {
        use.ref = ref;
        // The connection moves once; what does not fit into the first command is read beside it.
        if (resumes && !first) use.unsettle(since);
      }
      groups.set(ref, { uses: members, since, resumes: resumes && first, first });
      for (const name of part) subscribed.add(name);
      first = false;
      d.send({ type: 'SUBSCRIBE', topics: part, since, ...(state && { state }), ref });
    }
  }

  function finished(ref: unknown, group: Group) {
    groups.delete(ref);
    if (group.resumes) resuming = false;
    schedule();
  }

  function refused(ref: unknown, group: Group, message: Message) {
    const error = errorOf(message);
    const text = String(message.message);
    const named = group.uses.filter(use => text.startsWith(use.name + ': '));
    const again = /^(rate_limited|unavailable)$/.test(error.code);
    for (const use of named.length ? named : group.uses) {
      group.uses = group.uses.filter(one => one !== use);
      use.ref = undefined;
      use.ask ??= { since: group.since, state: false };
      subscribed.delete(use.name);
      if (again) use.to(use.phase, error);
      else use.deny(error);
    }
    if (group.uses.length) return;
    if (!again) return finished(ref, group);
    groups.delete(ref);
    d.later(() => finished(ref, group), (error.retryAfter ?? 1) * 1000);
  }

  function lost(names: unknown) {
    for (const use of uses) {
      if (!(names as string[]).includes(use.name)) continue;
      subscribed.delete(use.name);
      use.deny(new TidingsError('forbidden', `${use.name} is not granted to you any more.`));
    }
  }

  // Another token may grant what the last one did not.
  function revive() {
    for (const use of uses) if (use.phase === 'denied') use.to('joining');
    schedule();
  }

  function answered(message: Message, group: Group) {
    const here = message.position as Position, { ref } = message;
    const history = !group.resumes && !!group.since && group.since !== here && !(group.first && !d.bound);
    if (group.first && !group.resumes && !d.bound)
      position = group.since && group.since !== 'earliest' ? group.since : here;
    for (const use of group.uses) {
      if (group.resumes) use.to('catching-up');
      else use.joined(here, history);
    }
    // Without history or state nothing else is to come.
    if (!group.uses.some(use => use.ref === ref)) finished(ref, group);
  }

  function caughtUp(message: Message, group: Group | undefined) {
    const { ref } = message;
    const isStream = !group || group.resumes || group.uses.every(use => use.settled);
    if (isStream) position = message.position as Position;
    for (const use of group?.uses ?? uses) {
      if (group?.resumes) {
        // Its state may have been on its way when the connection broke: that is asked for once more.
        use.ref = undefined;
        if (!use.ask) use.caughtUp();
      } else if (group) {
        use.caughtUp();
      }
    }
    if (group) finished(ref, group);
  }

  function gap(message: Message, group: Group | undefined) {
    const { from, to, reason, topics: names } = message as unknown as Gap;
    for (const use of message.history ? group?.uses ?? [] : uses) {
      if (message.history || (use.settled && (!names || names.includes(use.name))))
        use.gap({ from, to, reason, topics: names }, !!message.history);
    }
  }

  function event(message: Message, size: number) {
    const it = message as unknown as TidingsEvent & { history?: boolean; ref?: unknown };
    if (it.history) {
      for (const use of groups.get(it.ref)?.uses ?? []) if (matches(use.name, it.topic)) use.history(it);
      return;
    }
    if (!it.state && it.id) position = it.id;
    for (const use of uses) {
      if (!(use.settled || use.phase === 'catching-up') || !matches(use.name, it.topic)) continue;
      if (!it.state) use.live(it, size);
      else if (use.stateful) use.state(it, size);
    }
  }

  return {
    get position() { return position; },
    settled: () => [...new Set([...uses].filter(use => use.settled).map(use => use.name))],
    add(pattern, options = {}) {
      if (!isPattern(pattern)) throw new TidingsError('bad_request', `Not a pattern: ${pattern}`);
      const use = new Use(pattern, options, useDeps, () => position, options.snapshot ? undefined : d.remembered(pattern));
      uses.add(use);
      return use;
    },
    online() {
      online = true;
      first = true;
      revive();
      const settled = [...uses].filter(use => use.settled);
      resuming = settled.length > 0 && !d.bound;
      if (settled.length) {
        if (d.bound) first = false;
        subscribe(settled, position, false, true);
      }
      schedule();
    },
    lost() {
      online = resuming = false;
      groups.clear();
      subscribed.clear();
      for (const stop of lingering.values()) stop();
      lingering.clear();
      for (const use of uses) use.paused();
    },
    message(message, size) {
      const group = groups.get(message.ref);
      if (message.control !== true) event(message, size);
      else if (message.type === 'subscribed' && group) answered(message, group);
      else if (message.type === 'caught_up') caughtUp(message, group);
      else if (message.type === 'gap') gap(message, group);
      else if (message.type === 'heartbeat' && !resuming) position = (message.position ?? position) as Position;
      else if (message.type === 'access_lost') lost(message.topics);
      else if (message.type === 'authenticated') {
        revive();
        lost(message.lost ?? []);
      }
      else if (message.type === 'skip' && group) for (const use of group.uses) (message.ids as Position[]).forEach(id => use.skip(id));
      else if (message.type === 'command_error' && group) refused(message.ref, group, message);
    },
  };
}

function* parts(names: string[]): Generator<string[]> {
  for (let i = 0; i < names.length; i += PATTERNS_MAX) yield names.slice(i, i + PATTERNS_MAX);
}
