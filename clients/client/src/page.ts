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

const here = () => [globalThis as unknown as Target, globalThis.document as Target | undefined] as const;

const isVisible = () => globalThis.document?.visibilityState !== 'hidden';

/** `check`: the connection may be dead without having said so; hide and show: the page is put away, and is there again. */
export function watchPage(tell: (what: 'check' | 'online' | 'offline' | 'hide' | 'show') => void): Stop {
  const [page, document] = here();
  const stops = [
    listen(page, ['online', 'offline'], type => tell(type as 'online')),
    listen(page, ['pagehide'], () => tell('hide')),
    listen(page, ['pageshow'], () => { tell('show'); tell('check'); }),
    listen(page, ['focus'], () => tell('check')),
    listen(document, ['visibilitychange', 'resume'], () => { if (isVisible()) tell('check'); }),
  ];
  return () => { for (const stop of stops) stop(); };
}

/** Calls `fn` once, when somebody turns to the page again. */
export function usedAgain(fn: () => void): Stop {
  const [page, document] = here();
  const once = () => {
    stop();
    fn();
  };
  const stops = [
    listen(page, ['focus', 'pointerdown', 'keydown'], once),
    listen(document, ['visibilitychange'], () => { if (isVisible()) once(); }),
  ];
  const stop = () => { for (const one of stops) one(); };
  return stop;
}
