// SPDX-License-Identifier: Apache-2.0
// Patterns: docs/protocol.md, Words.

/** Whether the server would read it as a pattern. */
export function isPattern(text: string): boolean {
  const all = text.split('/');
  return text.length < 256 && all.length < 17 && all.every((one, i) => /^([\w.~@:-]{1,64}|\*)$/.test(one) || (one === '**' && !all[i + 1]));
}

/** Whether an event on `topic` belongs to `pattern`, both being legal. */
export function matches(pattern: string, topic: string): boolean {
  if (!pattern.includes('*')) return pattern === topic;
  const wanted = pattern.split('/'), given = topic.split('/');
  for (const [i, segment] of wanted.entries()) {
    if (segment === '**') return true;
    if (i >= given.length || (segment !== '*' && segment !== given[i])) return false;
  }
  return wanted.length === given.length;
}
