// SPDX-License-Identifier: Apache-2.0
import { useCallback, useMemo } from 'react';
import { lock } from '@tidings/client/locks';
import type { Client, Lock, LockState } from '@tidings/client';
import { useTidings } from './context.ts';
import { hold } from './share.ts';
import { useShared } from './shared.ts';

export interface LockUse extends LockState {
  /**
   * Takes it, and keeps it until `release`, or until the last component that shows it is gone. `ttl` in seconds: how long it stays
   * held when this page dies. Rejects with `lock_held` when somebody else has it (`holder`).
   */
  acquire(options?: { ttl?: number; signal?: AbortSignal }): Promise<LockState>;
  release(): Promise<void>;
}

const FREE: LockState = { name: '', mine: false };

function unknownLock(name: string): (shared: Lock | undefined) => LockState {
  const free: LockState = { name, mine: false };
  return shared => shared?.state ?? free;
}

/** A lock by its name (`projects/42`), or that of an entity by type and id (`entities/TYPE/ID`). A null among them: none. */
export function useLock(name: string | null): LockUse;
export function useLock(type: string, id: string | null): LockUse;
export function useLock(first: string | null, id?: string | null): LockUse {
  const client = useTidings();
  const name = first === null || id === null ? null : id === undefined ? first : `entities/${first}/${id}`;
  const key = name === null ? null : `lock:${name}`;
  const make = (from: Client) => lock(from, name!);
  const read = useMemo(() => name === null ? () => FREE : unknownLock(name), [name]);
  const state = useShared<Lock, LockState>(key, make, read);

  // Held meanwhile, so that a lock which comes when the component has left is given back a second later.
  const using = useCallback(async <T>(what: (held: Lock) => Promise<T>): Promise<T> => {
    if (name === null) throw new Error('There is no lock to take: its name is null.');
    const { value, release } = hold<Lock>(client, `lock:${name}`, from => lock(from, name));
    try {
      return await what(value);
    } finally {
      release();
    }
  }, [client, name]);
  const acquire = useCallback<LockUse['acquire']>(options => using(held => held.acquire(options)), [using]);
  const release = useCallback(() => using(held => held.release()), [using]);
  return useMemo(() => ({ ...state, acquire, release }), [state, acquire, release]);
}
