// SPDX-License-Identifier: Apache-2.0
// What happens to the page, where there is one: it sleeps, hides, comes back, loses its network.
import type { Stop } from './types.ts';

type Target = Pick<EventTarget, 'addEventListener' | 'removeEventListener'>;

function listen(target: Target | undefined, types: string[], fn: (type: string) => void): Stop {
  if (!target?.addEventListener) return () => {};
  const listener = (event: Event) => fn(event.type);
  for (const type of types) target.addEventListener(type, listener, { passive: true });
  return () => { for (const type of types) target.removeEventListener(type, listener); };
}

/**
 * check: the connection may be dead without having said so; hide and show: the page is put away, and is there again; used: somebody
 * turns to it.
 */
export type PageEvent = 'check' | 'online' | 'offline' | 'hide' | 'show' | 'used';

export function watchPage(tell: (what: PageEvent) => void): Stop {
  const page = globalThis as unknown as Target, { document } = globalThis;
  // Not every page that was put away is told that it is shown again: it may only become visible, or run on.
  const shown = () => {
    tell('show');
    tell('check');
  };
  const seen = () => {
    if (document?.visibilityState === 'hidden') return;
    tell('used');
    shown();
  };
  const stops = [
    listen(page, ['online', 'offline'], type => tell(type as 'online')),
    listen(page, ['pagehide'], () => tell('hide')),
    listen(page, ['pageshow'], shown),
    listen(page, ['pointerdown', 'keydown'], () => tell('used')),
    listen(page, ['focus'], seen),
    listen(document, ['visibilitychange', 'resume'], seen),
    listen(document, ['resume'], () => tell('show')),
  ];
  return () => { for (const stop of stops) stop(); };
}
