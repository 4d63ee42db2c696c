// SPDX-License-Identifier: Apache-2.0
import { useMemo } from 'react';
import { presence } from '@tidings/client/presence';
import type { Client, Presence, PresenceMember } from '@tidings/client';
import { useConnection } from './connection.ts';
import { useTidings } from './context.ts';
import { useShared } from './shared.ts';
import type { Watchable } from './shared.ts';

interface Present { readonly users: readonly PresenceMember[]; readonly count: number; readonly status: Presence['status'] | 'idle' }
interface Room extends Watchable { readonly shown: Present }

export interface PresenceUse extends Present {
  /** Everyone but the user of this client. */
  readonly others: readonly PresenceMember[];
}

const NOBODY: Present = { users: [], count: 0, status: 'idle' };
const presentIn = (room: Room | undefined) => room?.shown ?? NOBODY;

function room(client: Client, topic: string): Room {
  const held = presence(client, topic);
  const read = (): Present => ({ users: held.users, count: held.count, status: held.status });
  let shown = read();
  return {
    get shown() { return shown; },
    watch: fn => held.watch(() => {
      shown = read();
      fn();
    }),
    close: () => held.close(),
  };
}

const online = (state: { phase: string }) => state.phase === 'online' || state.phase === 'polling';

/** Who is present on a topic, oneself too, a user with several tabs once. To be present oneself is to follow the topic. null: nobody. */
export function usePresence(topic: string | null): PresenceUse {
  const client = useTidings();
  const shown = useShared<Room, Present>(topic === null ? null : `presence:${topic}`, () => room(client, topic!), presentIn);
  // Who one is is known once connected.
  const me = useConnection(state => online(state) ? client.user : undefined);
  return useMemo(() => ({ ...shown, others: shown.users.filter(member => member.user !== me) }), [shown, me]);
}
