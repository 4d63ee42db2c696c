// SPDX-License-Identifier: Apache-2.0
// What others change in the records, said on every screen; of the one that is open its own screen tells.
import { useLocation } from 'wouter';
import { LiveUpdateToasts } from '@tidings/ui';
import type { RecordDocument } from '../schema.ts';

export function LiveToasts() {
  const [path, go] = useLocation();
  return (
    <LiveUpdateToasts types={['records']} filter={change => path !== `/records/${change.id}`}
      describe={({ change, count, actor }) => `${count > 1 ? 'Several records' : `“${(change.data as RecordDocument | undefined)?.title ?? change.id}”`}${actor ? ` · ${actor}` : ''}`}
      onRefresh={update => go(update.count === 1 && update.action !== 'deleted' ? `/records/${update.ids[0]}` : '/records')} />
  );
}
