// SPDX-License-Identifier: Apache-2.0
// Notes of what others changed, in a corner of the window.
import { useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from 'react';
import { Button, Icon } from './parts.tsx';
import { classes } from './text.ts';
import { liveUpdates, UPDATE_LABELS, type LiveUpdate, type LiveUpdateOptions, type LiveUpdateQueue } from './updates.ts';

export interface LiveUpdateNotificationProps {
  update: LiveUpdate;
  /** Loads what changed. Without it there is no such button. */
  onRefresh?: (update: LiveUpdate) => void;
  onDismiss?: (update: LiveUpdate) => void;
  /** What it is about, in your words: the name of the document. */
  describe?: (update: LiveUpdate) => ReactNode;
  className?: string;
  labels?: Partial<typeof UPDATE_LABELS>;
}

const ICONS = { created: 'plus', updated: 'pen', deleted: 'minus' } as const;

/** One note: "New item", "Updated by another user" or "Entity deleted", what it is about, Refresh and Dismiss. */
export function LiveUpdateNotification({ update, onRefresh, onDismiss, describe, className, labels }: LiveUpdateNotificationProps) {
  const say = { ...UPDATE_LABELS, ...labels };
  return (
    <div className={classes('td td-toast', `td-${update.action}`, className)}>
      <span className="td-badge-icon"><Icon name={ICONS[update.action]} /></span>
      <div className="td-grow">
        <p className="td-title">{say.title(update)}</p>
        <p className="td-muted">{describe?.(update) ?? say.about(update)}</p>
      </div>
      <div className="td-row td-end">
        {onRefresh && <Button onClick={() => onRefresh(update)}>{say.refresh}</Button>}
        {onDismiss && <Button look="quiet" onClick={() => onDismiss(update)}>{say.dismiss}</Button>}
      </div>
    </div>
  );
}

export interface LiveUpdateToastsViewProps {
  queue: LiveUpdateQueue;
  onRefresh?: (update: LiveUpdate) => void;
  describe?: (update: LiveUpdate) => ReactNode;
  /** Goes to the notes from anywhere on the page; a KeyboardEvent's `key`. F8; empty: none. */
  hotkey?: string;
  /** Where: in a corner of the window (default), or in the flow of the page. */
  place?: 'corner' | 'inline';
  className?: string;
  labels?: Partial<typeof UPDATE_LABELS>;
}

/** A queue that belongs to the component. Its options are those of the first render. */
export function useLiveUpdates(options?: LiveUpdateOptions): LiveUpdateQueue {
  const [queue] = useState(() => liveUpdates(options));
  return queue;
}

/**
 * The notes of a queue. Their time stands still while the pointer or the focus is on them and while the page is hidden. They are
 * polite: a screen reader says them when it is done with what it says, and the focus stays where it is.
 */
export function LiveUpdateToastsView(props: LiveUpdateToastsViewProps) {
  const { queue, onRefresh, describe, hotkey = 'F8', place = 'corner', className, labels } = props;
  const say = { ...UPDATE_LABELS, ...labels };
  const items = useSyncExternalStore(queue.watch, () => queue.items, () => queue.items);
  const list = useRef<HTMLOListElement>(null);
  const before = useRef<HTMLElement | null>(null);
  useHeld(queue);
  useHotkey(hotkey, items.length > 0, () => {
    before.current = document.activeElement as HTMLElement | null;
    list.current?.querySelector('button')?.focus();
  });
  const dismiss = (update: LiveUpdate): void => {
    // Whoever is here by keyboard goes on to the next note, and after the last one back to where he came from.
    const inside = list.current?.contains(document.activeElement);
    const at = items.findIndex(item => item.key === update.key);
    const next = list.current?.children[at + 1] ?? list.current?.children[at - 1];
    queue.dismiss(update.key);
    if (inside) ((next?.querySelector('button') as HTMLElement | null) ?? before.current)?.focus();
  };
  return (
    <section className={classes('td td-toasts', place === 'corner' && 'td-corner', className)} aria-label={say.region(hotkey)}
      onPointerEnter={() => queue.hold('pointer')} onPointerLeave={() => queue.release('pointer')}
      onFocus={() => queue.hold('focus')} onBlur={() => queue.release('focus')}>
      <ol ref={list} role="list" aria-live="polite" aria-relevant="additions text">
        {items.map(update => (
          <li key={update.key} onKeyDown={event => { if (event.key === 'Escape') dismiss(update); }}>
            <LiveUpdateNotification update={update} describe={describe} labels={labels} onDismiss={dismiss}
              onRefresh={onRefresh && (it => { onRefresh(it); dismiss(it); })} />
          </li>
        ))}
      </ol>
    </section>
  );
}

// Held while the page is hidden, and for good once nobody shows the notes. A pointer or focus that vanished with a note leaves no
// event behind, so nothing is held by them once there is no note.
function useHeld(queue: LiveUpdateQueue): void {
  useEffect(() => {
    const visible = (): void => (document.hidden ? queue.hold('hidden') : queue.release('hidden'));
    const empty = (): void => {
      if (queue.items.length > 0) return;
      queue.release('pointer');
      queue.release('focus');
    };
    visible();
    queue.release('unmounted');
    const stop = queue.watch(empty);
    document.addEventListener('visibilitychange', visible);
    return () => {
      stop();
      document.removeEventListener('visibilitychange', visible);
      queue.hold('unmounted');
    };
  }, [queue]);
}

function useHotkey(hotkey: string, active: boolean, go: () => void): void {
  const latest = useRef(go);
  useEffect(() => { latest.current = go; });
  useEffect(() => {
    if (!active || hotkey === '') return;
    const pressed = (event: KeyboardEvent): void => {
      if (event.key !== hotkey || event.defaultPrevented) return;
      event.preventDefault();
      latest.current();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, [hotkey, active]);
}
