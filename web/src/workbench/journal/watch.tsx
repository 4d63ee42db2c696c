// SPDX-License-Identifier: Apache-2.0
// Journals that this tab has started: looked after on every screen, so that their end is told wherever one is then.
import { useSyncExternalStore } from 'react';
import { useJob } from '@tidings/react';
import { notify, notifySystem } from '../../shared/kit/notices.tsx';
import { bytes, plural } from '../say.ts';
import type { JournalResult } from '../schema.ts';

const KEY = 'tidings.journals';
const watchers = new Set<() => void>();
let ids = (sessionStorage.getItem(KEY) ?? '').split(' ').filter(Boolean);

function change(next: string[]) {
  ids = next;
  sessionStorage.setItem(KEY, ids.join(' '));
  watchers.forEach(tell => tell());
}
const subscribe = (tell: () => void) => { watchers.add(tell); return () => { watchers.delete(tell); }; };

export const lookAfter = (id: string) => change([...ids, id]);

export function JournalWatch() {
  return useSyncExternalStore(subscribe, () => ids).map(id => <One key={id} id={id} />);
}

function One({ id }: { id: string }) {
  useJob<JournalResult>(id, {
    onDone: result => {
      change(ids.filter(other => other !== id));
      const title = `“${result?.title ?? 'Journal'}” is written`;
      const body = result && `${plural(result.pages, 'page')}, ${plural(result.words, 'word')}, ${bytes(result.bytes)}`;
      notify({ key: id, tone: 'good', title, body, action: { name: 'Look at it', run: () => { location.hash = '#/journal'; } } });
      notifySystem(title, body ?? '');
    },
    onFail: error => {
      change(ids.filter(other => other !== id));
      if (!error) return; // cancelled: whoever did that knows
      notify({ key: id, tone: 'bad', title: 'The journal failed', body: `${error.message} ${error.suggestedActions[0] ?? ''}` });
      notifySystem('The journal failed', error.message);
    },
  });
  return null;
}
