// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'react';
import { useTidings } from '@tidings/react';

export interface ProjectDocument {
  readonly id: string; readonly name: string; readonly status: string; readonly progress: number; readonly job_id: string | null;
  readonly result: Record<string, unknown> | null;
}

/** The project as the server has it, loaded again after each generation. */
export function useLoadedProject(project: string, ended: string | undefined): ProjectDocument | undefined {
  const client = useTidings();
  const [document, setDocument] = useState<ProjectDocument>();
  useEffect(() => {
    const stop = new AbortController();
    setDocument(undefined);
    client.request<ProjectDocument>('GET', `/api/projects/${project}`, { signal: stop.signal })
      .then(({ data }) => setDocument(data), () => {}); // there is none before its first generation
    return () => stop.abort();
  }, [client, project, ended]);
  return document;
}
