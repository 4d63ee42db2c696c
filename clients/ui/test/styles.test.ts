// SPDX-License-Identifier: Apache-2.0
// What can be computed from the style sheet: contrast, completeness of the dark theme, its size.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

const css = readFileSync(path.join(import.meta.dirname, '../src/styles.css'), 'utf8');
const SIZES = /--td-(size|small|large|radius|hit|z$|log-height|font|mono)/;

function block(head: string): Record<string, string> {
  const from = css.indexOf(head);
  expect(from, head).toBeGreaterThanOrEqual(0);
  const body = css.slice(from + head.length, css.indexOf('}', from));
  return Object.fromEntries([...body.matchAll(/(--td-[\w-]+):\s*([^;]+);/g)].map(match => [match[1]!, match[2]!]));
}

const base = block(':where(:root) {');
const light = { ...base, ...block(":where(:root, [data-theme='light']) {") };
const systemDark = block(":where(:root:not([data-theme='light'])) {");
const chosenDark = block(":where([data-theme='dark']) {");
const themes = { light, dark: { ...light, ...chosenDark } } as Record<string, Record<string, string>>;

// WCAG 2.2, relative luminance and contrast ratio.
function luminance(hex: string): number {
  const short = hex.length === 4 ? [...hex.slice(1)].map(digit => digit + digit).join('') : hex.slice(1);
  const [r, g, b] = [0, 2, 4].map(at => parseInt(short.slice(at, at + 2), 16) / 255)
    .map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [dark, bright] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (bright! + 0.05) / (dark! + 0.05);
}

function hsl(h: number, s: number, l: number): string {
  const part = (n: number): string => {
    const k = (n + h / 30) % 12;
    const value = l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(value * 255).toString(16).padStart(2, '0');
  };
  return `#${part(0)}${part(8)}${part(4)}`;
}

const TEXT: [string, string[]][] = [
  ['text', ['surface', 'sunken', 'hover', 'accent-soft', 'warn-soft', 'bad-soft', 'good-soft']],
  ['muted', ['surface', 'sunken']],
  ['accent', ['surface', 'accent-soft']],
  ['on-accent', ['accent']],
  ['good', ['surface', 'good-soft']],
  ['warn', ['warn-soft']],
  ['bad', ['bad-soft']],
  ['log-text', ['log-bg', 'log-bar']],
  ['log-muted', ['log-bg', 'log-bar']],
  ...[...Array(16).keys()].map((n): [string, string[]] => [`ansi-${n}`, ['log-bg']]),
];
// Edges of what one can press, and signs: 3:1 (WCAG 1.4.11).
const SHAPES: [string, string[]][] = [
  ['edge', ['surface', 'sunken']],
  ['accent', ['surface', 'sunken', 'hover']],
  ['good', ['surface', 'sunken']],
  ['muted', ['surface', 'sunken', 'hover']],
];

describe.each(['light', 'dark'])('%s', name => {
  const theme = themes[name]!;
  const ratio = (a: string, b: string): number => contrast(theme[`--td-${a}`]!, theme[`--td-${b}`]!);
  it.each(TEXT.flatMap(([fore, behind]) => behind.map(back => [fore, back])))('%s on %s is 4.5:1 or more', (fore, back) => {
    expect(ratio(fore!, back!)).toBeGreaterThanOrEqual(4.5);
  });
  it.each(SHAPES.flatMap(([fore, behind]) => behind.map(back => [fore, back])))('%s beside %s is 3:1 or more', (fore, back) => {
    expect(ratio(fore!, back!)).toBeGreaterThanOrEqual(3);
  });
});

it('shows initials at 4.5:1 on every hue of a face', () => {
  const hues = [...css.matchAll(/td-hue-\d \{ --td-h: (\d+)/g)].map(match => Number(match[1]));
  const [, s, l] = /hsl\(var\(--td-h\) (\d+)% (\d+)%\)/.exec(css)!.map(Number);
  expect(hues).toHaveLength(8);
  for (const hue of hues) expect(contrast('#fff', hsl(hue, s! / 100, l! / 100)), `hue ${hue}`).toBeGreaterThanOrEqual(4.5);
});

it('has the same dark theme by the system and by data-theme, and a value for each colour', () => {
  expect(systemDark).toEqual(chosenDark);
  const colours = Object.keys(light).filter(key => !SIZES.test(key) && !key.includes('ansi') && !['--td-log-text', '--td-log-muted'].includes(key));
  expect(Object.keys(chosenDark).sort()).toEqual(colours.sort());
});

it('stills all movement for who asks for that', () => {
  expect(css).toMatch(/prefers-reduced-motion: reduce\) \{\s*\.td, \.td \* , \.td ::after \{ animation: none !important; transition: none !important/);
});

it('uses no property that is not set', () => {
  const set = new Set([...css.matchAll(/(--td-[\w-]+):/g)].map(match => match[1]));
  for (const [, used] of css.matchAll(/var\((--td-[\w-]+)/g)) expect(set, used).toContain(used);
});

it('weighs less than 5 KB', () => {
  expect(gzipSync(css, { level: 9 }).length).toBeLessThan(5 * 1024);
});
