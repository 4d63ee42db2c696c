// SPDX-License-Identifier: Apache-2.0
// What these tests register, as a user would.
export interface Sheet { name: string; size: number; note?: string }

export interface TestSchema {
  topics: {
    'projects/*': { moved: { to: number }; renamed: { name: string } };
    'rooms/*/messages': { said: { text: string } };
    'a/b': { only: boolean };
  };
  entities: { sheets: Sheet };
  jobs: {
    count: { params: { upTo: number }; result: { sum: number } };
    // Of `tidings dev`.
    validate: { params: { project_id: string; proposal_id: string; path?: string } };
    enhance: { params: { text: string }; result: { text: string } };
  };
}

declare module '@tidings/client' {
  interface Register { schema: TestSchema }
}
