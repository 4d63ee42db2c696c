// SPDX-License-Identifier: Apache-2.0
// Light or dark: what the system says, unless this browser was told otherwise.
import { useSyncExternalStore } from 'react';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'tidings.theme';
const watchers = new Set<() => void>();

function read(): Theme {
  const stored = localStorage.getItem(KEY);
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

function apply() {
  const theme = read();
  const dark = theme === 'dark' || theme === 'system' && matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
}

/** Once, before anything is shown. Goes on with the system, and with what another tab chooses. */
export function startTheme() {
  apply();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
  addEventListener('storage', event => { if (event.key === KEY) { apply(); watchers.forEach(tell => tell()); } });
}

export function setTheme(theme: Theme) {
  if (theme === 'system') localStorage.removeItem(KEY); else localStorage.setItem(KEY, theme);
  apply();
  watchers.forEach(tell => tell());
}

export function useTheme(): Theme {
  return useSyncExternalStore(tell => { watchers.add(tell); return () => { watchers.delete(tell); }; }, read);
}
