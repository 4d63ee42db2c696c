// SPDX-License-Identifier: Apache-2.0
import { useMemo } from 'react';
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

/** A lock by its name (`projects/42`), or that of an entity by type and id (`entities/TYPE/ID`). A null among them: none. */
export function useLock(name: string | null): LockUse;
export function useLock(type: string, id: string | null): LockUse;
export function useLock(first: string | null, id?: string | null): LockUse {
  const client = useTidings();
  const name = first === null || id === null ? null : id === undefined ? first : `entities/${first}/${id}`;
  const key = name === null ? null : `lock:${name}`;
  const make = (from: Client) => lock(from, name!);
  const state = useShared<Lock, LockState>(key, make, shared => shared.state, { name: name ?? '', mine: false });

  const actions = useMemo<Pick<LockUse, 'acquire' | 'release'>>(() => {
    // Held meanwhile, so that a lock which comes when the component has left is given back a second later.
    const using = async <T>(what: (held: Lock) => Promise<T>): Promise<T> => {
      if (key === null) throw new Error('There is no lock: its name is null.');
      const { value, release } = hold<Lock>(client, key, make);
      try {
        return await what(value);
      } finally {
        release();
      }
    };
    return { acquire: options => using(held => held.acquire(options)), release: () => using(held => held.release()) };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key is the name
  }, [client, key]);
  return useMemo(() => ({ ...state, ...actions }), [state, actions]);
}
