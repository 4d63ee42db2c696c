// SPDX-License-Identifier: Apache-2.0
// Entities: documents with a version (docs/protocol.md, Entities).
import { clean, isObject, Refusal } from './formats.ts';
import type { Json } from './formats.ts';
import type { Draft, Stored } from './log.ts';
import { mayPublish, maySee } from './names.ts';
import type { Principal } from './names.ts';
import type { World } from './world.ts';

interface Document { payload: unknown; version: number }

const TYPES = ['ENTITY_CREATED', 'ENTITY_UPDATED', 'ENTITY_DELETED'];

function stored(world: World, topic: string): Stored | undefined { return world.log.latest(topic, 'entity'); }

function shown(event: Stored): Json {
  const [, entity_type, entity_id] = event.topic.split('/'), { payload, version } = event.data as Document;
  return clean({ entity_type, entity_id, version, payload, event_id: event.id, timestamp: event.time, actor: event.actor });
}

/** An event that is published to an entity, as the change that it is. Others are left as they are. */
export function changeOf(world: World, draft: Draft): Draft {
  const { topic, type, data } = draft;
  if (!/^entities\/[^/]+\/[^/]+$/.test(topic) || draft.class === 'ephemeral') return draft;
  if (!TYPES.includes(type)) throw new Refusal('bad_request', 'events on entities/** have one of the types ENTITY_CREATED, ENTITY_UPDATED, ENTITY_DELETED.');
  const before = stored(world, topic)?.data as Document | undefined, version = (before?.version ?? 0) + 1, clears = type === 'ENTITY_DELETED';
  const isWrapped = isObject(data) && 'payload' in data && Object.keys(data).every(name => name === 'payload' || name === 'version');
  let payload = isWrapped ? data.payload : data;
  if (clears && (payload === null || payload === undefined)) payload = before?.payload ?? null;
  return { ...draft, key: 'entity', data: { payload, version }, clears };
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged: Json = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = merge(merged[name], value);
  }
  return merged;
}

export interface Answer { status: number; body?: unknown; headers?: Record<string, string> }

/** The results of writes with an Idempotency-Key. */
const repeats = new WeakMap<World, Map<string, { content: string; answer: Answer }>>();

export function serveEntity(world: World, principal: Principal, method: string, [type, id]: [string, string], body: unknown, headers: Headers): Answer {
  const topic = `entities/${type}/${id}`, event = stored(world, topic), deletes = method === 'DELETE';
  if (method === 'GET') {
    if (!maySee(principal, topic)) throw new Refusal('forbidden', 'You may not see it.');
    if (!event) throw new Refusal('not_found', 'There is no such entity.');
    return { status: 200, body: shown(event), headers: { etag: `"${event.id}"` } };
  }
  const code = mayPublish(principal, topic);
  if (code) throw new Refusal(code, 'You may not change it.');
  const key = headers.get('idempotency-key'), place = `${principal.sub} ${key}`, content = JSON.stringify([method, topic, body]);
  const done = repeats.get(world) ?? repeats.set(world, new Map()).get(world)!, again = key === null ? undefined : done.get(place);
  if (again && again.content !== content) throw new Refusal('idempotency_mismatch', 'The key was used with other content; use a new key for new content.');
  if (again) return again.answer;
  check(event, headers);
  if (!event && method !== 'PUT') throw new Refusal('not_found', 'There is no such entity.');
  const before = event?.data as Document | undefined;
  const payload = method === 'PUT' ? body : method === 'PATCH' ? merge(before!.payload, body) : before!.payload;
  const change = world.append({
    topic, key: 'entity', type: deletes ? 'ENTITY_DELETED' : event ? 'ENTITY_UPDATED' : 'ENTITY_CREATED', actor: principal.sub,
    data: { payload, version: (before?.version ?? 0) + 1 }, clears: deletes,
  });
  const { payload: _, actor: __, ...rest } = shown(change), seen = maySee(principal, topic);
  const answer = { status: event ? 200 : 201, body: seen ? shown(change) : rest, headers: deletes ? {} as Record<string, string> : { etag: `"${change.id}"` } };
  if (key !== null) done.set(place, { content, answer });
  return answer;
}

/** If-Match, If-None-Match. */
function check(event: Stored | undefined, headers: Headers): void {
  const match = headers.get('if-match'), current = event ? shown(event) : null;
  const version = String((event?.data as Document | undefined)?.version);
  const fits = match === null || (event !== undefined && match.split(',').map(tag => tag.trim().replace(/^"(.*)"$/, '$1')).some(tag => tag === '*' || tag === event.id || tag === version));
  if (!fits) throw new Refusal('version_conflict', event ? 'The entity is another one by now.' : 'There is no such entity.', { current });
  if (headers.get('if-none-match') === '*' && event) throw new Refusal('version_conflict', 'The entity is another one by now.', { current });
}

export function listEntities(world: World, principal: Principal, type: string, query: URLSearchParams): Answer {
  const limit = Number(query.get('limit') ?? 100), after = query.get('after') ?? '';
  const all = world.log.state([`entities/${type}/*`]).filter(event => maySee(principal, event.topic)).map(shown)
    .filter(entity => (entity.entity_id as string) > after).sort((a, b) => ((a.entity_id as string) < (b.entity_id as string) ? -1 : 1));
  return { status: 200, body: { entities: all.slice(0, limit), more: all.length > limit } };
}
