// SPDX-License-Identifier: Apache-2.0
// Buttons that break things. Whatever they do, nothing that is shown may be lost, doubled or untrue.
import { useState, useSyncExternalStore, type ReactNode } from 'react';
import type { TransportName } from '@tidings/client';
import { useDesk } from '../desk.ts';
import { Button } from '../kit/kit.tsx';

const THROTTLES = [
  { name: 'Off', delay: 0, rate: 0 },
  { name: 'Slow', delay: 300, rate: 20_000 },
  { name: 'Very slow', delay: 1500, rate: 2_000 },
] as const;

const ROUTES: readonly { name: string; transport: TransportName | 'auto'; hint: string }[] = [
  { name: 'Auto', transport: 'auto', hint: 'a WebSocket where one works' },
  { name: 'SSE', transport: 'sse', hint: 'Server-Sent Events' },
  { name: 'Long-poll', transport: 'longpoll', hint: 'requests that wait for something to tell' },
  { name: 'Polling', transport: 'poll', hint: 'a request now and then' },
];

export function Faults() {
  const desk = useDesk();
  const { network } = desk;
  const weather = useSyncExternalStore(network.watch, () => network.weather);
  const [route, setRoute] = useState<TransportName | 'auto'>('auto');
  const [said, setSaid] = useState('');
  const expire = (renew: boolean) => desk.expire(renew).then(
    () => setSaid(renew ? 'Tokens end in 5 s; a new one is asked for before.' : 'Tokens end in 5 s; no new one is given before the server says so.'),
    (error: Error) => setSaid(`No short token: ${error.message}`));
  return (
    <div className="p-4 grid gap-4 border-b border-line shrink-0">
      <Group name="Network">
        <Choice on={weather.dropped} onClick={() => network.set({ dropped: !weather.dropped })}>{weather.dropped ? 'Bring the network back' : 'Drop the network'}</Choice>
        <Choice on={false} onClick={() => { network.kill(); setSaid('Every connection was cut.'); }}>Kill the connection</Choice>
        <Choice on={weather.reads > 0} onClick={() => {
          network.set({ reads: weather.reads > 0 ? 0 : 5 });
          network.kill(); // how a connection is read is decided when it is made
        }}>{weather.reads > 0 ? 'Read as fast as can be' : 'Slow reader'}</Choice>
      </Group>
      <Group name="Throttle">
        {THROTTLES.map(({ name, delay, rate }) => (
          <Choice key={name} on={weather.delay === delay && weather.rate === rate} onClick={() => network.set({ delay, rate })}
            title={rate > 0 ? `${delay} ms under way, ${rate / 1000} KB/s` : 'No throttle'}>{name}</Choice>
        ))}
      </Group>
      <Group name="Transport">
        {ROUTES.map(({ name, transport, hint }) => (
          <Choice key={name} on={route === transport} title={hint} onClick={() => {
            setRoute(transport);
            for (const client of desk.all) client.switchTo(transport);
          }}>{name}</Choice>
        ))}
      </Group>
      <Group name="Token">
        <Choice on={false} onClick={() => void expire(false)}>Expire the token</Choice>
        <Choice on={false} onClick={() => void expire(true)}>Let it be renewed in time</Choice>
      </Group>
      <p role="status" className="text-[13px] text-faint empty:hidden">{said}</p>
    </div>
  );
}

function Group({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div role="group" aria-label={name}>
      <p className="text-[13px] font-medium text-faint mb-1.5">{name}</p>
      <div className="flex flex-wrap gap-1.5">{children}</div>
    </div>
  );
}

function Choice({ on, children, ...rest }: { on: boolean; onClick: () => void; title?: string; children: ReactNode }) {
  return <Button small aria-pressed={on} className="aria-pressed:bg-accent-wash aria-pressed:border-accent aria-pressed:text-accent" {...rest}>{children}</Button>;
}
