// SPDX-License-Identifier: Apache-2.0
import type { ReactNode } from 'react';
import { Button, Icon } from './parts.tsx';
import { classes, count } from './text.ts';

export interface StaleNoticeViewProps {
  /** What is out of date, and why: `3 sheets are newer than this list`. */
  children?: ReactNode;
  /** Loads it again. Without it there is no button. */
  onRefresh?: () => void;
  /** It is being loaded: the button waits. */
  refreshing?: boolean;
  className?: string;
  labels?: Partial<typeof STALE_LABELS>;
}

export const STALE_LABELS = {
  text: 'What you see may be out of date.',
  changed: (n: number) => `${count(n, 'change')} since this was loaded.`,
  refresh: 'Refresh',
  refreshing: 'Refreshing…',
};

/** Says quietly that there is something newer than what is shown, and offers to load it: nothing moves under the reader's cursor. */
export function StaleNoticeView({ children, onRefresh, refreshing = false, className, labels }: StaleNoticeViewProps) {
  const say = { ...STALE_LABELS, ...labels };
  return (
    <div className={classes('td td-notice', className)}>
      <Icon name="clock" />
      <span className="td-grow" role="status">{children ?? say.text}</span>
      {onRefresh && (
        <Button onClick={onRefresh} disabled={refreshing}><Icon name="refresh" />{refreshing ? say.refreshing : say.refresh}</Button>
      )}
    </div>
  );
}
