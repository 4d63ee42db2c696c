// SPDX-License-Identifier: Apache-2.0
// @tidings/ui: what people see of a live connection.  Bring `@tidings/ui/styles.css` besides.
export { parseAnsi, plainText, type Span, type Style } from './ansi.ts';
export { CONFLICT_LABELS, type ConflictBannerViewProps, type ConflictField, type ConflictKind } from './ConflictBanner.tsx';
export { CONNECTION_LABELS, type ConnectionIndicatorViewProps } from './ConnectionIndicator.tsx';
export { JOB_LABELS, type JobProgressViewProps } from './JobProgress.tsx';
export { LiveUpdateNotification, useLiveUpdates, type LiveUpdateNotificationProps, type LiveUpdateToastsViewProps } from './LiveUpdateToasts.tsx';
export { LOG_LABELS, type LogViewViewProps } from './LogView.tsx';
export { PRESENCE_LABELS, type PresencePerson, type PresenceStackViewProps } from './PresenceStack.tsx';
export { ProgressBar, type ProgressBarProps } from './ProgressBar.tsx';
export { STALE_LABELS, type StaleNoticeViewProps } from './StaleNotice.tsx';
export { TOKEN_LABELS, type TokenTextViewProps } from './TokenText.tsx';
export { liveUpdates, toSonner, UPDATE_LABELS, type LiveUpdate, type LiveUpdateOptions, type LiveUpdateQueue } from './updates.ts';
export { ConflictBanner, ConnectionIndicator, JobProgress, LiveUpdateToasts, LogView, PresenceStack, StaleNotice, TokenText,
  type ConflictBannerProps, type ConnectionIndicatorProps, type JobProgressProps, type LiveUpdateToastsProps, type LogViewProps,
  type PresenceStackProps, type StaleNoticeProps, type TokenTextProps } from './live.tsx';
