// SPDX-License-Identifier: Apache-2.0
// @tidings/ui: what people see of a live connection.  Bring `@tidings/ui/styles.css` besides.
export { parseAnsi, plainText, type Span, type Style } from './ansi.ts';
export { ConflictBannerView as ConflictBanner, type ConflictBannerViewProps, type ConflictField, type ConflictKind } from './ConflictBanner.tsx';
export { ConnectionIndicatorView as ConnectionIndicator, type ConnectionIndicatorViewProps } from './ConnectionIndicator.tsx';
export { JobProgressView as JobProgress, type JobProgressViewProps } from './JobProgress.tsx';
export { LiveUpdateNotification, LiveUpdateToastsView as LiveUpdateToasts, useLiveUpdates, type LiveUpdateNotificationProps,
  type LiveUpdateToastsViewProps } from './LiveUpdateToasts.tsx';
export { LogViewView as LogView, type LogViewProps } from './LogView.tsx';
export { PresenceStack, type PresencePerson, type PresenceStackProps } from './PresenceStack.tsx';
export { ProgressBar, type ProgressBarProps } from './ProgressBar.tsx';
export { StaleNotice, type StaleNoticeProps } from './StaleNotice.tsx';
export { TokenTextView as TokenText, type TokenTextViewProps } from './TokenText.tsx';
export { liveUpdates, toSonner, type LiveUpdate, type LiveUpdateOptions, type LiveUpdateQueue } from './updates.ts';
