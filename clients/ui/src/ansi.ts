// SPDX-License-Identifier: Apache-2.0
// What a terminal would show of a line: colours and weights (ECMA-48 §8.3.117, SGR), carriage returns, backspaces, tabs, and
// erasing.  All other sequences are passed over.  A style goes on from line to line until it is reset.

/** Immutable, and the same object for the same look. Colours are of CSS. */
export interface Style {
  readonly fg?: string;
  readonly bg?: string;
  /** Letters: b bold, d dim, i italic, u underline, s struck, v inverse, h hidden. */
  readonly marks: string;
}

export interface Span { readonly text: string; readonly style: Style }

export const PLAIN: Style = { marks: '' };
/** Characters of a line that are looked at. */
export const LINE_MAX = 100_000;

const known = new Map<string, Style>([['||', PLAIN]]);
const MARKS: Record<number, string> = { 1: 'b', 2: 'd', 3: 'i', 4: 'u', 7: 'v', 8: 'h', 9: 's', 21: 'u' };
const UNMARKS: Record<number, RegExp> = { 22: /[bd]/g, 23: /i/g, 24: /u/g, 27: /v/g, 28: /h/g, 29: /s/g };
// CSI with its parameters and final byte, OSC up to BEL or ST, other escapes with their intermediates; then single control characters.
const SEQUENCE = /\x1b\[([0-9:;<=>?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)|\x1b[ -/]*[0-~]?|[\x00-\x1f\x7f-\x9f]/g;

/** The spans of a line that begins in style `start`, and the style that it ends in. */
export function parseAnsi(line: string, start: Style = PLAIN): { spans: Span[]; end: Style } {
  const input = line.length > LINE_MAX ? line.slice(0, LINE_MAX) : line;
  const characters: string[] = [];
  const styles: Style[] = [];
  let style = start, column = 0, from = 0;
  const put = (text: string): void => {
    for (const character of text) {
      while (characters.length < column) { characters.push(' '); styles.push(PLAIN); }
      characters[column] = character;
      styles[column++] = style;
    }
  };
  for (const match of input.matchAll(SEQUENCE)) {
    put(input.slice(from, match.index));
    from = match.index + match[0].length;
    const [whole, parameters = '', final] = match;
    const n = Math.min(parseInt(parameters, 10) || 0, LINE_MAX);
    if (whole === '\r') column = 0;
    else if (whole === '\b') column = Math.max(0, column - 1);
    else if (whole === '\t') put(' '.repeat(8 - (column % 8)));
    else if (final === 'm') style = select(style, parameters);
    else if (final === 'G') column = Math.max(0, n - 1);
    else if (final === 'C') column = Math.min(LINE_MAX, column + Math.max(1, n));
    else if (final === 'D') column = Math.max(0, column - Math.max(1, n));
    else if (final === 'K' && n === 0) characters.length = styles.length = Math.min(column, characters.length);
    else if (final === 'K') { characters.fill(' '); styles.fill(PLAIN); }
  }
  put(input.slice(from));
  return { spans: joined(characters, styles), end: style };
}

/**
 * How many characters a line shows and in which style it ends, of one that is ASCII with no other sequences than colours; undefined of
 * any other. Much cheaper than to parse it, since most lines are counted and never looked at.
 */
export function measureAnsi(line: string, start: Style = PLAIN): { length: number; end: Style } | undefined {
  if (line.length > LINE_MAX || !/^[ -~\x1b]*$/.test(line)) return undefined;
  let end = start, { length } = line;
  for (let at = line.indexOf('\x1b'); at >= 0; at = line.indexOf('\x1b', at + 1)) {
    let to = at + 2;
    // Digits, `:` and `;`.
    for (let code = line.charCodeAt(to); code >= 0x30 && code <= 0x3b; code = line.charCodeAt(to)) to++;
    if (line[at + 1] !== '[' || line[to] !== 'm') return undefined;
    end = select(end, line.slice(at + 2, to));
    length -= to + 1 - at;
  }
  return { length, end };
}

/** The text alone, as it would stand there. */
export function plainText(line: string): string {
  return /[\x00-\x1f\x7f-\x9f]/.test(line) ? parseAnsi(line).spans.map(span => span.text).join('') : line;
}

function joined(characters: readonly string[], styles: readonly Style[]): Span[] {
  const spans: Span[] = [];
  for (let from = 0, to = 1; from < characters.length; from = to++) {
    while (to < characters.length && styles[to] === styles[from]) to++;
    spans.push({ text: characters.slice(from, to).join(''), style: styles[from]! });
  }
  return spans;
}

// What a sequence makes of a style, remembered, because programs repeat themselves.
const turns = new Map<Style, Map<string, Style>>();

function select(before: Style, parameters: string): Style {
  if (parameters === '' || parameters === '0') return PLAIN;
  let from = turns.get(before);
  if (!from) {
    if (turns.size > 500) turns.clear();
    turns.set(before, from = new Map());
  }
  let style = from.get(parameters);
  if (!style) {
    if (from.size > 500) from.clear();
    from.set(parameters, style = turned(before, parameters));
  }
  return style;
}

// SGR: parameters by `;`, sub-parameters of one by `:`.
function turned(before: Style, parameters: string): Style {
  let { fg, bg, marks } = before;
  const codes = parameters.split(';');
  for (let i = 0; i < codes.length; i++) {
    const sub = codes[i]!.split(':').map(Number);
    const code = sub[0]!;
    if (code === 0) { fg = bg = undefined; marks = ''; }
    else if (code === 4 && sub[1] === 0) marks = marks.replace('u', '');
    else if (MARKS[code]) marks += marks.includes(MARKS[code]) ? '' : MARKS[code];
    else if (UNMARKS[code]) marks = marks.replace(UNMARKS[code], '');
    else if (code === 38 || code === 48) {
      // 38;5;n and 38;2;r;g;b, and with colons 38:5:n and 38:2:[space]:r:g:b.
      const rest = sub.length > 1 ? sub.slice(1) : codes.slice(i + 1, i + 5).map(Number);
      const colour = rest[0] === 5 ? indexed(rest[1]!) : rest[0] === 2 ? rgb(sub.length > 5 ? rest.slice(2) : rest.slice(1)) : undefined;
      if (sub.length === 1) i += rest[0] === 5 ? 2 : rest[0] === 2 ? 4 : 0;
      if (code === 38) fg = colour ?? fg; else bg = colour ?? bg;
    } else if (code === 39) fg = undefined;
    else if (code === 49) bg = undefined;
    else if (code >= 30 && code <= 37) fg = indexed(code - 30);
    else if (code >= 90 && code <= 97) fg = indexed(code - 82);
    else if (code >= 40 && code <= 47) bg = indexed(code - 40);
    else if (code >= 100 && code <= 107) bg = indexed(code - 92);
  }
  return interned(fg, bg, [...marks].sort().join(''));
}

// The first sixteen are the theme's; then a cube of 6×6×6, then 24 greys.
function indexed(n: number): string | undefined {
  if (!(n >= 0 && n <= 255)) return undefined;
  if (n < 16) return `var(--td-ansi-${n})`;
  if (n >= 232) return rgb([8, 8, 8].map(base => base + (n - 232) * 10));
  return rgb([(n - 16) / 36, ((n - 16) / 6) % 6, (n - 16) % 6].map(step => (step < 1 ? 0 : 55 + Math.floor(step) * 40)));
}

function rgb(parts: readonly number[]): string | undefined {
  return parts.length >= 3 && parts.slice(0, 3).every(part => part >= 0 && part <= 255) ? `rgb(${parts.slice(0, 3).join(',')})` : undefined;
}

// A program that paints gradients makes a great many; then they are forgotten and made anew.
function interned(fg: string | undefined, bg: string | undefined, marks: string): Style {
  const key = `${fg ?? ''}|${bg ?? ''}|${marks}`;
  let style = known.get(key);
  if (!style) {
    if (known.size > 5000) known.clear(), known.set('||', PLAIN);
    style = { fg, bg, marks };
    known.set(key, style);
  }
  return style;
}
