// SPDX-License-Identifier: Apache-2.0
// Durations, counts and names as people read them. English; every component takes `labels` for other languages.

/** A length of time, at most two units: `340 ms`, `12 s`, `4 min 10 s`, `2 h 5 min`. */
export function span(ms: number): string {
  if (!(ms >= 0)) return '';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 > 0 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 > 0 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** How long ago, in one unit: `just now`, `12 s ago`, `4 min ago`. */
export function ago(ms: number): string {
  if (ms < 1500) return 'just now';
  if (ms < 60_000) return `${Math.round(ms / 1000)} s ago`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  if (ms < 172_800_000) return `${Math.floor(ms / 3_600_000)} h ago`;
  return `${Math.floor(ms / 86_400_000)} days ago`;
}

/** `1 line`, `1,204 lines`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

/** Two letters that stand for somebody: of the first and the last word, or of the part of an address before the @. */
export function initials(name: string): string {
  const words = name.replace(/@.*$/, '').split(/[\s._\-:/]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0]!, words[words.length - 1]!] : words;
  const text = letters.map(word => [...word][0] ?? '').join('');
  return (text || [...name][0] || '?').toUpperCase();
}

/** One of `n` buckets, always the same for the same text. */
export function bucket(text: string, n: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return ((hash ^ (hash >>> 13)) >>> 0) % n;
}

/** A value of a document, for reading: strings as they are, all else as JSON, on one line if it is short. */
export function show(value: unknown): string {
  if (value === undefined || typeof value === 'string') return value ?? '';
  const line = JSON.stringify(value);
  return line.length <= 60 ? line : JSON.stringify(value, null, 2);
}

/** Class names, the empty ones left out. */
export function classes(...names: (string | false | undefined)[]): string {
  return names.filter(Boolean).join(' ');
}
