// SPDX-License-Identifier: Apache-2.0
// Three versions of a document: what somebody else changed while one was editing.  tests/vectors/merge.json says what comes of them.

export type Conflict = 'none' | 'other-fields' | 'same-fields' | 'deleted';

export interface Merge<D> {
  readonly conflict: Conflict;
  /** The fields that they changed, and I did not change in the same way. */
  readonly remote: readonly string[];
  /** Those of them that I changed too. */
  readonly both: readonly string[];
  /** Theirs with my changes over it, null when they deleted it. */
  readonly merged: D | null;
}

type Fields = Record<string, unknown>;

/** Equal as JSON. */
export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every(name => Object.hasOwn(b, name) && equal((a as Fields)[name], (b as Fields)[name]));
}

const isPlain = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

// What a document of another sort (a text, an array) is to the comparison: one field without a name; none at all has no fields.
function fieldsOf(document: unknown): Map<string, unknown> {
  return new Map(isPlain(document) ? Object.entries(document) : document === undefined ? [] : [['', document]]);
}

/** Whether two documents say the same of a field; one that is absent is not one that is null. */
function agree(a: Map<string, unknown>, b: Map<string, unknown>, field: string): boolean {
  return a.has(field) === b.has(field) && equal(a.get(field), b.get(field));
}

/** Compares the fields of the top level, each as a whole. `theirs` is null when they deleted it. */
export function threeWay<D>(base: D, mine: D, theirs: D | null): Merge<D> {
  if (theirs === null) return { conflict: 'deleted', remote: [], both: [], merged: null };
  const [b, m, t] = [fieldsOf(base), fieldsOf(mine), fieldsOf(theirs)];
  const merged = new Map(t);
  const remote: string[] = [];
  const both: string[] = [];
  for (const field of [...new Set([...b.keys(), ...m.keys(), ...t.keys()])].sort()) {
    const changed = !agree(m, b, field);
    if (changed) {
      if (m.has(field)) merged.set(field, m.get(field));
      else merged.delete(field);
    }
    if (agree(t, b, field) || agree(t, m, field)) continue;
    remote.push(field);
    if (changed) both.push(field);
  }
  const conflict = both.length > 0 ? 'same-fields' : remote.length > 0 ? 'other-fields' : 'none';
  const whole = !isPlain(theirs) || !isPlain(mine);
  const document = whole ? (equal(mine, base) ? theirs : mine) : Object.fromEntries(merged) as D;
  return { conflict, remote, both, merged: document };
}

/** The members of `to` that are others than those of `from`: what a merge patch would send, null for those that are gone. */
export function changesOf<D>(from: D | undefined, to: D): Partial<D> {
  if (!isPlain(from) || !isPlain(to)) return to;
  const [before, after] = [fieldsOf(from), fieldsOf(to)];
  const names = [...new Set([...before.keys(), ...after.keys()])].filter(name => !agree(before, after, name));
  return Object.fromEntries(names.map(name => [name, after.has(name) ? after.get(name) : null])) as Partial<D>;
}
