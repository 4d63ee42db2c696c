// SPDX-License-Identifier: Apache-2.0
import { Hidden } from './parts.tsx';
import { bucket, classes, initials } from './text.ts';

export interface PresencePerson {
  /** Who it is; the colour is chosen by it. */
  readonly user: string;
  /** As shown; `user` unless given. */
  readonly name?: string;
  /** An image of them. */
  readonly image?: string;
  /** Away or reading only: shown paler, and said. */
  readonly idle?: boolean;
}

export interface PresenceStackViewProps {
  users: readonly PresencePerson[];
  /** So many avatars at most; the others are counted. 5. */
  max?: number;
  /** The subject of who looks: shown last, as `You`. */
  self?: string;
  size?: 'small' | 'medium';
  className?: string;
  labels?: Partial<typeof PRESENCE_LABELS>;
}

export const PRESENCE_LABELS = {
  list: 'Here now',
  nobody: 'Nobody else is here',
  you: 'You',
  idle: (name: string) => `${name} (idle)`,
  more: (names: readonly string[]) => `and ${names.length} more: ${names.slice(0, 20).join(', ')}${names.length > 20 ? ' …' : ''}`,
};

/** Who else is here: a row of avatars. A screen reader hears a list of names. */
export function PresenceStackView({ users, max = 5, self, size = 'medium', className, labels }: PresenceStackViewProps) {
  const say = { ...PRESENCE_LABELS, ...labels };
  const sorted = self === undefined ? users : [...users.filter(one => one.user !== self), ...users.filter(one => one.user === self)];
  // A circle that says "+1" takes as much room as the one whom it hides.
  const shown = sorted.length <= max + 1 ? sorted : sorted.slice(0, max);
  const rest = sorted.slice(shown.length).map(one => one.name ?? one.user);
  if (sorted.length === 0) return <span className={classes('td td-muted', className)}>{say.nobody}</span>;
  return (
    <ul className={classes('td td-people', size === 'small' && 'td-small', className)} aria-label={say.list}>
      {shown.map(one => {
        const name = one.user === self ? say.you : one.name ?? one.user;
        const full = one.idle ? say.idle(name) : name;
        return (
          <li key={one.user} title={full} className={classes('td-face', `td-hue-${bucket(one.user, 8)}`, one.idle && 'td-idle')}>
            {one.image ? <img src={one.image} alt="" /> : <span aria-hidden="true">{initials(one.name ?? one.user)}</span>}
            <Hidden>{full}</Hidden>
          </li>
        );
      })}
      {rest.length > 0 && (
        <li className="td-face td-rest" title={rest.slice(0, 20).join(', ')}>
          <span aria-hidden="true">+{rest.length}</span>
          <Hidden>{say.more(rest)}</Hidden>
        </li>
      )}
    </ul>
  );
}
