// SPDX-License-Identifier: Apache-2.0
// What others changed, as notes that come and go: one for an entity, many within a second as one, each for ten seconds that stand
// still while somebody reads.  Knows nothing of React.
import type { Clock, EntityChange, Stop } from '@tidings/client';

/** One note: a change, or several of the same sort. */
export interface LiveUpdate {
  /** Stable while the note is shown. */
  readonly key: string;
  readonly action: EntityChange['action'];
  /** Type of the entities. */
  readonly type: string;
  /** Which entities, the newest last; at most 1,000. */
  readonly ids: readonly string[];
  /** How many there are. */
  readonly count: number;
  /** Who did it; undefined when several did, or nobody says. */
  readonly actor?: string;
  /** The newest change. */
  readonly change: EntityChange;
}

export interface LiveUpdateOptions {
  /** How long a note stands, in milliseconds; 0: until it is dismissed. 10,000. */
  duration?: number;
  /** Changes of the same sort this close to each other are one note, in milliseconds. 1,000. */
  group?: number;
  /** So many notes at once; the oldest gives way. 4. */
  max?: number;
  /** Leaves out what this client did itself. true. */
  ignoreOwn?: boolean;
  clock?: Clock;
}

export interface LiveUpdateQueue {
  /** The oldest first. Another array after each change. */
  readonly items: readonly LiveUpdate[];
  /** Returns the note that it became or went into; undefined when it is left out. */
  push(change: EntityChange): LiveUpdate | undefined;
  dismiss(key: string): void;
  clear(): void;
  /** Time stands still from hold to release, for each reason by itself. */
  hold(reason: string): void;
  release(reason: string): void;
  watch(fn: () => void): Stop;
}

const IDS_MAX = 1000;

export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  setTimeout: (fn, ms) => setTimeout(fn, ms),
  clearTimeout: timer => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

interface Entry { update: LiveUpdate; pushed: number; left: number }

/** A queue of notes. `hold` it for good when it is no more needed: then no timer is left. */
export function liveUpdates(options: LiveUpdateOptions = {}): LiveUpdateQueue {
  const { duration = 10_000, group = 1000, max = 4, ignoreOwn = true, clock = SYSTEM_CLOCK } = options;
  const watchers = new Set<() => void>();
  const held = new Set<string>();
  let entries: Entry[] = [], items: readonly LiveUpdate[] = [];
  let timer: unknown, asOf = clock.now(), made = 0;

  // Takes the time that has passed off what is left of each, unless it stands still; drops what has none; waits for the next.
  function turn(): void {
    const now = clock.now();
    if (held.size === 0) for (const entry of entries) entry.left -= now - asOf;
    asOf = now;
    entries = entries.filter(entry => entry.left > 0);
    clock.clearTimeout(timer);
    const next = Math.min(...entries.map(entry => entry.left));
    if (held.size === 0 && Number.isFinite(next)) timer = clock.setTimeout(tell, Math.max(1, next));
  }

  function tell(): void {
    turn();
    const next = entries.map(entry => entry.update);
    if (next.length === items.length && next.every((update, n) => update === items[n])) return;
    items = next;
    for (const fn of [...watchers]) fn();
  }

  function add(change: EntityChange): Entry {
    const now = clock.now();
    const left = duration > 0 ? duration : Infinity;
    const same = entries.find(entry => entry.update.type === change.type && entry.update.ids.includes(change.id));
    if (same && same.update.count === 1) {
      // Created and then updated is still new to who has not looked; all else is told as it is now.
      const action = same.update.action === 'created' && change.action === 'updated' ? 'created' : change.action;
      return Object.assign(same, { update: { ...same.update, action, actor: change.actor, change }, pushed: now, left });
    }
    const last = entries.findLast(entry => entry.update.type === change.type && entry.update.action === change.action);
    if (last && (now - last.pushed < group || last === same)) {
      const { update } = last;
      const fresh = !update.ids.includes(change.id);
      return Object.assign(last, { pushed: now, left, update: {
        ...update, change,
        ids: fresh ? [...update.ids, change.id].slice(-IDS_MAX) : update.ids,
        count: update.count + (fresh ? 1 : 0),
        actor: update.actor === change.actor ? change.actor : undefined,
      } });
    }
    const { action, type, id, actor } = change;
    const entry = { update: { key: `${++made}`, action, type, ids: [id], count: 1, actor, change }, pushed: now, left };
    entries = [...entries, entry].slice(-max);
    return entry;
  }

  return {
    get items() { return items; },
    push(change) {
      if (ignoreOwn && change.own) return undefined;
      turn();
      const { update } = add(change);
      tell();
      return update;
    },
    dismiss(key) {
      entries = entries.filter(entry => entry.update.key !== key);
      tell();
    },
    clear() {
      entries = [];
      tell();
    },
    hold(reason) { turn(); held.add(reason); tell(); },
    release(reason) { turn(); held.delete(reason); tell(); },
    watch(fn) {
      watchers.add(fn);
      return () => { watchers.delete(fn); };
    },
  };
}

export const UPDATE_LABELS = {
  region: (key: string) => `Live updates (${key})`,
  title: (update: LiveUpdate): string => {
    const { action, count } = update;
    if (action === 'created') return count === 1 ? 'New item' : `${count} new items`;
    if (action === 'updated') return count === 1 ? 'Updated by another user' : `${count} updated by other users`;
    return count === 1 ? 'Entity deleted' : `${count} entities deleted`;
  },
  /** What it is about, below the title. */
  about: (update: LiveUpdate): string => {
    const { type, ids, count, actor } = update;
    const what = count === 1 ? `${type} ${ids[0]}` : `${type}: ${ids.slice(-3).reverse().join(', ')}${count > 3 ? ' …' : ''}`;
    return actor ? `${what} · ${actor}` : what;
  },
  refresh: 'Refresh',
  dismiss: 'Dismiss',
};

/**
 * The arguments of sonner's toast() for a note, for pages that have sonner: `toast(...toSonner(update, { onRefresh }))`. Its key is
 * the toast's id, so that a note which grows replaces its toast.
 */
export function toSonner(update: LiveUpdate, o: { onRefresh?: (update: LiveUpdate) => void; labels?: Partial<typeof UPDATE_LABELS> } = {}) {
  const say = { ...UPDATE_LABELS, ...o.labels };
  return [say.title(update), {
    id: `tidings-${update.key}`,
    description: say.about(update),
    duration: 10_000,
    cancel: { label: say.dismiss, onClick: () => {} },
    ...(o.onRefresh && { action: { label: say.refresh, onClick: () => o.onRefresh!(update) } }),
  }] as const;
}
