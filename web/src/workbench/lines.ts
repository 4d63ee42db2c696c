// SPDX-License-Identifier: Apache-2.0
// Lines of a log, as many as are worth keeping.
import type { LogLine } from '@tidings/client';

const KEPT = 20_000, CUT = 2000;

/** With one more line: the same array grown in place, because ten thousand copies of ten thousand lines would be felt. The first of all is a new one. */
export function grown(lines: LogLine[], dropped: number, line: LogLine): { lines: LogLine[]; dropped: number } {
  if (lines.length === 0) return { lines: [line], dropped };
  lines.push(line);
  if (lines.length <= KEPT + CUT) return { lines, dropped };
  return { lines: lines.slice(CUT), dropped: dropped + CUT };
}
