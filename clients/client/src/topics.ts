// SPDX-License-Identifier: Apache-2.0
// What is subscribed.  A connection has one position: what had its place in the stream is resumed by one SUBSCRIBE `since` it, what
// is new is asked for beside it.  Events are matched to the uses of a pattern here.
import type { Guarded } from './emitter.ts';
import { isPassing } from './commands.ts';
import { errorOf, TidingsError } from './errors.ts';
import { isPattern, matches } from './match.ts';
import type { Message } from './transport/link.ts';
import type { Gap, Position, Stop, TidingsEvent, TopicOptions } from './types.ts';
import { useOf } from './use.ts';
import type { Use } from './use.ts';

/** Of one command. */
const PATTERNS_MAX = 256;
const LINGER_MS = 1000;

/** A SUBSCRIBE under way. */
interface Group {
  uses: Set<Use>;
  since?: Position | 'earliest';
  state?: boolean;
  /** It continues the stream. */
  resumes: boolean;
  /** It moves the connection to where it begins; what is new waits until that has caught up. */
  moves: boolean;
}

export interface TopicsDeps {
  /** Puts it on the wire. */
  send(command: Message): void;
  nextRef(): number;
  guarded: Guarded;
  later(fn: () => void, ms: number): Stop;
  /** The endpoint has topics of its own: it stands somewhere before anything is subscribed. */
  bound: boolean;
}

export interface Topics {
  /** Up to where everything was handed on. */
  readonly position: Position | undefined;
  /** Patterns that have their place in the stream. */
  settled(): string[];
  add(pattern: string, options?: TopicOptions): Use;
  /** `remembered`: where the last page had come to, by pattern. */
  online(remembered?: (pattern: string) => Position | undefined): void;
  /** `isFinal`: and it does not come back by itself. */
  lost(isFinal: boolean): void;
  /** Takes a message of the server, of so many characters. */
  message(message: Message, size: number): void;
}

export function topics(d: TopicsDeps): Topics {
  const uses = new Set<Use>();
  /** How many of them have a pattern: thousands may come and go with a page, and each should cost the same. */
  const counts = new Map<string, number>();
  /** What is done a little later, or once the connection is gone. */
  const pending = new Map<() => void, Stop>();
  const groups = new Map<unknown, Group>();
  /** What the link has been asked for. */
  const subscribed = new Set<string>();
  let position: Position | undefined, remembered: Parameters<Topics['online']>[0];
  let isOnline = false, isMoving = false, isScheduled = false;

  const namesOf = (some: Iterable<Use>) => new Set([...some].map(use => use.name));
  const settled = () => [...uses].filter(use => use.settled);

  function soon(fn: () => void, ms: number) {
    const run = () => {
      pending.delete(run);
      fn();
    };
    pending.set(run, d.later(run, ms));
  }

  const useDeps = {
    guarded: d.guarded, later: d.later, asked: schedule, position: () => position,
    closed(use: Use) {
      if (!uses.delete(use)) return;
      for (const group of groups.values()) group.uses.delete(use);
      const leave = () => {
        const left = counts.get(use.name)! - 1;
        if (left) counts.set(use.name, left);
        else counts.delete(use.name);
        schedule();
      };
      // A component that is mounted again within a second costs no command.
      if (isOnline) soon(leave, LINGER_MS);
      else leave();
    },
  };

  // All that one turn of the event loop asks for goes out together.
  function schedule() {
    if (isScheduled) return;
    isScheduled = true;
    queueMicrotask(() => {
      isScheduled = false;
      if (isOnline) flush();
    });
  }

  function flush() {
    const unused = [...subscribed].filter(name => !counts.has(name));
    // The answer to a SUBSCRIBE has to come first.
    if (!groups.size) {
      for (const name of unused) subscribed.delete(name);
      for (const part of parts(unused)) d.send({ type: 'UNSUBSCRIBE', topics: part });
    }
    // What begins now goes first: behind one that begins earlier the connection would stand too early for it.
    const asks = new Map<string, Use[]>([['', []], ['+', []]]);
    for (const use of uses) {
      if (!use.ask || use.ref || use.phase === 'denied') continue;
      const key = (use.ask.since ?? '') + (use.ask.state ? '+' : '');
      asks.set(key, [...asks.get(key) ?? [], use]);
    }
    for (const [use, ...more] of asks.values()) {
      if (!use || isMoving) continue;
      const { since, state } = use.ask!;
      // State does not say whom it is for.
      if (!state || ![...groups.values()].some(group => group.state)) subscribe([use, ...more], since, state);
    }
  }

  function subscribe(members: Use[], since?: Position | 'earliest', state?: boolean, resumes = false) {
    for (const part of parts([...namesOf(members)])) {
      const ref = d.nextRef(), group = new Set(members.filter(use => part.includes(use.name))), moves = !d.bound && !subscribed.size;
      for (const use of group) {
        use.ref = ref;
        // The connection moves once; what does not fit into the first command is read beside it.
        if (resumes && !moves) use.unsettle(since);
      }
      groups.set(ref, { uses: group, since, state, resumes: resumes && moves, moves });
      isMoving ||= moves && !!since;
      for (const name of part) subscribed.add(name);
      d.send({ type: 'SUBSCRIBE', topics: part, since, state: state || undefined, ref });
    }
  }

  function finished(ref: unknown, group: Group) {
    if (!groups.delete(ref)) return; // of a connection that is gone
    if (group.moves) isMoving = false;
    schedule();
  }

  function refused(message: Message, group: Group) {
    const error = errorOf(message), text = error.message, passes = isPassing(error);
    const named = [...group.uses].filter(use => text.startsWith(use.name + ': '));
    for (const use of named.length ? named : group.uses) {
      group.uses.delete(use);
      subscribed.delete(use.name);
      use.ref = undefined;
      if (passes) {
        use.unsettle(group.since);
        use.to(use.phase, error);
      } else {
        use.deny(error);
      }
    }
    if (group.uses.size) return;
    if (passes) soon(() => finished(message.ref, group), (error.retryAfter ?? 1) * 1000);
    else finished(message.ref, group);
  }

  function lose(names: unknown) {
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
    const { ref, position: here, stands = here } = message as Message & { position: Position; stands?: Position }, { since, resumes, moves } = group;
    if (moves && !resumes) position = since && since !== 'earliest' ? since : here;
    // What is new is not to come from before it once more. (Before the topics of an endpoint have begun nothing is known of them.)
    else if (position) position = stands;
    for (const use of group.uses) {
      if (resumes) use.to('catching-up');
      else use.joined(here, !!since && since !== here && !moves);
    }
    // Without history or state nothing else is to come.
    if (![...group.uses].some(use => use.ref === ref)) finished(ref, group);
  }

  function caughtUp(message: Message, group: Group | undefined) {
    position = message.position as Position;
    if (!group) return;
    for (const use of group.uses) {
      use.ref = undefined;
      // The state may have been on its way when the connection broke: that is asked for once more.
      if (!group.resumes || !use.ask) use.caughtUp();
    }
    finished(message.ref, group);
  }

  function gap(it: Message & Gap, group: Group | undefined) {
    for (const use of it.history ? group?.uses ?? [] : settled())
      if (it.history || (it.topics?.includes(use.name) ?? true)) use.gap(it, !!it.history);
  }

  function event(it: TidingsEvent & Message, size: number, group: Group | undefined) {
    if (!it.history && !it.state && it.id) position = it.id;
    for (const use of it.history ? group?.uses ?? [] : uses) {
      if (!matches(use.name, it.topic)) continue;
      if (it.history) use.history(it);
      else if (it.state) use.stateful && use.state(it, size);
      else if (use.settled || use.phase === 'catching-up') use.live(it, size);
    }
  }

  return {
    get position() { return position; },
    settled: () => [...namesOf(settled())],
    add(pattern, options = {}) {
      if (!isPattern(pattern)) throw new TidingsError('bad_request', `Not a pattern: ${pattern}`);
      const use = useOf(pattern, options, useDeps);
      use.restore(remembered?.(pattern));
      uses.add(use);
      counts.set(pattern, (counts.get(pattern) ?? 0) + 1);
      return use;
    },
    online(where) {
      if (where && !remembered) for (const use of uses) use.restore(where(use.name));
      remembered = where;
      const before = settled();
      isOnline = true;
      revive();
      subscribe(before, position, false, true);
    },
    lost(isFinal) {
      isOnline = isMoving = false;
      groups.clear();
      subscribed.clear();
      for (const [run, stop] of pending) {
        stop();
        run();
      }
      for (const use of uses) use.paused(isFinal);
    },
    message(message, size) {
      const { type, ref } = message, group = groups.get(ref);
      // Who has begun anew, or was denied, is not meant any more.
      for (const use of group?.uses ?? []) if (use.ref !== ref) group!.uses.delete(use);
      if (message.control !== true) event(message as never, size, group);
      else if (type === 'caught_up') caughtUp(message, group);
      else if (type === 'gap') gap(message as never, group);
      else if (type === 'heartbeat') position = isMoving ? position : message.position as Position;
      else if (type === 'access_lost') lose(message.topics);
      else if (type === 'authenticated') {
        revive();
        lose(message.lost ?? []);
      } else if (!group) return;
      else if (type === 'subscribed') answered(message, group);
      else if (type === 'command_error') refused(message, group);
      else if (type === 'skip') for (const use of group.uses) (message.ids as Position[]).forEach(use.skip);
    },
  };
}

function* parts(names: string[]): Generator<string[]> {
  for (let i = 0; i < names.length; i += PATTERNS_MAX) yield names.slice(i, i + PATTERNS_MAX);
}
