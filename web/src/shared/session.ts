// SPDX-License-Identifier: Apache-2.0
// Who this tab speaks for. Each tab has its own, so that two windows can be two people.
import { useSyncExternalStore } from 'react';

export interface Person {
  readonly sub: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly about: string;
}

/** Below which path the server is: the pages may stand behind a proxy's path. */
export const BASE = new URL('.', location.href).href.replace(/\/$/, '');

const KEY = 'tidings.person';
const TOKEN_KEY = 'tidings.token';
const watchers = new Set<() => void>();
let current = load();

function load(): Person | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Person | null;
  } catch {
    return null;
  }
}

async function explain(answer: Response): Promise<never> {
  const problem = await answer.json().catch(() => ({})) as { detail?: string; what_to_do?: string };
  throw new Error([problem.detail ?? `The server answered ${answer.status}.`, problem.what_to_do].filter(Boolean).join(' '));
}

/** Those whom one may be; null where the server has no such list, because it is no development server. */
export async function people(signal?: AbortSignal): Promise<Person[] | null> {
  const answer = await fetch(`${BASE}/dev/people`, { signal });
  if (answer.status === 404) return null;
  if (!answer.ok) return explain(answer);
  return (await answer.json() as { people: Person[] }).people;
}

/** A token of the person who is signed in; `seconds` asks for one that ends sooner than usual. `ask`: what fetches. */
export async function freshToken(person: Person, ask: typeof fetch, o: { seconds?: number; signal?: AbortSignal } = {}): Promise<string | null> {
  const pasted = sessionStorage.getItem(TOKEN_KEY);
  if (pasted) return pasted;
  const answer = await ask(`${BASE}/dev/token`, {
    method: 'POST', signal: o.signal, headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ sub: person.sub, ...(o.seconds && { expires_in: o.seconds }) }),
  });
  if (!answer.ok) return explain(answer);
  return (await answer.json() as { token: string }).token;
}

/** With a token that was made elsewhere: what it says of its subject is taken from it, and the server checks it. */
export function signInWith(token: string) {
  const claims = JSON.parse(atob((token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/'))) as { sub?: string; roles?: string[] };
  if (!claims.sub) throw new Error('The token names no subject.');
  sessionStorage.setItem(TOKEN_KEY, token);
  signIn({ sub: claims.sub, name: claims.sub, roles: claims.roles ?? [], about: '' });
}

export const hasPastedToken = () => sessionStorage.getItem(TOKEN_KEY) !== null;

export function signIn(person: Person) {
  sessionStorage.setItem(KEY, JSON.stringify(person));
  change(person);
}

export function signOut() {
  sessionStorage.clear();
  change(null);
}

function change(person: Person | null) {
  current = person;
  watchers.forEach(tell => tell());
}

export function usePerson(): Person | null {
  return useSyncExternalStore(tell => { watchers.add(tell); return () => { watchers.delete(tell); }; }, () => current);
}
