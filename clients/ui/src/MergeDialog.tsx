// SPDX-License-Identifier: Apache-2.0
// Field by field: theirs or mine, with what it was before.
import { useEffect, useId, useRef, useState, type ReactNode } from 'react';
import type { CONFLICT_LABELS, ConflictField } from './ConflictBanner.tsx';
import { Button } from './parts.tsx';
import { show as plain } from './text.ts';

export interface MergeDialogProps {
  fields: readonly ConflictField[];
  who: string;
  say: typeof CONFLICT_LABELS;
  show?: (value: unknown, field: ConflictField) => ReactNode;
  onDone: (picked: Record<string, unknown>) => void;
  onClose: () => void;
}

type Side = 'mine' | 'theirs';

/** A modal dialog; the platform's, so that focus stays in it, Escape closes it, and what lies behind is inert. */
export function MergeDialog({ fields, who, say, show, onDone, onClose }: MergeDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Mine unless said: nothing that the user wrote is lost by not reading.
  const [sides, setSides] = useState<Record<string, Side>>({});
  const sideOf = (field: ConflictField): Side => sides[field.name] ?? 'mine';
  const all = (side: Side): void => setSides(Object.fromEntries(fields.map(field => [field.name, side])));
  useEffect(() => {
    const element = dialog.current!;
    const before = document.activeElement as HTMLElement | null;
    // Where tests of a page run there may be no such thing as a modal dialog; then it is just open.
    if (element.showModal) element.showModal(); else element.open = true;
    return () => {
      element.close?.();
      before?.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} className="td td-dialog" aria-labelledby={id} onCancel={event => { event.preventDefault(); onClose(); }}>
      <form onSubmit={event => { event.preventDefault(); onDone(Object.fromEntries(fields.map(field => [field.name, field[sideOf(field)]]))); }}>
        <header>
          <h2 id={id}>{say.dialog}</h2>
          <p className="td-muted">{say.intro(fields.length)}</p>
          <div className="td-row">
            <Button onClick={() => all('mine')}>{say.allMine}</Button>
            <Button onClick={() => all('theirs')}>{say.allTheirs}</Button>
          </div>
        </header>
        <div className="td-fields">
          {fields.map(field => (
            <fieldset key={field.name}>
              <legend>{field.label ?? field.name}</legend>
              {(['mine', 'theirs'] as const).map(side => (
                <label key={side} className="td-choice">
                  <input type="radio" name={`${id}${field.name}`} checked={sideOf(field) === side}
                    onChange={() => setSides({ ...sides, [field.name]: side })} />
                  <span className="td-choice-name">{side === 'mine' ? say.mine : say.theirs(who)}</span>
                  <Value value={field[side]} field={field} show={show} empty={say.empty} />
                </label>
              ))}
              <div className="td-choice td-before">
                <span className="td-choice-name">{say.base}</span>
                <Value value={field.base} field={field} show={show} empty={say.empty} />
              </div>
            </fieldset>
          ))}
        </div>
        <footer className="td-row td-end">
          <Button onClick={onClose}>{say.cancel}</Button>
          <Button type="submit" look="primary">{say.done}</Button>
        </footer>
      </form>
    </dialog>
  );
}

function Value({ value, field, show, empty }: { value: unknown; field: ConflictField; show: MergeDialogProps['show']; empty: string }) {
  const shown = show ? show(value, field) : plain(value);
  return <span className="td-value">{shown === '' ? <i className="td-muted">{empty}</i> : shown}</span>;
}
