// SPDX-License-Identifier: Apache-2.0
import { useState } from 'react';
import { useTokenStream } from '@tidings/react';
import { TokenText } from '@tidings/ui';
import { useAct } from '../../shared/kit/act.tsx';
import { Badge, Button, Card, type Tone } from '../../shared/kit/kit.tsx';
import { Tail } from '../../shared/kit/Tail.tsx';
import { clockTime } from '../say.ts';
import type { EnhanceRequest } from './requests.ts';

const WORDS: Record<string, [string, Tone]> = {
  idle: ['Starting', 'calm'], waiting: ['Waiting', 'calm'], streaming: ['Writing', 'busy'], done: ['Complete', 'good'], cancelled: ['Stopped', 'warn'], error: ['Failed', 'bad'],
};

export function Request({ request, topic, onForget }: { request: EnhanceRequest; topic: string; onForget: () => void }) {
  // Of a request that had ended before the page was loaded its job tells; one that begins now tells of its job.
  const [jobId] = useState(request.job);
  const stream = useTokenStream({ topic, requestId: request.id, jobId });
  const stop = useAct();
  const [copied, setCopied] = useState(false);
  const [word, tone] = WORDS[stream.status]!;
  const copy = () => void navigator.clipboard?.writeText(stream.text).then(() => setCopied(true), () => {});
  return (
    <li>
      <Card className="p-4" aria-label={request.prompt} data-request={request.id} data-status={stream.status}>
        <div className="flex items-start gap-3 mb-2">
          <p className="grow font-medium line-clamp-3">{request.prompt}</p>
          <Badge tone={tone}>{word}</Badge>
        </div>
        <Tail grown={stream.text}><TokenText text={stream.text} status={stream.status === 'idle' ? 'waiting' : stream.status} error={stream.error} label="Enhanced prompt"
          onStop={stream.pending ? () => void stop.run(stream.cancel) : undefined} /></Tail>
        {stop.trouble && <p role="alert" className="text-sm text-bad mt-2">It could not be stopped: {stop.trouble.message}</p>}
        <div className="flex items-center gap-1 mt-3 -mb-1 -ml-2">
          {stream.text && <Button small look="quiet" onClick={copy}>{copied ? 'Copied' : 'Copy'}</Button>}
          {!stream.pending && <Button small look="quiet" onClick={onForget}>Remove</Button>}
          <span className="ml-auto text-[13px] text-faint numbers">{clockTime(request.started)}</span>
        </div>
      </Card>
    </li>
  );
}
