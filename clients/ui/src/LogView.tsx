// SPDX-License-Identifier: Apache-2.0
// A log as a terminal shows it.  Only the rows in view are in the document; it follows the end until the reader scrolls up.
import type { LogLine } from '@tidings/client';
import { memo, useCallback, useEffect, useLayoutEffect, useRef, useState, type ClipboardEvent, type CSSProperties, type ReactNode } from 'react';
import { plainText, type Span, type Style } from './ansi.ts';
import { LogIndex } from './logIndex.ts';
import { Button, Hidden, Icon } from './parts.tsx';
import { classes, count } from './text.ts';

export const LOG_LABELS = {
  log: 'Log',
  lines: (n: number) => count(n, 'line'),
  left: (n: number) => `the first ${count(n, 'line')} not shown`,
  wrap: 'Wrap',
  copy: 'Copy',
  copied: 'Copied',
  latest: 'Jump to latest',
  fresh: (n: number) => `${count(n, 'new line')}`,
  empty: 'Nothing yet.',
  stderr: 'error output:',
  error: 'error:',
  warning: 'warning:',
};

export interface LogViewViewProps {
  /** In order; more come at the end. A new array for each change, or the same one grown and rendered again. */
  lines: readonly LogLine[];
  /** How many lines there were before lines[0] and are no more. 0. */
  dropped?: number;
  /** What is said of it, for its heading: `Log` unless given. */
  label?: string;
  /** Whether long lines are folded at first; the reader may change it. true. */
  wrap?: boolean;
  /** The time of day of each line in front of it. */
  times?: boolean;
  /** CSS height of the part that scrolls; `--td-log-height` unless given. */
  height?: string | number;
  /** When the reader leaves the end, or is there again: while he is not, whoever keeps the lines should drop none. */
  onFollow?: (follow: boolean) => void;
  /** In the bar beside the count: whether it goes on, for instance. */
  children?: ReactNode;
  className?: string;
  labels?: Partial<typeof LOG_LABELS>;
}

// Rows beyond the view on either side, and the columns at which a line that is not wrapped ends all the same.
const AROUND = 12, UNFOLDED = 4000;
// Pixels above the first row, as in the style sheet.
const PADDING = 6;

export function LogViewView(props: LogViewViewProps) {
  const { lines, dropped = 0, label, times = false, height, children, className, labels } = props;
  const say = { ...LOG_LABELS, ...labels };
  const [wrap, setWrap] = useState(props.wrap ?? true);
  const [index] = useState(() => new LogIndex());
  const view = useRef<HTMLDivElement>(null);
  const probe = useRef<HTMLSpanElement>(null);
  const size = useSize(view, probe);
  const columns = Math.max(20, Math.floor(size.width / size.letter) - (times ? 14 : 4));
  index.sync(lines, dropped, wrap ? columns : UNFOLDED);
  const { follow, first, scrolled, latest, seen } = useFollow(view, index, size.row, columns * Number(wrap), props.onFollow);
  const total = dropped + lines.length;
  const shown = Math.ceil(size.height / size.row) + 2 * AROUND;
  const from = follow ? Math.max(0, index.rows - shown) : Math.max(0, Math.min(first, index.rows - shown));
  return (
    <section className={classes('td td-log', className)} aria-label={label ?? say.log}>
      <div className="td-log-bar">
        <span className="td-grow">{say.lines(total)}{dropped > 0 && `, ${say.left(dropped)}`}{children}</span>
        <Button look="quiet" aria-pressed={wrap} onClick={() => setWrap(!wrap)}><Icon name="wrap" />{say.wrap}</Button>
        <CopyButton lines={lines} say={say} />
      </div>
      <div className="td-log-frame">
        <div ref={view} className="td-log-view" style={height === undefined ? undefined : { height }} role="log" aria-live="off" tabIndex={0}
          aria-label={label ?? say.log} onScroll={scrolled} onCopy={copyRows}>
          <span ref={probe} className="td-log-probe" aria-hidden="true">0000000000</span>
          {lines.length === 0 && <p className="td-muted td-log-empty">{say.empty}</p>}
          <div className="td-log-rows" style={{ height: index.rows * size.row }}>
            <div style={{ transform: `translateY(${from * size.row}px)` }}>
              {rows(index, from, Math.min(index.rows, from + shown), times, say)}
            </div>
          </div>
        </div>
        {!follow && (
          <Button look="primary" className="td-log-latest" onClick={() => { latest(); view.current?.focus(); }}>
            <Icon name="down" />{say.latest}{total > seen && <small>{say.fresh(total - seen)}</small>}
          </Button>
        )}
      </div>
    </section>
  );
}

function rows(index: LogIndex, from: number, to: number, times: boolean, say: typeof LOG_LABELS): ReactNode[] {
  const out: ReactNode[] = [];
  for (let row = from; row < to; row++) {
    const { line, part } = index.at(row);
    const it = index.lines[line]!;
    out.push(<Row key={`${index.dropped + line}.${part}`} line={it} spans={index.spans(line, part)} part={part} times={times} say={say} />);
  }
  return out;
}

interface RowProps { line: LogLine; spans: Span[]; part: number; times: boolean; say: typeof LOG_LABELS }

const Row = memo(function Row({ line, spans, part, times, say }: RowProps) {
  const kind = line.level === 'error' || line.stream === 'stderr' ? 'bad' : line.level === 'warn' || line.level === 'warning' ? 'warn' : '';
  const [mark, spoken] = kind === 'warn' ? ['W', say.warning] : line.level === 'error' ? ['E', say.error] : ['!', say.stderr];
  return (
    <div className={classes('td-log-row', kind && `td-log-${kind}`)} data-part={part}>
      {times && <span className="td-log-time">{part === 0 ? line.time.slice(11, 19) : ''}</span>}
      {kind !== '' && part === 0 ? <Mark mark={mark!} spoken={spoken!} /> : <span className="td-log-mark" />}
      <span className="td-log-text">{spans.map((span, n) => <Piece key={n} {...span} />)}</span>
    </div>
  );
}, (a, b) => a.line === b.line && a.part === b.part && a.times === b.times && a.say.error === b.say.error
  && a.spans.length === b.spans.length && a.spans.every((span, n) => span === b.spans[n] || span.text === b.spans[n]!.text));

// By a letter, a stripe and a colour; spoken in a word.
function Mark({ mark, spoken }: { mark: string; spoken: string }) {
  return <span className="td-log-mark" title={spoken}><span aria-hidden="true">{mark}</span><Hidden>{spoken} </Hidden></span>;
}

function Piece({ text, style }: Span) {
  if (style.marks === '' && !style.fg && !style.bg) return text;
  return <span style={css(style)}>{text}</span>;
}

const sheets = new WeakMap<Style, CSSProperties>();

function css(style: Style): CSSProperties {
  let sheet = sheets.get(style);
  if (!sheet) {
    const has = (mark: string): boolean => style.marks.includes(mark);
    const fg = has('v') ? style.bg ?? 'var(--td-log-bg)' : style.fg;
    const bg = has('v') ? style.fg ?? 'var(--td-log-text)' : style.bg;
    sheet = {
      color: has('h') ? 'transparent' : fg, backgroundColor: bg,
      fontWeight: has('b') ? 700 : undefined, opacity: has('d') ? 0.7 : undefined, fontStyle: has('i') ? 'italic' : undefined,
      textDecoration: [has('u') && 'underline', has('s') && 'line-through'].filter(Boolean).join(' ') || undefined,
    };
    sheets.set(style, sheet);
  }
  return sheet;
}

function CopyButton({ lines, say }: { lines: readonly LogLine[]; say: typeof LOG_LABELS }) {
  const [done, setDone] = useState(false);
  const copy = async (): Promise<void> => {
    await copyText(lines.map(line => plainText(line.text)).join('\n') + '\n');
    setDone(true);
  };
  return (
    <Button look="quiet" onClick={() => void copy().catch(() => setDone(false))} onBlur={() => setDone(false)}>
      <Icon name={done ? 'check' : 'copy'} /><span aria-live="polite">{done ? say.copied : say.copy}</span>
    </Button>
  );
}

// The clipboard is only there on https and localhost; elsewhere a selection is copied, as of old.
async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.body.appendChild(document.createElement('textarea'));
  area.value = text;
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (!done) throw new Error('not copied');
}

// What is selected, with the rows of a folded line put together again, and without marks and times.
function copyRows(event: ClipboardEvent): void {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || selection.rangeCount === 0) return;
  let text = '';
  const found = selection.getRangeAt(0).cloneContents().querySelectorAll<HTMLElement>('.td-log-row');
  if (found.length === 0) return;
  found.forEach((row, n) => {
    text += (n > 0 && row.dataset['part'] === '0' ? '\n' : '') + (row.querySelector('.td-log-text')?.textContent ?? '');
  });
  event.clipboardData.setData('text/plain', text);
  event.preventDefault();
}

interface Size { width: number; height: number; letter: number; row: number }

function useSize(view: React.RefObject<HTMLDivElement | null>, probe: React.RefObject<HTMLSpanElement | null>): Size {
  const [size, setSize] = useState<Size>({ width: 960, height: 320, letter: 8, row: 20 });
  useLayoutEffect(() => {
    const measure = (): void => {
      const box = probe.current?.getBoundingClientRect();
      const width = view.current?.clientWidth ?? 0;
      if (!box || box.height === 0 || width === 0) return;
      const next = { width, height: view.current!.clientHeight, letter: box.width / 10, row: box.height };
      setSize(old => (Object.entries(next).every(([key, value]) => old[key as keyof Size] === value) ? old : next));
    };
    measure();
    if (typeof ResizeObserver === 'undefined') return;
    const observer = new ResizeObserver(measure);
    observer.observe(view.current!);
    observer.observe(probe.current!);
    return () => observer.disconnect();
  }, [view, probe]);
  return size;
}

// Follows the end, until the reader scrolls up; and again, once he is down there.
function useFollow(view: React.RefObject<HTMLDivElement | null>, index: LogIndex, row: number, folded: number, told?: (follow: boolean) => void) {
  const [follow, setFollow] = useState(true);
  const [first, setFirst] = useState(0);
  const seen = useRef(0);
  const gone = useRef(0);
  const top = useRef(0);
  // The line at the top of the view, which stays there when all are folded anew.
  const line = useRef(0);
  const fold = useRef(folded);
  const total = index.dropped + index.lines.length;
  if (follow) seen.current = total;
  const latestTold = useRef(told);
  useEffect(() => { latestTold.current = told; });
  useEffect(() => latestTold.current?.(follow), [follow]);
  useLayoutEffect(() => {
    const element = view.current;
    if (!element) return;
    if (follow) element.scrollTop = element.scrollHeight;
    else if (fold.current !== folded) element.scrollTop = PADDING + index.rowOf(line.current - index.dropped) * row;
    else if (index.rowsDropped > gone.current) element.scrollTop -= (index.rowsDropped - gone.current) * row;
    fold.current = folded;
    gone.current = index.rowsDropped;
    top.current = element.scrollTop;
  });
  const scrolled = useCallback((): void => {
    const element = view.current!;
    const below = element.scrollHeight - element.clientHeight - element.scrollTop;
    if (below < row) setFollow(true);
    else if (element.scrollTop < top.current - 1) setFollow(false);
    top.current = element.scrollTop;
    line.current = index.dropped + index.at(Math.max(0, Math.ceil((element.scrollTop - PADDING) / row))).line;
    // In steps, so that most events of a scroll render nothing.
    setFirst(Math.max(0, Math.floor(element.scrollTop / row / 6) * 6 - AROUND + 6));
  }, [view, index, row]);
  return { follow, first, scrolled, latest: () => setFollow(true), seen: seen.current };
}
