// SPDX-License-Identifier: Apache-2.0
// What is shown may be out of date: said on the page itself, not only by the sign in the header.
import { useEffect, useState } from 'react';
import { useConnection, useTidings } from '@tidings/react';
import { StaleNotice } from '@tidings/ui';
import { Broken, Button } from '../kit/kit.tsx';

const BRIEF_MS = 1000; // what is over sooner disturbs nobody

export function Away() {
  const client = useTidings();
  const { phase, reason } = useConnection(({ phase, reason }) => ({ phase, reason }));
  const [since, setSince] = useState<string>();
  const away = phase === 'waiting' || phase === 'offline' || phase === 'failed';
  const well = phase === 'online' || phase === 'polling';
  useEffect(() => {
    if (well) setSince(undefined);
    if (!away) return;
    const { lastSeen = client.clock.now() } = client.state;
    const heard = new Date(Date.now() - (client.clock.now() - lastSeen)).toLocaleTimeString([], { hour12: false });
    const timer = setTimeout(() => setSince(before => before ?? heard), BRIEF_MS);
    return () => clearTimeout(timer);
  }, [client, away, well]);
  if (phase === 'failed') {
    return (
      <div className="mb-4">
        <Broken title="The connection has ended" actions={<Button onClick={() => void client.reauth().catch(() => {})}>Connect again</Button>}>{reason?.message} {reason?.whatToDo}</Broken>
      </div>
    );
  }
  if (since === undefined || well) return null;
  return <div className="mb-4"><StaleNotice>Not connected: you see what there was at {since}. What is missed comes when the connection is back.</StaleNotice></div>;
}
