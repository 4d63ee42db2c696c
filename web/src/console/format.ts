// SPDX-License-Identifier: Apache-2.0
// Numbers for people.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(n: number): string {
  let unit = 0;
  while (n >= 1024 && unit < UNITS.length - 1) [n, unit] = [n / 1024, unit + 1];
  return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

export const count = (n: number): string => Math.round(n).toLocaleString('en');

export const rate = (n: number): string => n >= 100 ? count(n) : n >= 10 ? n.toFixed(1) : n === 0 ? '0' : n.toFixed(2);

export const percent = (share: number): string => `${share < 0.1 && share > 0 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;

/** A time span in its largest unit that says something. */
export function span(seconds: number): string {
  if (seconds === 0) return '0';
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${seconds < 0.01 ? (seconds * 1000).toFixed(1) : Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

export const ago = (time: string): string => `${span(Math.max(0, (Date.now() - Date.parse(time)) / 1000))} ago`;

export const clock = (time: string): string => new Date(time).toLocaleTimeString([], { hour12: false });
