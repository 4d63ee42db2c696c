// SPDX-License-Identifier: Apache-2.0
import { useMemo } from 'react';
import { presence } from '@tidings/client/presence';
import type { Presence, PresenceMember, TidingsErrorShape } from '@tidings/client';
import { useTidings } from './context.ts';
import { useFollowed } from './shared.ts';

interface Present {
  /** Everyone, oneself too, a user with several tabs once. */
  readonly users: readonly PresenceMember[];
  readonly count: number;
  /** idle: of no topic. */
  readonly status: Presence['status'] | 'idle';
  readonly error?: TidingsErrorShape;
}

export interface PresenceUse extends Present {
  /** Everyone but the user of this client. */
  readonly others: readonly PresenceMember[];
}

const NOBODY: Present = { users: [], count: 0, status: 'idle' };

/** Who is present on a topic. To be present oneself is to follow the topic, which this does. null: nobody. */
export function usePresence(topic: string | null): PresenceUse {
  const client = useTidings();
  const shown = useFollowed<Present, { read(): Present; stop(): void }>(topic === null ? null : `presence:${topic}`, (from, news) => {
    const room = presence(from, topic!);
    room.watch(news);
    const read = () => ({ users: room.users, count: room.count, status: room.status, error: room.error });
    return { read, stop: () => room.close() };
  }, NOBODY);
  // Who one is is known by the time that anybody is there.
  const { user } = client;
  return useMemo(() => ({ ...shown, others: shown.users.filter(member => member.user !== user) }), [shown, user]);
}
