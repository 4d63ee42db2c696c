// SPDX-License-Identifier: Apache-2.0
// The log view and the notes: what is in the document, what follows, what time does.
import { act, cleanup, fireEvent, render, screen } from '@testing-library/react';
import { StrictMode } from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { EntityChange, LogLine } from '@tidings/client';
import { liveUpdates, LiveUpdateToasts, LogView } from '../src/index.ts';
import { standingClock } from './clock.ts';

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});
const button = (name: string | RegExp) => screen.getByRole('button', { name });

describe('LogView', () => {
  const lines = (n: number, from = 0): LogLine[] => [...Array(n).keys()].map(i => ({ text: `line ${from + i}`, time: '2026-11-27T12:00:00.000Z' }));
  const shown = (): string[] => [...document.querySelectorAll('.td-log-text')].map(row => row.textContent ?? '');
  // jsdom lays nothing out, so heights are told: rows of 20 pixels in a view of 320.
  function scrollTo(view: HTMLElement, top: number, height: number): void {
    Object.defineProperties(view, { scrollHeight: { value: height, configurable: true }, clientHeight: { value: 320, configurable: true } });
    view.scrollTop = top;
    fireEvent.scroll(view);
  }

  it('has only what is in view in the document, and begins at the end', () => {
    render(<LogView lines={lines(100_000)} />);
    expect(shown().length).toBeLessThan(60);
    expect(shown().at(-1)).toBe('line 99999');
    expect(screen.getByText('100,000 lines')).toBeDefined();
    const view = screen.getByRole('log', { name: 'Log' });
    expect([view.tabIndex, view.getAttribute('aria-live')]).toEqual([0, 'off']);
  });

  it('follows, stops when the reader scrolls up, and goes on when told', () => {
    const onFollow = vi.fn();
    const { rerender } = render(<LogView lines={lines(1000)} onFollow={onFollow} />);
    const view = screen.getByRole('log');
    expect(screen.queryByRole('button', { name: /latest/ })).toBeNull();
    scrollTo(view, 19_680, 20_000);
    scrollTo(view, 4000, 20_000);
    expect(shown()).toContain('line 200');
    rerender(<LogView lines={lines(1200)} onFollow={onFollow} />);
    expect(shown()).toContain('line 200');
    expect(button(/Jump to latest/).textContent).toContain('200 new lines');
    fireEvent.click(button(/Jump to latest/));
    expect(shown().at(-1)).toBe('line 1199');
    expect(document.activeElement).toBe(view);
    expect(onFollow.mock.calls).toEqual([[true], [false], [true]]);
  });

  it('stays where the reader is when the first lines are dropped', () => {
    const all = lines(1000);
    const { rerender } = render(<LogView lines={all} />);
    const view = screen.getByRole('log');
    scrollTo(view, 19_680, 20_000);
    scrollTo(view, 4000, 20_000);
    rerender(<LogView lines={all.slice(100)} dropped={100} />);
    expect(view.scrollTop).toBe(2000);
    expect(screen.getByText('1,000 lines, the first 100 lines not shown')).toBeDefined();
    fireEvent.scroll(view);
    expect(shown()).toContain('line 200');
  });

  it('marks error output by a letter and a word', () => {
    render(<LogView lines={[{ text: 'oh', time: '', stream: 'stderr' }, { text: 'no', time: '', level: 'error' }, { text: 'hm', time: '', level: 'warn' }, ...lines(1)]} />);
    const marks = [...document.querySelectorAll('.td-log-mark')].map(mark => mark.textContent);
    expect(marks).toEqual(['!error output: ', 'Eerror: ', 'Wwarning: ', '']);
  });

  it('folds long lines, or not', () => {
    render(<LogView lines={[{ text: 'x'.repeat(1000), time: '' }]} />);
    expect(shown().length).toBeGreaterThan(5);
    expect(shown().join('')).toBe('x'.repeat(1000));
    const wrap = button('Wrap');
    expect(wrap.getAttribute('aria-pressed')).toBe('true');
    fireEvent.click(wrap);
    expect(shown()).toEqual(['x'.repeat(1000)]);
  });

  it('copies all of it as text', async () => {
    const writeText = vi.fn(() => Promise.resolve());
    vi.stubGlobal('navigator', { ...navigator, clipboard: { writeText } });
    render(<LogView lines={[{ text: '\x1b[31mred\x1b[0m', time: '' }, { text: '1 %\r2 %', time: '' }]} />);
    await act(async () => { fireEvent.click(button('Copy')); });
    expect(writeText).toHaveBeenCalledWith('red\n2 %\n');
    expect(button('Copied')).toBeDefined();
    vi.unstubAllGlobals();
  });

  it('copies a selection with folded lines put together', () => {
    render(<LogView times lines={[{ text: 'x'.repeat(200), time: '2026-11-27T12:00:00.000Z', stream: 'stderr' }, ...lines(1)]} />);
    const view = screen.getByRole('log');
    const range = document.createRange();
    range.selectNodeContents(view);
    getSelection()!.removeAllRanges();
    getSelection()!.addRange(range);
    const setData = vi.fn();
    fireEvent.copy(view, { clipboardData: { setData } });
    expect(setData).toHaveBeenCalledWith('text/plain', `${'x'.repeat(200)}\nline 0`);
  });

  it('shows styles and nothing of the sequences', () => {
    render(<LogView lines={[{ text: '\x1b[1;38;2;1;2;3mbold\x1b[0m plain', time: '' }]} />);
    const piece = screen.getByText('bold');
    expect([piece.style.fontWeight, piece.style.color]).toEqual(['700', 'rgb(1, 2, 3)']);
    expect(shown()).toEqual(['bold plain']);
  });
});

describe('LiveUpdateToasts', () => {
  const change = (id: string, action: EntityChange['action'] = 'updated', type = 'sheet'): EntityChange => ({ action, type, id, time: '', own: false });
  const region = () => screen.getByRole('region', { name: 'Live updates (F8)' });

  it('shows a note politely for ten seconds, with Refresh and Dismiss', () => {
    const clock = standingClock(), queue = liveUpdates({ clock }), onRefresh = vi.fn();
    render(<StrictMode><LiveUpdateToasts queue={queue} onRefresh={onRefresh} /></StrictMode>);
    const list = region().querySelector('ol')!;
    expect(list.getAttribute('aria-live')).toBe('polite');
    act(() => queue.push(change('1')));
    expect(list.textContent).toContain('Updated by another user');
    fireEvent.click(button('Refresh'));
    expect(onRefresh).toHaveBeenCalledTimes(1);
    expect(list.childElementCount).toBe(0);
    act(() => queue.push(change('2', 'deleted')));
    expect(list.textContent).toContain('Entity deleted');
    act(() => clock.turn(10_000));
    expect(list.childElementCount).toBe(0);
  });

  it('stands still under the pointer, with the focus, and while the page is hidden', () => {
    const clock = standingClock(), queue = liveUpdates({ clock });
    render(<LiveUpdateToasts queue={queue} />);
    const stays = (begin: () => void, end: () => void): void => {
      act(() => queue.push(change('1')));
      act(begin);
      act(() => clock.turn(60_000));
      expect(queue.items).toHaveLength(1);
      act(end);
      act(() => clock.turn(10_000));
      expect(queue.items).toHaveLength(0);
    };
    stays(() => fireEvent.pointerEnter(region()), () => fireEvent.pointerLeave(region()));
    stays(() => button('Dismiss').focus(), () => button('Dismiss').blur());
    const hidden = vi.spyOn(document, 'hidden', 'get');
    stays(() => { hidden.mockReturnValue(true); fireEvent(document, new Event('visibilitychange')); },
      () => { hidden.mockReturnValue(false); fireEvent(document, new Event('visibilitychange')); });
  });

  it('is reached by F8, left by Escape, and gives the focus back', () => {
    const queue = liveUpdates({ clock: standingClock() });
    render(<><input aria-label="work" /><LiveUpdateToasts queue={queue} /></>);
    const work = screen.getByLabelText('work');
    work.focus();
    act(() => { queue.push(change('1')); queue.push(change('2', 'created')); });
    expect(document.activeElement).toBe(work);
    fireEvent.keyDown(work, { key: 'F8' });
    expect(region().contains(document.activeElement)).toBe(true);
    fireEvent.keyDown(document.activeElement!, { key: 'Escape' });
    expect(queue.items.map(item => item.action)).toEqual(['created']);
    expect(region().contains(document.activeElement)).toBe(true);
    fireEvent.keyDown(document.activeElement!, { key: 'Escape' });
    expect(document.activeElement).toBe(work);
  });

  it('goes on counting after the note under the pointer has gone', () => {
    const clock = standingClock(), queue = liveUpdates({ clock });
    render(<LiveUpdateToasts queue={queue} />);
    act(() => queue.push(change('1')));
    fireEvent.pointerEnter(region());
    fireEvent.click(button('Dismiss'));
    act(() => queue.push(change('2')));
    act(() => clock.turn(10_000));
    expect(queue.items).toHaveLength(0);
  });

  it('leaves no timer behind', () => {
    const clock = standingClock(), queue = liveUpdates({ clock });
    const { unmount } = render(<StrictMode><LiveUpdateToasts queue={queue} /></StrictMode>);
    act(() => queue.push(change('1')));
    expect(clock.waiting()).toBe(1);
    unmount();
    expect(clock.waiting()).toBe(0);
  });
});
