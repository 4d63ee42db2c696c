// SPDX-License-Identifier: Apache-2.0
// Topics, patterns, and who may see and say what (docs/protocol.md, Words and Tokens).

const SEGMENT = /^[A-Za-z0-9._~@:-]{1,64}$/;

export function isTopic(text: unknown): text is string {
  return typeof text === 'string' && text.length <= 255 && text.split('/').length <= 16 && text.split('/').every(part => SEGMENT.test(part));
}

export function isPattern(text: unknown): text is string {
  if (typeof text !== 'string' || text.length > 255) return false;
  const parts = text.split('/');
  return parts.length <= 16 && parts.every((part, i) => part === '*' || (part === '**' && i === parts.length - 1) || SEGMENT.test(part));
}

/** Whether some topic matches both; a topic is a pattern, too. */
export function overlap(a: string, b: string): boolean {
  const left = a.split('/'), right = b.split('/');
  for (let i = 0; ; i++) {
    if (left[i] === '**' || right[i] === '**') return true;
    if (left[i] === undefined || right[i] === undefined) return left[i] === right[i];
    if (left[i] !== right[i] && left[i] !== '*' && right[i] !== '*') return false;
  }
}

export interface Principal {
  readonly sub: string;
  readonly roles: readonly string[];
  readonly subscribe: readonly string[];
  readonly publish: readonly string[];
  /** By the clock; Infinity: never. */
  readonly expires: number;
}

const below = (topic: string, root: string) => topic === root || topic.startsWith(`${root}/`);
const isPrivate = (topic: string) => ['audit', 'jobs', 'enhance'].some(root => below(topic, root));
const isReserved = (topic: string) => ['audit', 'jobs', 'locks', 'enhance'].some(root => below(topic, root));

/** The subject as a segment of a topic. */
export function segmentOf(sub: string): string {
  const bytes = new TextEncoder().encode(sub);
  return Array.from(bytes, byte => {
    const char = String.fromCharCode(byte);
    return /[A-Za-z0-9._@:-]/.test(char) ? char : `~${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}

/** Whether anything of a pattern is granted; of a topic, whether it is. */
export function maySee({ sub, roles, subscribe }: Principal, pattern: string): boolean {
  if (roles.includes('admin')) return true;
  if (below(pattern, 'audit')) return false;
  const own = [`users/${segmentOf(sub)}/**`, `enhance/${segmentOf(sub)}/**`];
  return [...subscribe, ...own].some(grant => !(isPrivate(pattern) && grant.startsWith('*')) && overlap(grant, pattern));
}

/** undefined, or the code of the error. */
export function mayPublish({ roles, publish }: Principal, topic: string): 'reserved_topic' | 'forbidden' | undefined {
  if (isReserved(topic)) return 'reserved_topic';
  return roles.includes('admin') || publish.some(grant => overlap(grant, topic)) ? undefined : 'forbidden';
}
