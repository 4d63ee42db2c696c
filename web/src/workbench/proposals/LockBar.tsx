// SPDX-License-Identifier: Apache-2.0
// Who has the project for himself.
import { useLock } from '@tidings/react';
import { useAct } from '../../shared/kit/act.tsx';
import { LockIcon } from '../../shared/kit/icons.tsx';
import { Button } from '../../shared/kit/kit.tsx';

export function LockBar({ project }: { project: string }) {
  const lock = useLock(`projects/${project}`);
  const act = useAct();
  const held = lock.holder !== undefined;
  const say = lock.mine ? 'You have locked the project; it stays locked while this page is open.' : held ? `${lock.holder} has locked the project.` : 'The project is not locked.';
  return (
    <div data-lock={lock.mine ? 'mine' : held ? 'theirs' : 'free'}
      className={`flex flex-wrap items-center gap-x-3 gap-y-1.5 rounded-xl border px-3.5 py-2 mb-4 text-sm ${held && !lock.mine ? 'bg-warn-wash border-warn/30 text-warn' : 'border-line text-soft'}`}>
      <LockIcon className="size-4.5" />
      <span className="grow" role="status">{act.trouble ? `Not done: ${act.trouble.message}` : say}</span>
      {lock.mine ? <Button small disabled={act.pending} onClick={() => void act.run(() => lock.release())}>Unlock</Button>
        : !held && <Button small disabled={act.pending} onClick={() => void act.run(() => lock.acquire())}>Lock it</Button>}
    </div>
  );
}
