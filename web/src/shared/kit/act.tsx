// SPDX-License-Identifier: Apache-2.0
// Something that a person does and that may fail: while it is under way, and what to say when it did not work.
import { useCallback, useState } from 'react';
import type { TidingsErrorShape } from '@tidings/client';
import { Broken } from './kit.tsx';

export interface Trouble { readonly message: string; readonly whatToDo?: string; readonly code?: string; readonly problem?: Record<string, unknown> }

export const troubleOf = (cause: unknown): Trouble => {
  const { message, whatToDo, code, problem } = cause as TidingsErrorShape;
  return { message: message ?? String(cause), whatToDo, code, problem };
};

/** `run` resolves with whether it worked; the same thing is not begun again while it is under way. */
export function useAct() {
  const [pending, setPending] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  const run = useCallback(async (act: () => Promise<unknown>): Promise<boolean> => {
    setPending(true);
    setTrouble(undefined);
    try {
      await act();
      return true;
    } catch (cause) {
      setTrouble(troubleOf(cause));
      return false;
    } finally {
      setPending(false);
    }
  }, []);
  return { run, pending, trouble, forget: useCallback(() => setTrouble(undefined), []) };
}

export function TroubleNote({ title, trouble }: { title: string; trouble: Trouble | undefined }) {
  return trouble ? <Broken title={title}>{trouble.message} {trouble.whatToDo}</Broken> : null;
}
