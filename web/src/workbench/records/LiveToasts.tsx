// SPDX-License-Identifier: Apache-2.0
// What others change in the records, said on every screen.
import { useLocation } from 'wouter';
import { useChanges } from '@tidings/react';
import { LiveUpdateToasts, useLiveUpdates } from '@tidings/ui';
import type { RecordDocument } from '../schema.ts';

export function LiveToasts() {
  const queue = useLiveUpdates();
  const [path, go] = useLocation();
  // Of the one that is open the page itself tells.
  useChanges(change => { if (path !== `/records/${change.id}`) queue.push(change); }, { types: ['records'] });
  return <LiveUpdateToasts queue={queue} describe={({ change, count, actor }) => `${count > 1 ? 'Several records' : `“${(change.data as RecordDocument | undefined)?.title ?? change.id}”`}${actor ? ` · ${actor}` : ''}`}
    onRefresh={update => go(update.count === 1 && update.action !== 'deleted' ? `/records/${update.ids[0]}` : '/records')} />;
}
