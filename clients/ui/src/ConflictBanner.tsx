// SPDX-License-Identifier: Apache-2.0
// Somebody else changed, or deleted, what the user is editing.
import { useState, type ReactNode } from 'react';
import { MergeDialog } from './MergeDialog.tsx';
import { Button, Icon } from './parts.tsx';
import { classes, count } from './text.ts';

/** none: nothing to tell · other-fields: both changes fit together · same-fields: they do not · deleted: it is gone. */
export type ConflictKind = 'none' | 'other-fields' | 'same-fields' | 'deleted';

/** A field as it was when the edit began, as the user has it, and as it is now on the server. */
export interface ConflictField {
  readonly name: string;
  /** For people; `name` unless given. */
  readonly label?: string;
  readonly base?: unknown;
  readonly mine?: unknown;
  readonly theirs?: unknown;
}

export const CONFLICT_LABELS = {
  somebody: 'Somebody',
  changed: (who: string, what: string) => `${who} changed this while you were editing${what ? `: ${what}` : ''}.`,
  deleted: (who: string) => `${who} deleted this while you were editing.`,
  other: (who: string, what: string) => `${who} changed ${what || 'other fields'}. You did not touch that: both changes are kept when you save.`,
  news: (who: string, what: string) => `${who} changed ${what || 'this'}.`,
  bring: 'Show it here',
  choose: 'Refresh discards your changes. If you continue, saving may overwrite theirs.',
  gone: 'If you continue, saving creates it again.',
  continuing: (who: string) => `You continue with your version: saving may overwrite what ${who} changed.`,
  refresh: 'Refresh',
  leave: 'Discard and leave',
  go: 'Continue editing',
  merge: 'Merge…',
  more: (n: number) => `and ${count(n, 'other field')}`,
  dialog: 'Merge changes',
  intro: (n: number) => `${count(n, 'field')} changed on both sides. Choose what to keep of each.`,
  mine: 'Yours',
  theirs: (who: string) => who,
  base: 'Before',
  empty: '(empty)',
  allMine: 'Keep all of mine',
  allTheirs: 'Keep all of theirs',
  done: 'Use this',
  cancel: 'Cancel',
};

export interface ConflictBannerViewProps {
  conflict: ConflictKind;
  /** Who changed it last. */
  by?: string;
  /** What differs: of same-fields those in conflict, with all three values; of other-fields those that they changed. */
  fields?: readonly ConflictField[];
  /** Whether the user has changed anything himself. true. */
  dirty?: boolean;
  /** Takes their version; when it was deleted: leaves. */
  onRefresh?: () => void;
  /** The user goes on with his own. The banner becomes one line that still says what saving does. */
  onContinue?: () => void;
  /** Given, for each field in conflict, the value chosen; of other-fields none, and both are kept. Without it there is no Merge. */
  onMerge?: (picked: Record<string, unknown>) => void;
  /** Shows a value; strings as they are and all else as JSON, unless given. */
  show?: (value: unknown, field: ConflictField) => ReactNode;
  className?: string;
  labels?: Partial<typeof CONFLICT_LABELS>;
}

/** Says what happened and what each way out costs. Nothing is shown while there is no conflict. */
export function ConflictBannerView(props: ConflictBannerViewProps) {
  const { conflict, by, fields = [], dirty = true, onRefresh, onContinue, onMerge, show, className, labels } = props;
  const say = { ...CONFLICT_LABELS, ...labels };
  const who = by ?? say.somebody;
  // What the user has answered to; another change asks again.
  const asked = JSON.stringify([conflict, by, fields.map(field => [field.name, field.theirs])]);
  const [answered, setAnswered] = useState('');
  const [merging, setMerging] = useState(false);
  if (conflict === 'none') return null;
  const names = fields.slice(0, 3).map(field => field.label ?? field.name).join(', ');
  const what = fields.length > 3 ? `${names} ${say.more(fields.length - 3)}` : names;
  if (conflict === 'other-fields') {
    return (
      <div className={classes('td td-notice td-soft-accent', className)} role="status">
        <Icon name="pen" /><span className="td-grow">{dirty ? say.other(who, what) : say.news(who, what)}</span>
        {onMerge && <Button onClick={() => onMerge({})}>{say.bring}</Button>}
      </div>
    );
  }
  const gone = conflict === 'deleted';
  const quiet = answered === asked;
  const mergeable = onMerge !== undefined && !gone && fields.length > 0;
  return (
    <div className={classes('td td-notice td-conflict td-soft-warn', className)} role={quiet ? 'status' : 'alert'}>
      <Icon name="alert" />
      <div className="td-grow">
        {quiet ? <p>{gone ? say.gone : say.continuing(who)}</p> : (
          <>
            <p className="td-title">{gone ? say.deleted(who) : say.changed(who, what)}</p>
            <p className="td-muted">{gone ? say.gone : say.choose}</p>
          </>
        )}
      </div>
      <div className="td-row td-end">
        {onRefresh && <Button onClick={onRefresh}>{gone ? say.leave : say.refresh}</Button>}
        {!quiet && <Button onClick={() => { setAnswered(asked); onContinue?.(); }}>{say.go}</Button>}
        {mergeable && <Button look="primary" onClick={() => setMerging(true)}>{say.merge}</Button>}
      </div>
      {merging && mergeable && (
        <MergeDialog fields={fields} who={who} say={say} show={show} onClose={() => setMerging(false)}
          onDone={picked => { setMerging(false); onMerge(picked); }} />
      )}
    </div>
  );
}
