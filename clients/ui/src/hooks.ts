// SPDX-License-Identifier: Apache-2.0
// The few hooks that the components share.
import { useEffect, useRef, useState } from 'react';

/** Renders again every `ms` while `active`, for what shows passing time. */
export function useTick(active: boolean, ms = 1000): void {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!active) return;
    const timer = setInterval(() => tick(n => n + 1), ms);
    return () => clearInterval(timer);
  }, [active, ms]);
}

/**
 * What a live region should say: `text`, once it has stood for `delay` ms. What was there at the first render is no news, and what
 * comes and goes in between is not spoken.
 */
export function useSpoken(text: string, delay = 800): string {
  const [spoken, setSpoken] = useState('');
  const first = useRef(text);
  useEffect(() => {
    if (spoken === '' && text === first.current) return;
    const timer = setTimeout(() => setSpoken(text), delay);
    return () => clearTimeout(timer);
  }, [text, delay, spoken]);
  return spoken;
}
