// SPDX-License-Identifier: Apache-2.0
// What is told of entities, for those who keep what they have fetched elsewhere.
import { useEffect } from 'react';
import { changes } from '@tidings/client/entities';
import type { Client, EntityChange } from '@tidings/client';
import { useLatest, useTidings } from './context.ts';
import { hold, peek } from './share.ts';
import type { Closable } from './share.ts';

/** lost: something may have been missed, so what was fetched is to be fetched again. */
export type Told = EntityChange | 'lost';

interface Feed extends Closable {
  listeners: Set<(what: Told) => void>;
  /** Something came while nobody listened. */
  missed: boolean;
  /** Resolves when what is fetched from now on misses nothing; after a second at the latest, and then `lost` follows. */
  joined(): Promise<void>;
}

/** A fetch waits so long for the subscription. */
const JOIN_MS = 1000;

const feedKey = (type: string, id: string | undefined) => `feed:${type}/${id ?? '*'}`;

function feed(client: Client, type: string, id: string | undefined): Feed {
  const waiting = new Set<() => void>();
  let isJoined = false;
  let gaveUp = false;
  const tell = (what: Told) => {
    if (self.listeners.size === 0) self.missed = true;
    for (const fn of [...self.listeners]) fn(what);
  };
  const stop = changes(client, type as '*', tell, {
    id,
    onGap: () => tell('lost'),
    onPhase(phase) {
      if (isJoined || (phase !== 'live' && phase !== 'denied')) return;
      isJoined = true;
      for (const go of waiting) go();
      // What was fetched before may be older than where this began.
      if (gaveUp) tell('lost');
    },
  });
  const self: Feed = {
    listeners: new Set(),
    missed: false,
    close: stop,
    joined() {
      const { phase } = client.state;
      if (isJoined) return Promise.resolve();
      if (phase !== 'online' && phase !== 'connecting' && phase !== 'polling') {
        gaveUp = true;
        return Promise.resolve();
      }
      return new Promise(resolve => {
        const go = () => {
          waiting.delete(go);
          client.clock.clearTimeout(timer);
          resolve();
        };
        const timer = client.clock.setTimeout(() => {
          gaveUp = true;
          go();
        }, JOIN_MS);
        waiting.add(go);
      });
    },
  };
  return self;
}

/** Calls `tell`, the latest of it, as long as the component is there; a type that is null is not listened to. */
export function useFeed(type: string | null, id: string | undefined, tell: (what: Told) => void): void {
  const client = useTidings();
  const latest = useLatest(tell);
  useEffect(() => {
    if (type === null) return;
    const { value, release } = hold(client, feedKey(type, id), () => feed(client, type, id));
    const listener = (what: Told) => latest.current(what);
    value.listeners.add(listener);
    if (value.missed) {
      value.missed = false;
      listener('lost');
    }
    return () => {
      value.listeners.delete(listener);
      release();
    };
  }, [client, type, id, latest]);
}

/** For a function that fetches: first the subscription, then what it would be too late for. */
export async function joined(client: Client, type: string, id: string | undefined): Promise<void> {
  await peek<Feed>(client, feedKey(type, id))?.joined();
}
