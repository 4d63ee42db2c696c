// SPDX-License-Identifier: Apache-2.0
// The drawer: faults to play, and the raw messages as they pass.
import { useSyncExternalStore } from 'react';
import { useDesk } from '../desk.ts';
import { Faults } from './Faults.tsx';
import { Wire } from './Wire.tsx';

export function DrawerContent() {
  return (
    <>
      <Faults />
      <Wire />
    </>
  );
}

/** What is out of order by one's own doing, in a word; undefined when nothing is. */
export function useFaultWarning(): string | undefined {
  const { network } = useDesk();
  const { dropped, delay, rate, reads } = useSyncExternalStore(network.watch, () => network.weather);
  return dropped ? 'Dropped' : delay > 0 || rate > 0 ? 'Throttled' : reads > 0 ? 'Slow reader' : undefined;
}
