// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { LINE_MAX, measureAnsi, parseAnsi, PLAIN, plainText } from '../src/ansi.ts';

const E = '\x1b';
const styleOf = (codes: string) => parseAnsi(`${E}[${codes}mx`).spans[0]!.style;
const text = (line: string) => parseAnsi(line).spans.map(span => span.text).join('');

describe('SGR', () => {
  it('knows 8, 16, 256 and true colours, in front and behind', () => {
    expect(styleOf('31').fg).toBe('var(--td-ansi-1)');
    expect(styleOf('97').fg).toBe('var(--td-ansi-15)');
    expect(styleOf('44').bg).toBe('var(--td-ansi-4)');
    expect(styleOf('102').bg).toBe('var(--td-ansi-10)');
    expect(styleOf('38;5;9').fg).toBe('var(--td-ansi-9)');
    expect(styleOf('38;5;16').fg).toBe('rgb(0,0,0)');
    expect(styleOf('38;5;208').fg).toBe('rgb(255,135,0)');
    expect(styleOf('48;5;255').bg).toBe('rgb(238,238,238)');
    expect(styleOf('38;2;1;2;3').fg).toBe('rgb(1,2,3)');
    expect(styleOf('38:2:1:2:3').fg).toBe('rgb(1,2,3)');
    expect(styleOf('38:2::1:2:3').fg).toBe('rgb(1,2,3)');
    expect(styleOf('38:5:208;1')).toMatchObject({ fg: 'rgb(255,135,0)', marks: 'b' });
    expect(styleOf('38;5;208;4')).toMatchObject({ fg: 'rgb(255,135,0)', marks: 'u' });
  });

  it('sets and takes back weights', () => {
    expect(styleOf('1;2;3;4;7;9').marks).toBe('bdisuv');
    expect(parseAnsi(`${E}[1;3mA${E}[22mB${E}[23mC`).spans.map(span => span.style.marks)).toEqual(['bi', 'i', '']);
    expect(parseAnsi(`${E}[4:3mA${E}[4:0mB`).spans.map(span => span.style.marks)).toEqual(['u', '']);
    expect(parseAnsi(`${E}[31;41;1mA${E}[39mB${E}[49mC${E}[mD`).spans.map(span => [span.style.fg, span.style.bg, span.style.marks])).toEqual([
      ['var(--td-ansi-1)', 'var(--td-ansi-1)', 'b'], [undefined, 'var(--td-ansi-1)', 'b'], [undefined, undefined, 'b'], [undefined, undefined, '']]);
  });

  it('passes over colours that are none', () => {
    expect(styleOf('38;5;256')).toBe(PLAIN);
    expect(styleOf('38;2;300;0;0')).toBe(PLAIN);
    expect(styleOf('38')).toBe(PLAIN);
    expect(styleOf('999')).toBe(PLAIN);
  });

  it('goes on in the next line, and is one object for one look', () => {
    const { end } = parseAnsi(`${E}[1;32mgreen`);
    expect(parseAnsi('still', end).spans[0]!.style).toBe(end);
    expect(measureAnsi(`a${E}[0m${E}[1mb${E}[32m`)).toEqual({ length: 2, end });
    expect(parseAnsi('plain', PLAIN).end).toBe(PLAIN);
  });
});

it('measures a simple line as it is parsed, and no other', () => {
  for (const line of ['', 'plain', `${E}[31mred${E}[m`, `a${E}[1;38;5;208mb${E}[0mc`, `${E}[38:2::1:2:3mx`, `${E}[mx`, 'x'.repeat(LINE_MAX)]) {
    const { spans, end } = parseAnsi(line);
    expect(measureAnsi(line), line).toEqual({ length: spans.map(span => span.text).join('').length, end });
  }
  for (const line of ['a\tb', 'a\rb', 'é', `${E}[K`, `${E}]0;x\x07`, `${E}[31`, `a${E}`, 'x'.repeat(LINE_MAX + 1)]) {
    expect(measureAnsi(line), JSON.stringify(line)).toBeUndefined();
  }
});

describe('a line', () => {
  it('is written over after a carriage return', () => {
    expect(text('10 %\r100 %')).toBe('100 %');
    expect(text('abcdef\rXY')).toBe('XYcdef');
    expect(text(`abcdef\rXY${E}[K`)).toBe('XY');
    expect(text(`abc${E}[2K\rX`)).toBe('X  ');
    expect(text('done\r')).toBe('done');
    expect(parseAnsi(`ab\r${E}[31mc`).spans).toMatchObject([{ text: 'c', style: { fg: 'var(--td-ansi-1)' } }, { text: 'b' }]);
  });

  it('moves its cursor', () => {
    expect(text('ab\bc')).toBe('ac');
    expect(text('\b\bx')).toBe('x');
    expect(text('a\tb')).toBe('a       b');
    expect(text(`ab${E}[5Gx`)).toBe('ab  x');
    expect(text(`abc${E}[2DX${E}[1CY`)).toBe('aXcY');
  });

  it('shows nothing of other sequences, of their halves, and of control characters', () => {
    expect(text(`${E}]8;;https://example.org${E}\\link${E}]8;;${E}\\`)).toBe('link');
    expect(text(`${E}]0;title\x07text`)).toBe('text');
    expect(text(`${E}[?25lhidden cursor${E}[?25h`)).toBe('hidden cursor');
    expect(text(`${E}(Bascii${E}=`)).toBe('ascii');
    expect(text(`a\x00\x07\x9fb`)).toBe('ab');
    expect(text(`a${E}`)).toBe('a');
    expect(text(`a${E}[`)).toBe('a');
    expect(text(`a${E}]0;never ends`)).toBe('a');
    expect(text(`${E}PqSIXEL${E}\\b`)).toBe('b');
  });

  it('keeps characters beyond the first plane whole', () => {
    expect(text(`${E}[1m👍${E}[0mé`)).toBe('👍é');
    expect(plainText(`${E}[31mé${E}[0m`)).toBe('é');
  });

  it('has an end, however long it is and wherever its cursor is sent', () => {
    expect(text('x'.repeat(LINE_MAX + 5))).toHaveLength(LINE_MAX);
    expect(text(`${E}[999999999Gx`).length).toBeLessThanOrEqual(LINE_MAX);
    expect(text(`${E}[99999C`.repeat(5)).length).toBeLessThanOrEqual(LINE_MAX);
  });
});
