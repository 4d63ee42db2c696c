// SPDX-License-Identifier: Apache-2.0
// `?bench`: what a browser test drives to measure frames: a log that grows, and a text.
import type { LogLine } from '@tidings/client';
import { useEffect, useState } from 'react';
import { LogView, TokenText } from '../src/index.ts';

interface Handles { lines(n: number): void; text(more: string): void; end(): void }
declare global { interface Window { bench: Handles } }

const WORDS = ['\x1b[32mok\x1b[0m', 'request served', '\x1b[1;33mslow\x1b[0m query', 'took 12 ms', 'GET /api/v1/events', '\x1b[38;5;208mretry\x1b[0m'];

function line(n: number): LogLine {
  const text = [n, ...[0, 1, 2, 3].map(i => WORDS[(n * 7 + i * 5) % WORDS.length])].join(' ') + (n % 50 === 0 ? ' long'.repeat(120) : '');
  return { text, time: '2026-11-27T12:00:00.000Z', stream: n % 20 === 0 ? 'stderr' : 'stdout' };
}

export function Bench() {
  const [lines, setLines] = useState<readonly LogLine[]>([]);
  const [text, setText] = useState('');
  const [growing, setGrowing] = useState(true);
  useEffect(() => {
    window.bench = {
      lines: n => setLines(old => [...old, ...[...Array(n).keys()].map(i => line(old.length + i))]),
      text: more => setText(old => old + more),
      end: () => setGrowing(false),
    };
  }, []);
  return (
    <main className="wide">
      <LogView lines={lines} />
      <div className="sheet"><TokenText text={text} status={growing ? 'streaming' : 'done'} onStop={() => setGrowing(false)} /></div>
    </main>
  );
}
