// SPDX-License-Identifier: Apache-2.0
// The endpoints that ship (docs/protocol.md, Endpoints), for WebSockets.
import type { Format, Json } from './formats.ts';
import { segmentOf } from './names.ts';
import type { Principal } from './names.ts';
import type { World } from './world.ts';

export interface Visit {
  topics: string[];
  format: Format;
  /** What `connection` says of it. */
  variables: Json;
  session?: string;
  /** The close code for who may not come in. */
  refused?: 4003 | 4004;
}

/** undefined: there is nothing at this path. */
export function visit(world: World, principal: Principal, url: URL): Visit | undefined {
  const { pathname: path, searchParams: query } = url, { sub } = principal, me = segmentOf(sub);
  if (path === '/ws') return { topics: [], format: 'entity', variables: {} };
  if (path === '/api/v1/events') return { topics: query.getAll('topic'), format: 'event', variables: {} };
  if (path === '/ws/audit') return { topics: ['audit/**'], format: 'event', variables: {}, refused: principal.roles.includes('admin') ? undefined : 4003 };
  if (path === '/ws/enhance') {
    const session = query.get('session') ?? world.nextId();
    return { topics: [`enhance/${me}/${session}/**`], format: 'flat', variables: {}, session };
  }
  const [, project_id] = /^(?:\/api)?\/ws\/projects\/([^/]+)$/.exec(path) ?? [];
  if (project_id !== undefined) {
    const topic = `projects/${project_id}/**`;
    return { topics: [topic, `users/${me}/**`], format: 'flat', variables: { project_id }, refused: world.sees(principal, topic) ? undefined : 4003 };
  }
  const [, job_id] = /^\/ws\/job\/([^/]+)$/.exec(path) ?? [];
  if (job_id === undefined) return undefined;
  const seen = world.jobs.all.has(job_id) && world.sees(principal, `jobs/${job_id}`);
  return { topics: [`jobs/${job_id}`], format: 'flat', variables: { job_id }, refused: seen ? undefined : 4004 };
}
