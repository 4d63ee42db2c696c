// SPDX-License-Identifier: Apache-2.0
import { useLayoutEffect, useRef, type ReactNode } from 'react';

const NEAR = 60; // pixels from the end that still count as there

/** A part that scrolls by itself and stays at its end while `grown` grows, unless somebody reads further up. */
export function Tail({ grown, className = '', children }: { grown: unknown; className?: string; children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  useLayoutEffect(() => { if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight; }, [grown]);
  return (
    <div ref={box} className={`tail max-h-80 overflow-y-auto ${className}`}
      onScroll={event => { const at = event.currentTarget; follows.current = at.scrollHeight - at.scrollTop - at.clientHeight < NEAR; }}>{children}</div>
  );
}
