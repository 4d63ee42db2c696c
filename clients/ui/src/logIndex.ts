// SPDX-License-Identifier: Apache-2.0
// Where each line of a log stands when lines are folded at so many columns.  All rows are as high as each other, so that of
// 100,000 lines only those in view have to be made, and the scroll bar is right all the same.
import type { LogLine } from '@tidings/client';
import { LINE_MAX, measureAnsi, parseAnsi, PLAIN, type Span, type Style } from './ansi.ts';

const CACHED = 400;
// Columns of the note that a line goes on.
const MORE = 40;

export class LogIndex {
  // Of the line at index i: the style it begins in, its columns, and the row behind it, counted from the first line ever seen.
  #starts: Style[] = [];
  #widths: number[] = [];
  #ends: number[] = [];
  #end: Style = PLAIN;
  #lines: readonly LogLine[] = [];
  #last: LogLine | undefined;
  #dropped = 0;
  #base = 0;
  #columns = 0;
  #cache = new Map<LogLine, Span[]>();

  /** Rows of the lines that are there. */
  get rows(): number { return (this.#ends[this.#ends.length - 1] ?? this.#base) - this.#base; }
  /** Rows of the lines that were dropped. */
  get rowsDropped(): number { return this.#base; }
  get lines(): readonly LogLine[] { return this.#lines; }
  /** How many lines came before lines[0]. */
  get dropped(): number { return this.#dropped; }

  /**
   * Takes in what is new. `dropped` is how many lines there were before lines[0]; other lines than before, instead of more of
   * them, make it begin anew. Costs as much as what was added.
   */
  sync(lines: readonly LogLine[], dropped: number, columns: number): void {
    const gone = dropped - this.#dropped;
    const kept = this.#ends.length - gone;
    const same = gone >= 0 && kept >= 0 && kept <= lines.length && (kept === 0 ? this.#ends.length === 0 || gone > 0 : lines[kept - 1] === this.#last);
    if (!same) this.#clear(dropped);
    else if (gone > 0) {
      this.#base = this.#ends[gone - 1]!;
      for (const list of [this.#starts, this.#widths, this.#ends]) list.splice(0, gone);
    }
    this.#dropped = dropped;
    this.#lines = lines;
    if (columns !== this.#columns) this.#fold(columns);
    for (let i = this.#ends.length; i < lines.length; i++) this.#add(lines[i]!);
    this.#last = lines[lines.length - 1];
  }

  /** The line that row `row` belongs to, and which of that line's rows it is. */
  at(row: number): { line: number; part: number } {
    const wanted = row + this.#base;
    let low = 0, high = this.#ends.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ends[middle]! > wanted) high = middle; else low = middle + 1;
    }
    return { line: low, part: wanted - (low > 0 ? this.#ends[low - 1]! : this.#base) };
  }

  /** The first row of a line. */
  rowOf(line: number): number { return line > 0 ? (this.#ends[Math.min(line, this.#ends.length) - 1] ?? this.#base) - this.#base : 0; }

  /** What row `part` of line `line` shows. */
  spans(line: number, part: number): Span[] {
    const all = this.#parsed(line);
    if (this.#widths[line]! <= this.#columns) return all;
    return cut(all, part * this.#columns, (part + 1) * this.#columns);
  }

  #clear(dropped: number): void {
    this.#starts = []; this.#widths = []; this.#ends = [];
    this.#end = PLAIN; this.#base = 0; this.#dropped = dropped;
    this.#cache.clear();
  }

  #fold(columns: number): void {
    this.#columns = columns;
    this.#base = 0;
    let row = 0;
    for (let i = 0; i < this.#widths.length; i++) this.#ends[i] = row += this.#rowsOf(this.#widths[i]!);
  }

  #add(line: LogLine): void {
    const { text } = line;
    let width: number;
    this.#starts.push(this.#end);
    const measured = measureAnsi(text, this.#end);
    if (measured) {
      width = measured.length;
      this.#end = measured.end;
    } else {
      const { spans, end } = parseAnsi(text, this.#end);
      width = spans.reduce((sum, span) => sum + columnsOf(span.text), text.length > LINE_MAX ? MORE : 0);
      this.#end = end;
    }
    this.#widths.push(width);
    this.#ends.push((this.#ends[this.#ends.length - 1] ?? this.#base) + this.#rowsOf(width));
  }

  #rowsOf(width: number): number { return Math.max(1, Math.ceil(width / this.#columns)); }

  #parsed(index: number): Span[] {
    const line = this.#lines[index]!;
    let spans = this.#cache.get(line);
    if (!spans) {
      if (this.#cache.size >= CACHED) this.#cache.clear();
      spans = parseAnsi(line.text, this.#starts[index]).spans;
      if (line.text.length > LINE_MAX) {
        spans.push({ text: ` … ${line.text.length - LINE_MAX} more characters`, style: { marks: 'd' } });
      }
      this.#cache.set(line, spans);
    }
    return spans;
  }
}

/** Cells of a terminal that a text takes: two of East Asian wide characters and emoji, none of marks that combine. */
export function columnsOf(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += cells(character.codePointAt(0)!);
  return columns;
}

function cells(code: number): number {
  if (code < 0x300) return 1;
  if (code <= 0x36f || (code >= 0x200b && code <= 0x200f) || (code >= 0xfe00 && code <= 0xfe0f)) return 0;
  if (code < 0x1100) return 1;
  return code <= 0x115f || (code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff)
    || (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) || (code >= 0xffe0 && code <= 0xffe6)
    || (code >= 0x1f300 && code <= 0x1faff) || (code >= 0x20000 && code <= 0x3fffd) ? 2 : 1;
}

// The spans between two columns. A wide character across the edge goes to the row that it begins in.
function cut(spans: readonly Span[], from: number, to: number): Span[] {
  const out: Span[] = [];
  let column = 0;
  for (const { text, style } of spans) {
    const width = columnsOf(text);
    if (column < to && column + width > from) out.push({ text: width === text.length ? text.slice(Math.max(0, from - column), to - column)
      : sliceColumns(text, from - column, to - column), style });
    column += width;
    if (column >= to) break;
  }
  return out;
}

function sliceColumns(text: string, from: number, to: number): string {
  let column = 0, out = '';
  for (const character of text) {
    if (column >= from && column < to) out += character;
    column += cells(character.codePointAt(0)!);
  }
  return out;
}
