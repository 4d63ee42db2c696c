// SPDX-License-Identifier: Apache-2.0
// A text that grows, shown once a frame.
import { useCallback, useMemo } from 'react';
import { tokenStream } from '@tidings/client/streams';
import type { Client, TokenStream } from '@tidings/client';
import { useTidings } from './context.ts';
import { pacer } from './pace.ts';
import type { Pace } from './pace.ts';
import { constant, useSource } from './select.ts';
import type { Source } from './select.ts';
import { hold, peek } from './share.ts';

/** Which text: the topic it is told on; `key`, `jobId` or `requestId` where several are told there. */
export interface StreamSource { topic: string; key?: string; jobId?: string; requestId?: string }

export interface TokenText {
  readonly text: string;
  /** idle: none was asked for. */
  readonly status: TokenStream['status'] | 'idle';
  readonly error?: TokenStream['error'];
  readonly usage?: TokenStream['usage'];
}

export interface TokenStreamUse extends TokenText {
  /** More is to come. */
  readonly pending: boolean;
  cancel(): Promise<void>;
}

const IDLE: TokenText = { text: '', status: 'idle' };
const WAITING: TokenText = { text: '', status: 'waiting' };

const textOf = ({ text, status, error, usage }: TokenStream): TokenText => ({ text, status, error, usage });
const moving = (status: TokenText['status']) => status === 'waiting' || status === 'streaming';

function textSource(client: Client, key: string, source: StreamSource, every: Pace): Source<TokenText> {
  let shown = WAITING;
  return {
    get: () => shown,
    idle: () => WAITING,
    subscribe(notify) {
      const { value: stream, release } = hold(client, key, () => tokenStream(client, source));
      const pace = pacer(client.clock, every, () => {
        shown = textOf(stream);
        notify();
      });
      const stop = stream.watch(() => moving(stream.status) ? pace.ask() : pace.flush());
      shown = textOf(stream);
      return () => {
        pace.stop();
        stop();
        release();
      };
    },
  };
}

const none = constant(IDLE);

/**
 * The text so far. However fast it comes, it is shown once a frame (`every`: milliseconds instead), in a hidden page every 50 ms, and
 * whole as soon as it ends.
 */
export function useTokenStream(source: StreamSource | null, options: { every?: Pace } = {}): TokenStreamUse {
  const client = useTidings();
  const { every = 'frame' } = options;
  const key = source && 'stream:' + JSON.stringify([source.topic, source.key, source.jobId, source.requestId]);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the key stands for the source
  const texts = useMemo(() => key === null ? none : textSource(client, key, source!, every), [client, key, every]);
  const shown = useSource(texts);
  const cancel = useCallback(async () => {
    if (key !== null) await peek<TokenStream>(client, key)?.cancel();
  }, [client, key]);
  return useMemo(() => ({ ...shown, pending: moving(shown.status), cancel }), [shown, cancel]);
}
