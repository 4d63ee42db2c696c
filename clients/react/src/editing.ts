// SPDX-License-Identifier: Apache-2.0
import { useEffect, useMemo } from 'react';
import { entity } from '@tidings/client/entities';
import type { Entity, EntityOf, EntityType, RegisteredSchema } from '@tidings/client';
import { useTidings } from './context.ts';
import { edit } from './edit.ts';
import type { Edit, EditState } from './edit.ts';
import { entityKey } from './entities.ts';
import { useSource } from './select.ts';

export interface EditOptions<T extends string, D> {
  type: T;
  id: string;
  /** What the page shows, with its version. Without both, what the server has, once it is known. A newer version may be given at any time. */
  base?: D;
  version?: number;
}

export type EditUse<D> = EditState<D> & Omit<Edit<D>, 'subscribe' | 'get' | 'idle' | 'offer'>;

/** Editing an entity that others may change meanwhile. What oneself does, here or elsewhere on the page, is no conflict. */
export function useEdit<const T extends EntityType<RegisteredSchema>>(
  { type, id, base, version }: EditOptions<T, EntityOf<RegisteredSchema, T>>,
): EditUse<EntityOf<RegisteredSchema, T>> {
  type D = EntityOf<RegisteredSchema, T>;
  const client = useTidings();
  const editing = useMemo(
    () => edit<D>(client, entityKey(type, id), from => entity(from, type, id) as Entity<D>, `/api/v1/entities/${type}/${id}`, { base, version }),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- what it begins from is offered below when it is another
    [client, type, id],
  );
  const state = useSource(editing);
  useEffect(() => editing.offer(base, version), [editing, base, version]);
  return useMemo(() => {
    const { set, keepMine, takeTheirs, merge, save } = editing;
    return { ...state, set, keepMine, takeTheirs, merge, save };
  }, [editing, state]);
}
