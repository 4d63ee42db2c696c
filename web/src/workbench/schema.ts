// SPDX-License-Identifier: Apache-2.0
// What the workbench's entities and jobs carry; every function and hook infers from it.

export interface RecordDocument { title: string; owner: string; amount: number; state: 'open' | 'waiting' | 'closed'; notes: string }
export interface JournalResult { title: string; pages: number; words: number; bytes: number; file: string }

interface WorkbenchSchema {
  entities: { records: RecordDocument };
  jobs: { journal: { params: { title?: string; pages?: string; source?: string }; result: JournalResult } };
}

declare module '@tidings/client' {
  interface Register { schema: WorkbenchSchema }
}
