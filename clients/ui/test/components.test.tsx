// SPDX-License-Identifier: Apache-2.0
// Roles, names, and what happens by keyboard and pointer.
import { act, cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ConnectionState, JobState } from '@tidings/client';
import { ConflictBanner, ConnectionIndicator, JobProgress, PresenceStack, ProgressBar, StaleNotice, TokenText } from '../src/index.ts';
import { blocks } from '../src/TokenText.tsx';

beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }); });
afterEach(() => {
  cleanup();
  // jsdom tells a change of the selection by a timer of its own, which runs at once.
  vi.advanceTimersByTime(0);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const button = (name: string | RegExp) => screen.getByRole('button', { name });
const spoken = () => screen.getAllByRole('status').map(region => region.textContent).filter(Boolean);
const later = (ms: number) => act(() => { vi.advanceTimersByTime(ms); });

describe('ConnectionIndicator', () => {
  let now = 100_000;
  const online: ConnectionState = { phase: 'online', status: 'connected', transport: 'websocket', attempt: 0, since: 40_000, lastSeen: 88_000, rtt: 23.4 };
  const waiting: ConnectionState = { phase: 'waiting', status: 'disconnected', attempt: 2, since: 99_000, retryAt: 104_000, lastSeen: 60_000,
    reason: { code: 1006, name: 'network', message: 'The connection broke.', whatToDo: 'It comes back by itself.', retry: true } };
  const indicator = (state: ConnectionState, rest: object = {}) => <ConnectionIndicator state={state} now={() => now} {...rest} />;
  beforeEach(() => { now = 100_000; });

  it('says its phase in words, and its details on demand', () => {
    render(indicator(online));
    const sign = button('Connection: Live');
    expect(sign.getAttribute('aria-expanded')).toBe('false');
    expect(screen.queryByRole('group')).toBeNull();
    fireEvent.click(sign);
    expect(sign.getAttribute('aria-expanded')).toBe('true');
    const details = screen.getByRole('group', { name: 'Connection details' });
    expect(sign.getAttribute('aria-controls')).toBe(details.id);
    const facts = Object.fromEntries([...details.querySelectorAll('dl > div')].map(row => [row.firstChild!.textContent, row.lastChild!.textContent]));
    expect(facts).toEqual({ Transport: 'WebSocket', 'Last heard': '12 s ago', 'Round trip': '23 ms', 'In this state': '1 min' });
    expect(screen.queryByRole('button', { name: 'Try now' })).toBeNull();
  });

  it('counts down to the next try, says why, and tries now', () => {
    const onRetry = vi.fn();
    render(indicator(waiting, { onRetry }));
    expect(screen.getByText('in 4 s')).toBeDefined();
    now += 1000;
    later(1000);
    expect(screen.getByText('in 3 s')).toBeDefined();
    fireEvent.click(button('Connection: Reconnecting'));
    expect(screen.getByText('The connection broke.')).toBeDefined();
    expect(screen.getByText('It comes back by itself.')).toBeDefined();
    expect(screen.getByText('in 3 s (try 2)')).toBeDefined();
    fireEvent.click(button('Try now'));
    expect(onRetry).toHaveBeenCalledTimes(1);
  });

  it('reads the age of the last heartbeat each second while it is open, and not otherwise', () => {
    const read = vi.fn(() => ({ ...online, lastSeen: 99_000 }));
    render(indicator(online, { read }));
    later(5000);
    expect(read).not.toHaveBeenCalled();
    fireEvent.click(button('Connection: Live'));
    expect(screen.getByText('just now')).toBeDefined();
    now += 3000;
    later(3000);
    expect(screen.getByText('4 s ago')).toBeDefined();
  });

  it('closes by Escape with the focus back on its button, and by a press elsewhere', () => {
    render(<>{indicator(online)}<p>elsewhere</p></>);
    const sign = button('Connection: Live');
    fireEvent.click(sign);
    fireEvent.keyDown(screen.getByRole('group'), { key: 'Escape' });
    expect(screen.queryByRole('group')).toBeNull();
    expect(document.activeElement).toBe(sign);
    fireEvent.click(sign);
    fireEvent.pointerDown(screen.getByText('elsewhere'));
    expect(screen.queryByRole('group')).toBeNull();
  });

  it('announces a phase that has stood for a moment, and neither seconds nor flutter', () => {
    const { rerender } = render(indicator(online));
    later(2000);
    expect(spoken()).toEqual([]);
    rerender(indicator(waiting));
    later(300);
    rerender(indicator(online));
    later(2000);
    expect(spoken()).toEqual([]);
    rerender(indicator(waiting));
    later(1000);
    expect(spoken()).toEqual(['Connection: Reconnecting']);
    now += 3000;
    later(3000);
    expect(spoken()).toEqual(['Connection: Reconnecting']);
    rerender(indicator(online));
    later(1000);
    expect(spoken()).toEqual(['Connection: Live']);
  });

  it('has a sign of another shape for each sort of phase', () => {
    const shape = (phase: ConnectionState['phase']): string => {
      const { container, unmount } = render(indicator({ ...online, phase }));
      const drawn = [...container.querySelectorAll('.td-wifi > :not(mask)')].map(part => part.getAttribute('d')).join();
      unmount();
      return drawn;
    };
    const shapes = (['online', 'waiting', 'offline', 'failed'] as const).map(shape);
    expect(new Set(shapes).size).toBe(4);
  });
});

describe('JobProgress', () => {
  const job = (rest: Partial<JobState>): JobState => ({ id: 'j', kind: 'report', progress: 0, ...rest });

  it('shows step, percent and message, and can be cancelled once', () => {
    const onCancel = vi.fn();
    const running = job({ status: 'running', progress: 42.9, step: { index: 2, count: 4, name: 'Render' }, message: '17 of 40' });
    const { rerender } = render(<JobProgress state={running} onCancel={onCancel} />);
    const bar = screen.getByRole('progressbar', { name: 'report' });
    expect([bar.getAttribute('aria-valuenow'), bar.getAttribute('aria-valuetext')]).toEqual(['43', 'Running, Step 2 of 4: Render, 42 %']);
    for (const text of ['Step 2 of 4: Render', '42 %', '17 of 40', 'Running']) expect(screen.getByText(text)).toBeDefined();
    fireEvent.click(button('Cancel'));
    expect(onCancel).toHaveBeenCalledTimes(1);
    rerender(<JobProgress state={{ ...running, status: 'cancelling' }} onCancel={onCancel} />);
    expect(button('Cancel').hasAttribute('disabled')).toBe(true);
    later(1000);
  });

  it('has no number while nobody knows one', () => {
    render(<JobProgress state={job({ status: 'running' })} />);
    expect(screen.getByRole('progressbar').hasAttribute('aria-valuenow')).toBe(false);
  });

  it('gives the result to its children', () => {
    const state = job({ status: 'done', progress: 100, result: { pages: 3 }, started: '2026-01-01T00:00:00Z', ended: '2026-01-01T00:00:12Z' });
    const { rerender } = render(<JobProgress state={state}>{result => `${(result as { pages: number }).pages} pages`}</JobProgress>);
    expect(screen.getByText('3 pages')).toBeDefined();
    expect(screen.getByText('Took 12 s')).toBeDefined();
    rerender(<JobProgress state={job({ status: 'running' })}>ready</JobProgress>);
    expect(screen.queryByText('ready')).toBeNull();
    later(1000);
  });

  it('says what went wrong and what to do', () => {
    const onRetry = vi.fn();
    render(<JobProgress onRetry={onRetry} onCancel={onRetry} state={job({ status: 'failed', progress: 10,
      error: { code: 'x', message: 'The model is busy.', suggestedActions: ['Try in a minute.', 'Take a smaller one.'] } })} />);
    expect(screen.getByText('The model is busy.')).toBeDefined();
    expect(screen.getAllByRole('listitem').map(item => item.textContent)).toEqual(['Try in a minute.', 'Take a smaller one.']);
    expect(screen.queryByRole('button', { name: 'Cancel' })).toBeNull();
    fireEvent.click(button('Try again'));
    expect(onRetry).toHaveBeenCalledTimes(1);
  });

  it('says why it can not be seen', () => {
    render(<JobProgress state={job({ refused: { code: 'not_found', message: 'There is no such job.', whatToDo: 'Ask its owner.' } })} />);
    expect(screen.getByText('There is no such job.')).toBeDefined();
    expect(screen.getByText('Not available')).toBeDefined();
    expect(screen.queryByRole('progressbar')).toBeNull();
  });

  it('announces that its status changed, and not each percent', () => {
    const { rerender } = render(<JobProgress state={job({ status: 'running' })} />);
    for (let progress = 1; progress < 60; progress++) {
      rerender(<JobProgress state={job({ status: 'running', progress })} />);
      later(100);
    }
    expect(spoken()).toEqual([]);
    rerender(<JobProgress state={job({ status: 'done', progress: 100 })} />);
    later(1000);
    expect(spoken()).toEqual(['report: Done']);
  });
});

describe('TokenText', () => {
  it('speaks of begin and end, and of no token', () => {
    const { rerender } = render(<TokenText text="" status="waiting" />);
    let text = '';
    for (let i = 0; i < 100; i++) {
      rerender(<TokenText text={text += 'word '} status="streaming" />);
      later(20);
    }
    expect(spoken()).toEqual(['Answer: Writing']);
    expect(screen.getByRole('group', { name: 'Answer' }).getAttribute('aria-busy')).toBe('true');
    rerender(<TokenText text={text} status="done" />);
    later(1000);
    expect(spoken()).toEqual(['Answer: Complete, 100 words']);
  });

  it('stops while it grows', () => {
    const onStop = vi.fn();
    const { rerender } = render(<TokenText text="a" status="streaming" onStop={onStop} />);
    fireEvent.click(button('Stop'));
    expect(onStop).toHaveBeenCalledTimes(1);
    rerender(<TokenText text="a" status="cancelled" onStop={onStop} />);
    expect(screen.queryByRole('button')).toBeNull();
    expect(screen.getByText('Stopped')).toBeDefined();
    later(1000);
  });

  it('shows an error behind what was written, and text in another way', () => {
    render(<TokenText text="half" status="error" error={{ code: 'x', message: 'It broke off.', suggestedActions: ['Ask again.'] }}
      render={text => <em>{text}</em>} />);
    expect(screen.getByText('half').tagName).toBe('EM');
    expect(screen.getByText('It broke off.')).toBeDefined();
    expect(screen.getByText('Ask again.')).toBeDefined();
  });

  it('cuts a text into blocks that stay as they are while it grows', () => {
    const line = `${'x'.repeat(99)}\n`;
    const before = blocks(line.repeat(50)), after = blocks(line.repeat(80));
    expect(before.length).toBeGreaterThan(2);
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    expect(after.join('\n')).toBe(line.repeat(80));
    expect(blocks('')).toEqual(['']);
    expect(blocks('\n'.repeat(4000)).join('').length).toBeGreaterThan(3990);
  });
});

describe('ConflictBanner', () => {
  const fields = [{ name: 'title', label: 'Title', base: 'a', mine: 'b', theirs: 'c' }, { name: 'n', base: 1, mine: 2, theirs: 3 }];

  it('is nothing without a conflict', () => {
    expect(render(<ConflictBanner conflict="none" />).container.childElementCount).toBe(0);
  });

  it('offers Refresh and to continue, and says what each costs, also after one has chosen', () => {
    const onRefresh = vi.fn(), onContinue = vi.fn();
    const banner = (by: string) => <ConflictBanner conflict="same-fields" by={by} fields={fields} onRefresh={onRefresh} onContinue={onContinue} />;
    const { rerender } = render(banner('Ada'));
    expect(screen.getByRole('alert').textContent).toContain('Ada changed this while you were editing: Title, n.');
    expect(screen.getByText(/Refresh discards your changes.*may overwrite theirs/)).toBeDefined();
    fireEvent.click(button('Refresh'));
    fireEvent.click(button('Continue editing'));
    expect([onRefresh.mock.calls.length, onContinue.mock.calls.length]).toEqual([1, 1]);
    expect(screen.queryByRole('alert')).toBeNull();
    expect(screen.getByText(/may overwrite what Ada changed/)).toBeDefined();
    rerender(banner('Grace'));
    expect(screen.getByRole('alert').textContent).toContain('Grace changed this');
  });

  it('is quiet when both changes fit together, and says that it is gone', () => {
    const { rerender } = render(<ConflictBanner conflict="other-fields" by="Ada" fields={fields.slice(0, 1)} />);
    expect(screen.getByRole('status').textContent).toContain('Ada changed Title.');
    rerender(<ConflictBanner conflict="deleted" onRefresh={() => {}} />);
    expect(screen.getByRole('alert').textContent).toContain('Somebody deleted this');
    expect(button('Discard and leave')).toBeDefined();
  });

  it('merges field by field, mine unless said', () => {
    const onMerge = vi.fn();
    render(<ConflictBanner conflict="same-fields" by="Ada" fields={fields} onMerge={onMerge} />);
    fireEvent.click(button('Merge…'));
    const dialog = screen.getByRole('dialog', { name: 'Merge changes' });
    const title = within(dialog).getByRole('group', { name: 'Title' });
    const radios = within(title).getAllByRole('radio') as HTMLInputElement[];
    expect(radios.map(radio => radio.checked)).toEqual([true, false]);
    for (const value of ['a', 'b', 'c']) expect(within(title).getByText(value)).toBeDefined();
    fireEvent.click(radios[1]!);
    fireEvent.click(within(dialog).getByRole('button', { name: 'Use this' }));
    expect(onMerge).toHaveBeenCalledWith({ title: 'c', n: 2 });
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it('takes all of one side, and closes without a choice', () => {
    const onMerge = vi.fn();
    render(<ConflictBanner conflict="same-fields" fields={fields} onMerge={onMerge} />);
    fireEvent.click(button('Merge…'));
    fireEvent(screen.getByRole('dialog'), new Event('cancel', { cancelable: true }));
    expect(screen.queryByRole('dialog')).toBeNull();
    fireEvent.click(button('Merge…'));
    fireEvent.click(button('Keep all of theirs'));
    fireEvent.click(button('Use this'));
    expect(onMerge.mock.calls).toEqual([[{ title: 'c', n: 3 }]]);
  });
});

describe('the small ones', () => {
  it('PresenceStack is a list of names', () => {
    const users = ['ada', 'grace', 'linus', 'me', 'x1', 'x2', 'x3'].map(user => ({ user }));
    const { rerender } = render(<PresenceStack users={users} self="me" max={3} />);
    expect(screen.getByRole('list', { name: 'Here now' })).toBeDefined();
    const texts = () => screen.getAllByRole('listitem').map(item => item.querySelector('.td-hidden')!.textContent);
    expect(texts()).toEqual(['ada', 'grace', 'linus', 'and 4 more: x1, x2, x3, me']);
    rerender(<PresenceStack users={users.slice(2, 4)} self="me" />);
    expect(texts()).toEqual(['linus', 'You']);
    rerender(<PresenceStack users={[]} />);
    expect(screen.getByText('Nobody else is here')).toBeDefined();
  });

  it('StaleNotice says what is out of date, and refreshes once', () => {
    const onRefresh = vi.fn();
    const { rerender } = render(<StaleNotice onRefresh={onRefresh}>3 sheets are newer.</StaleNotice>);
    expect(screen.getByRole('status').textContent).toBe('3 sheets are newer.');
    fireEvent.click(button('Refresh'));
    rerender(<StaleNotice onRefresh={onRefresh} refreshing />);
    fireEvent.click(button('Refreshing…'));
    expect(onRefresh).toHaveBeenCalledTimes(1);
  });

  it('ProgressBar stays between 0 and 100', () => {
    const { rerender } = render(<ProgressBar label="x" value={140} />);
    const now = () => screen.getByRole('progressbar').getAttribute('aria-valuenow');
    expect(now()).toBe('100');
    rerender(<ProgressBar label="x" value={-5} />);
    expect(now()).toBe('0');
    rerender(<ProgressBar label="x" value={NaN} />);
    expect(now()).toBeNull();
  });
});
