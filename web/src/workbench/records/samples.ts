// SPDX-License-Identifier: Apache-2.0
import type { RecordDocument } from '../schema.ts';

export const SAMPLES: readonly Omit<RecordDocument, 'owner'>[] = [
  { title: 'Lease of the corner shop', amount: 1250, state: 'open', notes: 'Ends in June.' },
  { title: 'Delivery of shelves', amount: 480, state: 'waiting', notes: 'Two are missing; the carrier knows.' },
  { title: 'Insurance', amount: 96, state: 'closed', notes: '' },
  { title: 'Licence for the till', amount: 35, state: 'open', notes: 'A year at a time.' },
];
