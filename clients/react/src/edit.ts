// SPDX-License-Identifier: Apache-2.0
// Editing a document that others may change meanwhile: what it began from, the draft, and what they made of it.
import { isOwn } from '@tidings/client/entities';
import type { Client, Entity, EntityChange, EntityState, Position } from '@tidings/client';
import { changesOf, equal, threeWay } from './merge.ts';
import type { Conflict } from './merge.ts';
import type { Source } from './select.ts';
import { hold } from './share.ts';

/** What somebody else did to the document. */
export interface Remote<D> {
  /** What they changed otherwise than I did; `both`: what I changed too. */
  readonly fields: readonly string[];
  readonly both: readonly string[];
  readonly by?: string;
  /** RFC 3339. */
  readonly at?: string;
  readonly version?: number;
  /** Theirs; undefined when they deleted it. */
  readonly data?: D;
}

export interface EditState<D> {
  /** undefined until something is known of it, and of one that is deleted and taken so. */
  readonly draft?: D;
  /** What the draft began from. */
  readonly base?: D;
  readonly version?: number;
  readonly dirty: boolean;
  readonly remote?: Remote<D>;
  readonly conflict: Conflict;
  readonly saving: boolean;
}

/** What a function that saves is given. */
export interface SaveRequest<D> {
  readonly draft: D;
  readonly base?: D;
  /** The fields that are another, null those that are gone: a merge patch. */
  readonly changes: Partial<D>;
  /** For If-Match; both are absent of a document that is to be made. */
  readonly version?: number;
  readonly etag?: Position;
}

/** What it may answer: what is saved now, where that is not the draft and the next version. */
export type Saved<D> = { readonly version?: number; readonly data?: D } | void;
export type SaveFunction<D> = (request: SaveRequest<D>) => Promise<Saved<D>>;

/** By field, whose value counts where both changed it; or a function that says the value. Mine where nothing is said. */
export type Pick<D> = { readonly [F in keyof D]?: 'mine' | 'theirs' } | ((field: string, values: { base: unknown; mine: unknown; theirs: unknown }) => unknown);

export interface Edit<D> extends Source<EditState<D>> {
  /** Some fields, or all from those before. */
  set(changes: Partial<D> | ((draft: D) => D)): void;
  /** A version that was read elsewhere: older ones are nothing new. */
  offer(base: D | undefined, version: number | undefined): void;
  /** Goes on with the draft as it is; saving it overwrites what they did, or makes anew what they deleted. */
  keepMine(): void;
  takeTheirs(): void;
  /** Theirs with my changes; what both changed as `pick` says. Of what they deleted: as keepMine. */
  merge(pick?: Pick<D>): void;
  /**
   * Saves the draft on top of the version that it began from, by `fn` or as the entity; first merged with what they changed, where that is
   * other fields. Where it is the same ones, or when that is found out by saving (412): `conflict`, and nothing is saved. Other errors reject.
   */
  save(fn?: SaveFunction<D>): Promise<'saved' | 'conflict'>;
}

// Theirs: a document, or null when it is deleted.
interface Theirs<D> { data: D | null; version?: number; etag?: Position; by?: string; at?: string }

/** As the server writes an entity in a version_conflict. */
interface Current<D> { version: number; payload?: D; event_id?: Position; timestamp?: string; actor?: string }

const fieldOf = (document: unknown, field: string) => (document as Record<string, unknown> | undefined)?.[field];

function resolved<D>(base: D, mine: D, theirs: D, pick: Pick<D>): D {
  const { both, merged } = threeWay(base, mine, theirs);
  if (typeof merged !== 'object' || merged === null || Array.isArray(merged)) return merged as D;
  const result = { ...merged } as Record<string, unknown>;
  for (const field of both) {
    const values = { base: fieldOf(base, field), mine: fieldOf(mine, field), theirs: fieldOf(theirs, field) };
    if (typeof pick === 'function') result[field] = pick(field, values);
    else if ((pick as Record<string, string | undefined>)[field] === 'theirs') result[field] = values.theirs;
    if (result[field] === undefined) delete result[field];
  }
  return result as D;
}

/** undefined when the error is no conflict; `current` where it says what is there. */
function conflictOf(error: unknown): { current?: unknown } | undefined {
  const { status, code, problem, response } = error as { status?: number; code?: string; problem?: object; response?: { status?: number } };
  return status === 412 || code === 'version_conflict' || response?.status === 412 ? problem ?? {} : undefined;
}

export function edit<D>(
  client: Client, key: string, make: (client: Client) => Entity<D>, path: string, first: { base?: D; version?: number },
): Edit<D> {
  let { base, version } = first;
  let draft = base;
  let etag: Position | undefined;
  let theirs: Theirs<D> | undefined;
  // Seen while saving, the latest of it, which is ours when all of it was: what it means is known behind it.
  let meanwhile: { from: Theirs<D>; own: boolean } | undefined;
  let saving = false;
  let running: Promise<'saved' | 'conflict'> | undefined;
  let notify: (() => void) | undefined;
  let state = read();

  function read(): EditState<D> {
    const dirty = !equal(draft, base);
    if (!theirs) return { draft, base, version, dirty, conflict: 'none', saving };
    const { conflict, remote, both } = threeWay(base as D, draft as D, theirs.data);
    const { by, at, data } = theirs;
    return { draft, base, version, dirty, conflict, saving, remote: { fields: remote, both, by, at, version: theirs.version, data: data ?? undefined } };
  }

  // Says what has changed; what they did is settled when it comes to the same as what is here.
  function tell(): void {
    if (theirs) {
      const { conflict, merged } = threeWay(base as D, draft as D, theirs.data);
      if (conflict === 'none') begin(theirs, merged as D);
    }
    state = read();
    notify?.();
  }

  // From here on: this is what is stored, that is the draft.
  function begin(from: Theirs<D>, next: D | undefined): void {
    base = from.data ?? undefined;
    ({ version, etag } = from.data === null ? {} as Partial<Theirs<D>> : from);
    draft = next;
    theirs = undefined;
  }

  function isNews(from: Theirs<D>): boolean {
    if (from.data === null || (theirs && theirs.data === null)) return true;
    const known = theirs?.version ?? version;
    return known === undefined || (from.version ?? 0) > known;
  }

  function take(from: Theirs<D>, own: boolean): void {
    if (saving) {
      meanwhile = { from, own: own && (meanwhile?.own ?? true) };
      return;
    }
    if (base === undefined && draft === undefined && from.data !== null) begin(from, from.data);
    else if (!isNews(from)) {
      if (from.version === version) etag ??= from.etag;
      return;
    } else if (own && !theirs) {
      // Of this page too, from elsewhere on it: what is not in the draft comes into it.
      if (from.data !== null) begin(from, threeWay(base as D, draft as D, from.data).merged as D);
    } else theirs = from;
    tell();
  }

  function seen(now: EntityState<D>, change?: EntityChange<D>): void {
    const { status, data, version: at, etag: tag, actor: by, time } = now;
    const own = change?.own ?? (tag !== undefined && isOwn(client, tag));
    if (status === 'deleted') {
      // That it was deleted before one began to edit a new one is nothing new.
      if (version !== undefined) take({ data: null, version: at, by, at: time }, own);
    } else if (data !== undefined) take({ data, version: at, etag: tag, by, at: time }, own);
  }

  function merge(pick: Pick<D>): void {
    if (theirs) begin(theirs, theirs.data === null ? draft : resolved(base as D, draft as D, theirs.data, pick));
    tell();
  }

  async function put(request: SaveRequest<D>): Promise<Saved<D>> {
    const { etag: tag, version: at } = request;
    const { value, release } = hold(client, key, make);
    try {
      const done = await value.put(request.draft, { ifVersion: tag ?? at, create: request.base === undefined });
      return { version: done.version, data: done.data };
    } finally {
      release();
    }
  }

  async function refused(error: unknown): Promise<void> {
    const conflict = conflictOf(error);
    if (!conflict) throw error;
    let current = conflict.current as Current<D> | null | undefined;
    if (current === undefined) {
      current = await client.request<Current<D>>('GET', path).then(answer => answer.data, (problem: { status?: number }) => {
        if (problem.status !== 404) throw error;
        return null;
      });
    }
    theirs = current
      ? { data: (current.payload ?? base) as D, version: current.version, etag: current.event_id, by: current.actor, at: current.timestamp }
      : { data: null };
  }

  async function save(fn: SaveFunction<D> = put, isLast = false): Promise<'saved' | 'conflict'> {
    // What fits together is put together; for the rest somebody has to choose.
    if (state.conflict === 'other-fields') merge({});
    if (theirs) return 'conflict';
    if (!state.dirty || draft === undefined) return 'saved';
    const sent = draft;
    const request = { draft: sent, base, changes: changesOf(base, sent), version, etag };
    saving = true;
    tell();
    let refusal: unknown;
    try {
      const saved = await fn(request) ?? {};
      const data = saved.data ?? sent;
      // What was typed meanwhile stays.
      begin({ data, version: saved.version ?? (request.version ?? 0) + 1 }, threeWay(sent, draft as D, data).merged as D);
    } catch (error) {
      refusal = error;
      await refused(error);
    } finally {
      saving = false;
      const late = meanwhile;
      meanwhile = undefined;
      if (late) take(late.from, late.own);
      tell();
    }
    if (theirs) return 'conflict';
    // Another version, but none that says anything else: it was only the number that did not fit.
    if (refusal === undefined || !state.dirty) return 'saved';
    if (isLast) throw refusal;
    return save(fn, true);
  }

  return {
    get: () => state,
    idle: () => state,
    subscribe(told) {
      notify = told;
      const held = hold(client, key, make);
      const stop = held.value.watch(seen);
      seen(held.value.state);
      return () => {
        notify = undefined;
        stop();
        held.release();
      };
    },
    set(changes) {
      draft = typeof changes === 'function' ? changes(draft as D) : { ...draft as D, ...changes };
      tell();
    },
    offer(data, at) {
      if (data !== undefined && (base === undefined || at !== undefined)) take({ data, version: at }, false);
    },
    keepMine() {
      if (theirs) begin(theirs, draft);
      tell();
    },
    takeTheirs() {
      if (theirs) begin(theirs, theirs.data ?? undefined);
      tell();
    },
    merge: (pick = {}) => merge(pick),
    // Who asks twice waits for the same one.
    save: fn => running ??= save(fn).finally(() => { running = undefined; }),
  };
}
