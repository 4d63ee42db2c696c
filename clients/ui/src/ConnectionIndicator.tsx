// SPDX-License-Identifier: Apache-2.0
// Whether what the page shows is live: a sign that differs in shape and words, not in colour alone, and behind it the facts.
import type { ConnectionState, Phase, TransportName } from '@tidings/client';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'react';
import { useSpoken, useTick } from './hooks.ts';
import { Button, Says } from './parts.tsx';
import { ago, classes, span } from './text.ts';

export const CONNECTION_LABELS = {
  /** In a word or two, next to the sign. */
  phase: {
    idle: 'Not connected',
    connecting: 'Connecting',
    online: 'Live',
    waiting: 'Reconnecting',
    polling: 'Delayed',
    offline: 'Offline',
    failed: 'Disconnected',
    closed: 'Closed',
  } satisfies Record<Phase, string> as Record<Phase, string>,
  /** What it means for who reads the page. */
  meaning: {
    idle: 'Nothing is followed yet.',
    connecting: 'Changes show once the connection stands.',
    online: 'Changes show as they happen.',
    waiting: 'The connection was lost. What is missed comes when it is back.',
    polling: 'No live connection works from here, so changes are fetched now and then.',
    offline: 'This device has no network. What is missed comes when it is back.',
    failed: 'It does not reconnect by itself.',
    closed: 'The page has closed the connection.',
  } satisfies Record<Phase, string> as Record<Phase, string>,
  transport: {
    websocket: 'WebSocket',
    sse: 'Server-Sent Events',
    longpoll: 'Long polling',
    poll: 'Polling',
  } satisfies Record<TransportName, string> as Record<TransportName, string>,
  details: 'Connection details',
  button: (phase: string) => `Connection: ${phase}`,
  lastSeen: 'Last heard',
  rtt: 'Round trip',
  via: 'Transport',
  since: 'In this state',
  next: 'Next try',
  attempt: (n: number) => `try ${n}`,
  inTime: (ms: number) => (ms < 1000 ? 'now' : `in ${span(ms)}`),
  never: 'never',
  tryNow: 'Try now',
  ago,
  span,
};

export interface ConnectionIndicatorViewProps {
  state: ConnectionState;
  /** The clock of `state`: `client.clock.now`. performance.now unless given. */
  now?: () => number;
  /** Reads the state afresh, each second while the details are open: the age of the last heartbeat is told to no watcher. */
  read?: () => ConnectionState;
  /** Tries again at once. Without it there is no button. */
  onRetry?: () => void;
  /** icon: the sign without words (they are still in its name and its details). label (default): both. */
  look?: 'icon' | 'label';
  className?: string;
  labels?: Partial<typeof CONNECTION_LABELS>;
}

const QUIET: readonly Phase[] = ['online', 'connecting', 'idle'];

/** The connection's sign as a button that opens its details. Screen readers hear of a new phase once it has stood for a moment. */
export function ConnectionIndicatorView(props: ConnectionIndicatorViewProps) {
  const { look = 'label', className, labels, now = () => performance.now() } = props;
  const say = { ...CONNECTION_LABELS, ...labels };
  const [open, setOpen] = useState(false);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const { phase, retryAt } = props.state;
  useTick(open || (phase === 'waiting' && retryAt !== undefined));
  useDismiss(open, root, () => setOpen(false));
  const word = say.phase[phase];
  const left = retryAt === undefined ? undefined : Math.max(0, retryAt - now());
  const close = (): void => { setOpen(false); button.current?.focus(); };
  return (
    <div ref={root} className={classes('td td-connection', className)}
      onKeyDown={event => { if (event.key === 'Escape' && open) { event.stopPropagation(); close(); } }}>
      <button ref={button} type="button" className={classes('td-button td-quiet td-sign', `td-phase-${phase}`)} aria-expanded={open}
        aria-controls={open ? id : undefined} aria-label={say.button(word)} onClick={() => setOpen(!open)}>
        <Wifi phase={phase} />
        {look === 'label' && <span>{word}{phase === 'waiting' && left !== undefined && <small> {say.inTime(left)}</small>}</span>}
      </button>
      {open && <Details {...props} state={props.read?.() ?? props.state} id={id} say={say} now={now()} />}
      <Says>{useSpoken(say.button(word))}</Says>
    </div>
  );
}

// Three arcs and a dot. What is not live is grey and has lighter arcs, and by phase a slash, a clock or a mark, so that a print
// without colours tells them apart. The mask cuts a gap around these, whatever is behind the sign.
function Wifi({ phase }: { phase: Phase }) {
  const mask = useId();
  const badge = phase === 'waiting' || phase === 'polling' ? 'clock' : phase === 'failed' ? 'mark' : undefined;
  const slashed = phase === 'offline' || phase === 'closed' || phase === 'idle';
  return (
    <svg className="td-wifi" viewBox="0 0 22 20" aria-hidden="true" focusable="false">
      <mask id={mask} maskUnits="userSpaceOnUse" x="0" y="0" width="22" height="20">
        <rect width="22" height="20" fill="#fff" stroke="none" />
        {slashed && <path d={SLASH} stroke="#000" strokeWidth="5" />}
        {badge && <circle cx="17" cy="14.6" r="5.6" fill="#000" stroke="none" />}
      </mask>
      <g mask={`url(#${mask})`}>
        <path className="td-arc td-arc-3" d="M1.8 7.4a11.6 11.6 0 0 1 16.4 0" />
        <path className="td-arc td-arc-2" d="M4.7 10.4a7.5 7.5 0 0 1 10.6 0" />
        <path className="td-arc td-arc-1" d="M7.6 13.3a3.4 3.4 0 0 1 4.8 0" />
        <circle className="td-dot" cx="10" cy="16.2" r="1.5" />
      </g>
      {slashed && <path d={SLASH} />}
      {badge && <circle className="td-thin" cx="17" cy="14.6" r="4.1" />}
      {badge && <path className="td-thin" d={badge === 'clock' ? 'M17 12.4v2.4l1.6 1' : 'M17 12.5v2.3M17 16.6v.1'} />}
    </svg>
  );
}

const SLASH = 'M3.4 3l13.2 14.4';

type Say = typeof CONNECTION_LABELS;

function Details(props: Omit<ConnectionIndicatorViewProps, 'now'> & { id: string; say: Say; now: number }) {
  const { state, say, now, onRetry } = props;
  const panel = useRef<HTMLDivElement>(null);
  useInView(panel);
  const rows: [string, string][] = [];
  if (state.transport) rows.push([say.via, say.transport[state.transport]]);
  rows.push([say.lastSeen, state.lastSeen === undefined ? say.never : say.ago(Math.max(0, now - state.lastSeen))]);
  if (state.rtt !== undefined) rows.push([say.rtt, say.span(state.rtt)]);
  rows.push([say.since, say.span(Math.max(0, now - state.since))]);
  if (state.retryAt !== undefined) {
    const tries = state.attempt > 0 ? ` (${say.attempt(state.attempt)})` : '';
    rows.push([say.next, say.inTime(Math.max(0, state.retryAt - now)) + tries]);
  }
  return (
    <div ref={panel} id={props.id} className="td-panel" role="group" aria-label={say.details}>
      <p className="td-title">{say.phase[state.phase]}</p>
      <p className="td-muted">{say.meaning[state.phase]}</p>
      <dl>{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      {state.reason && state.phase !== 'online' && (
        <div className={classes('td-why', state.reason.retry ? 'td-soft-warn' : 'td-soft-bad')}>
          <p>{state.reason.message}</p>
          {state.reason.whatToDo && <p className="td-muted">{state.reason.whatToDo}</p>}
        </div>
      )}
      {onRetry && !QUIET.includes(state.phase) && <Button look="primary" onClick={onRetry}>{say.tryNow}</Button>}
    </div>
  );
}

// Closes what is open when the pointer goes down, or focus goes, elsewhere.
function useDismiss(open: boolean, root: React.RefObject<HTMLElement | null>, close: () => void): void {
  const latest = useRef(close);
  useEffect(() => { latest.current = close; });
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) latest.current();
    };
    document.addEventListener('pointerdown', outside);
    document.addEventListener('focusin', outside);
    return () => {
      document.removeEventListener('pointerdown', outside);
      document.removeEventListener('focusin', outside);
    };
  }, [open, root]);
}

// Moves a panel that hangs below its button so far that no edge of the window cuts it.
function useInView(panel: React.RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const element = panel.current;
    if (!element) return;
    const box = element.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const left = Math.max(8 - box.left, Math.min(0, clientWidth - 8 - box.right));
    element.style.marginLeft = `${left}px`;
    if (box.bottom > clientHeight && box.top - box.height > 48) element.classList.add('td-above');
  }, [panel]);
}
