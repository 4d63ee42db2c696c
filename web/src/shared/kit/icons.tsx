// SPDX-License-Identifier: Apache-2.0
// Drawn for this: 20 × 20, one stroke, the colour of the text around them. They say nothing to a screen reader; the text does.
import type { ReactNode } from 'react';

function Icon({ children, className = 'size-5' }: { children: ReactNode; className?: string }) {
  return (
    <svg viewBox="0 0 20 20" className={`${className} shrink-0`} fill="none" stroke="currentColor" strokeWidth="1.6"
      strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" focusable="false">{children}</svg>
  );
}

type Props = { className?: string };
export const SparkIcon = (p: Props) => <Icon {...p}><path d="M10 3v3M10 14v3M3 10h3M14 10h3M5.5 5.5l1.6 1.6M12.9 12.9l1.6 1.6M14.5 5.5l-1.6 1.6M7.1 12.9l-1.6 1.6" /></Icon>;
export const ReviewIcon = (p: Props) => <Icon {...p}><path d="M4 4h12v9H9l-3.5 3V13H4zM7 7.5h6M7 10h4" /></Icon>;
export const BookIcon = (p: Props) => <Icon {...p}><path d="M4 4.5C6 3.6 8.3 3.7 10 5c1.7-1.3 4-1.4 6-.5V15c-2-.8-4.3-.7-6 .6-1.7-1.3-4-1.4-6-.6zM10 5v10.4" /></Icon>;
export const RowsIcon = (p: Props) => <Icon {...p}><path d="M3.5 4.5h13v11h-13zM3.5 8.2h13M3.5 11.9h13M8 8.2v7.3" /></Icon>;
export const AgentsIcon = (p: Props) => <Icon {...p}><path d="M10 3l6 3.3v6.8L10 16.5l-6-3.4V6.3zM4.2 6.5L10 9.7l5.8-3.2M10 9.7v6.6" /></Icon>;
export const LiveIcon = (p: Props) => <Icon {...p}><path d="M3 10h3l2-5 4 10 2-5h3" /></Icon>;
export const ToolIcon = (p: Props) => <Icon {...p}><path d="M10 3.2l7 12.3H3zM10 8v3.5M10 13.5v.1" /></Icon>;
export const CloseIcon = (p: Props) => <Icon {...p}><path d="M5 5l10 10M15 5L5 15" /></Icon>;
export const SunIcon = (p: Props) => <Icon {...p}><circle cx="10" cy="10" r="3.2" /><path d="M10 2.8v1.6M10 15.6v1.6M2.8 10h1.6M15.6 10h1.6M4.9 4.9L6 6M14 14l1.1 1.1M15.1 4.9L14 6M6 14l-1.1 1.1" /></Icon>;
export const MoonIcon = (p: Props) => <Icon {...p}><path d="M16 11.6A6.4 6.4 0 018.4 4 6.4 6.4 0 1016 11.6z" /></Icon>;
export const HalfIcon = (p: Props) => <Icon {...p}><circle cx="10" cy="10" r="6.5" /><path d="M10 3.5v13M10 6h4.4M10 10h6.4M10 14h4.4" /></Icon>;
export const LockIcon = (p: Props) => <Icon {...p}><path d="M5 9h10v7H5zM7 9V7a3 3 0 016 0v2" /></Icon>;
export const PlusIcon = (p: Props) => <Icon {...p}><path d="M10 4v12M4 10h12" /></Icon>;
export const CheckIcon = (p: Props) => <Icon {...p}><path d="M4 10.5l4 4 8-9" /></Icon>;
export const CrossIcon = CloseIcon;
export const WaitIcon = (p: Props) => <Icon {...p}><circle cx="10" cy="10" r="6.5" /><path d="M10 6.3V10l2.6 1.8" /></Icon>;
export const StopIcon = (p: Props) => <Icon {...p}><rect x="5.5" y="5.5" width="9" height="9" rx="1.5" /></Icon>;
export const BellIcon = (p: Props) => <Icon {...p}><path d="M5 14h10l-1.2-2V9a3.8 3.8 0 00-7.6 0v3zM8.6 16.5h2.8" /></Icon>;
export const BackIcon = (p: Props) => <Icon {...p}><path d="M12 4.5L6.5 10l5.5 5.5" /></Icon>;
export const UserIcon = (p: Props) => <Icon {...p}><circle cx="10" cy="7" r="3" /><path d="M4 16.5c.6-3 3-4.7 6-4.7s5.4 1.7 6 4.7" /></Icon>;
