// SPDX-License-Identifier: Apache-2.0
// An event as it is written to readers, and errors (docs/protocol.md, Formats and Errors).
import type { Stored } from './log.ts';

export type Format = 'event' | 'flat' | 'entity';
export type Json = Record<string, unknown>;

const ACTIONS: Record<string, string> = { ENTITY_CREATED: 'created', ENTITY_UPDATED: 'updated', ENTITY_DELETED: 'deleted' };

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `more`: members behind the others, as `state`. */
export function write(event: Stored, format: Format, more: Json = {}): Json {
  const { id, topic, type, time, key, actor, origin, data } = event, [, entity_type, entity_id] = topic.split('/');
  if (format === 'flat') {
    return clean({ type, ...(isObject(data) ? { ...data, type } : { data }), event_id: id, topic, timestamp: time, ...more });
  }
  if (format === 'entity' && ACTIONS[type] && topic.startsWith('entities/')) {
    const { payload, version } = data as Json;
    return clean({
      type: 'EVENT_NOTIFICATION', event_type: type, entity_type, entity_id, action: ACTIONS[type], timestamp: time, payload, version, actor, origin, event_id: id, ...more,
    });
  }
  return clean({ id, topic, type, time, key, actor, origin, data, ...more });
}

/** Without members that are undefined. */
export function clean<T extends Json>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

const STATUS: Record<string, [number, string, string]> = {
  bad_request: [400, 'Bad Request', 'Check the request against docs/protocol.md.'],
  unauthorized: [401, 'Unauthorized', 'Send a valid token.'],
  token_expired: [401, 'Unauthorized', 'Get a new token.'],
  forbidden: [403, 'Forbidden', 'Ask for a grant that covers the topic.'],
  reserved_topic: [403, 'Forbidden', 'Only the server writes to this topic; publish elsewhere.'],
  not_found: [404, 'Not Found', 'Check the path.'],
  lock_held: [409, 'Conflict', 'Wait until it is given back or its lease ends, or ask its holder.'],
  version_conflict: [412, 'Precondition Failed', 'Read again and retry on the current version.'],
  too_large: [413, 'Content Too Large', 'Send less at once, or raise the limit in the configuration.'],
  idempotency_mismatch: [422, 'Unprocessable Content', 'The key was used with other content; use a new key for new content.'],
  rate_limited: [429, 'Too Many Requests', 'Slow down; retry after the time given.'],
  draining: [503, 'Service Unavailable', 'The server is stopping; retry on the next one.'],
  unavailable: [503, 'Service Unavailable', 'Retry later.'],
};

/** What is refused, thrown by whatever carries out a request or a command. */
export class Refusal extends Error {
  readonly code: string;
  readonly status: number;
  readonly members: Json;

  constructor(code: string, detail: string, members: Json = {}) {
    super(detail);
    this.code = code;
    this.status = STATUS[code]?.[0] ?? 400;
    this.members = members;
  }

  get advice(): string { return STATUS[this.code]?.[2] ?? ''; }

  get problem(): Json {
    return { type: 'about:blank', title: STATUS[this.code]?.[1] ?? 'Error', status: this.status, code: this.code, detail: this.message, what_to_do: this.advice, ...this.members };
  }
}
