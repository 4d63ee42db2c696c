// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it, vi } from 'vitest';
import type { EntityChange } from '@tidings/client';
import { liveUpdates, toSonner, UPDATE_LABELS } from '../src/updates.ts';
import { standingClock } from './clock.ts';

const change = (action: EntityChange['action'], id: string, rest: Partial<EntityChange> = {}): EntityChange =>
  ({ action, type: 'sheet', id, time: '2026-11-27T12:00:00.000Z', own: false, ...rest });
const titles = (queue: ReturnType<typeof liveUpdates>) => queue.items.map(UPDATE_LABELS.title);

describe('liveUpdates', () => {
  it('says what happened in the words that people know', () => {
    const queue = liveUpdates({ clock: standingClock(), group: 0 });
    queue.push(change('created', '1'));
    queue.push(change('updated', '2'));
    queue.push(change('deleted', '3'));
    expect(titles(queue)).toEqual(['New item', 'Updated by another user', 'Entity deleted']);
  });

  it('shows a note for ten seconds', () => {
    const clock = standingClock();
    const queue = liveUpdates({ clock });
    const told = vi.fn();
    queue.watch(told);
    queue.push(change('created', '1'));
    clock.turn(9999);
    expect(queue.items).toHaveLength(1);
    clock.turn(1);
    expect(queue.items).toHaveLength(0);
    expect(told).toHaveBeenCalledTimes(2);
    expect(clock.waiting()).toBe(0);
  });

  it('is silent about own changes', () => {
    const queue = liveUpdates({ clock: standingClock() });
    queue.push(change('updated', '1', { own: true }));
    expect(queue.items).toEqual([]);
    const all = liveUpdates({ clock: standingClock(), ignoreOwn: false });
    all.push(change('updated', '1', { own: true }));
    expect(all.items).toHaveLength(1);
  });

  it('has one note for an entity, which begins anew', () => {
    const clock = standingClock();
    const queue = liveUpdates({ clock });
    queue.push(change('updated', '1', { actor: 'ada' }));
    clock.turn(8000);
    queue.push(change('updated', '1', { actor: 'grace' }));
    expect(queue.items).toMatchObject([{ count: 1, actor: 'grace' }]);
    const { key } = queue.items[0]!;
    clock.turn(8000);
    queue.push(change('deleted', '1'));
    expect(queue.items).toMatchObject([{ key, action: 'deleted' }]);
    clock.turn(10_000);
    expect(queue.items).toEqual([]);
  });

  it('leaves new what is new and then updated', () => {
    const queue = liveUpdates({ clock: standingClock() });
    queue.push(change('created', '1'));
    queue.push(change('updated', '1'));
    expect(titles(queue)).toEqual(['New item']);
  });

  it('makes one note of many changes within a second', () => {
    const clock = standingClock();
    const queue = liveUpdates({ clock });
    for (let i = 0; i < 7; i++) {
      queue.push(change('updated', `${i}`, { actor: 'ada' }));
      clock.turn(900);
    }
    expect(titles(queue)).toEqual(['7 updated by other users']);
    expect(queue.items[0]).toMatchObject({ count: 7, actor: 'ada' });
    queue.push(change('updated', '3', { actor: 'ada' }));
    expect(queue.items[0]!.count).toBe(7);
    clock.turn(1100);
    queue.push(change('updated', '99', { actor: 'grace' }));
    expect(queue.items.map(item => item.count)).toEqual([7, 1]);
  });

  it('names no one when several did it', () => {
    const queue = liveUpdates({ clock: standingClock() });
    queue.push(change('created', '1', { actor: 'ada' }));
    queue.push(change('created', '2', { actor: 'grace' }));
    queue.push(change('created', '3', { actor: 'grace' }));
    expect(queue.items[0]!.actor).toBeUndefined();
  });

  it('bounds how many it shows, and how many it knows', () => {
    const clock = standingClock();
    const queue = liveUpdates({ clock, max: 3 });
    for (const action of ['created', 'updated', 'deleted'] as const) for (const type of ['a', 'b']) queue.push(change(action, action, { type }));
    expect(queue.items).toHaveLength(3);
    queue.clear();
    for (let i = 0; i < 3000; i++) queue.push(change('created', `${i}`));
    expect(queue.items).toHaveLength(1);
    expect(queue.items[0]).toMatchObject({ count: 3000 });
    expect(queue.items[0]!.ids).toHaveLength(1000);
  });

  it('stands still while it is held, for each reason', () => {
    const clock = standingClock();
    const queue = liveUpdates({ clock });
    queue.push(change('created', '1'));
    clock.turn(6000);
    queue.hold('pointer');
    queue.hold('hidden');
    expect(clock.waiting()).toBe(0);
    clock.turn(60_000);
    queue.release('pointer');
    clock.turn(60_000);
    expect(queue.items).toHaveLength(1);
    queue.release('hidden');
    clock.turn(3999);
    expect(queue.items).toHaveLength(1);
    clock.turn(1);
    expect(queue.items).toHaveLength(0);
  });

  it('keeps a note for good with a duration of nought', () => {
    const clock = standingClock();
    const queue = liveUpdates({ clock, duration: 0 });
    queue.push(change('created', '1'));
    clock.turn(1e9);
    expect(queue.items).toHaveLength(1);
    queue.dismiss(queue.items[0]!.key);
    expect(queue.items).toHaveLength(0);
  });
});

it('becomes a toast of sonner', () => {
  const queue = liveUpdates({ clock: standingClock() });
  const onRefresh = vi.fn();
  const update = queue.push(change('updated', '7', { actor: 'ada' }))!;
  expect(update).toBe(queue.items[0]);
  expect(queue.push(change('updated', '7', { own: true }))).toBeUndefined();
  const [title, options] = toSonner(update, { onRefresh });
  expect(title).toBe('Updated by another user');
  expect(options).toMatchObject({ id: 'tidings-1', description: 'sheet 7 · ada', duration: 10_000, cancel: { label: 'Dismiss' } });
  options.action!.onClick();
  expect(onRefresh).toHaveBeenCalledWith(queue.items[0]);
});
