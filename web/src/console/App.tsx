// SPDX-License-Identifier: Apache-2.0
// The console: what goes on in a server, for its admins. All that it knows and does goes by the public API.
import { useEffect, useState } from 'react';
import { Redirect, Route, Router, Switch } from 'wouter';
import { useHashLocation } from 'wouter/use-hash-location';
import { createClient } from '@tidings/client';
import { TidingsProvider } from '@tidings/react';
import { ConnectionIndicator } from '@tidings/ui';
import { AgentsIcon, BookIcon, LiveIcon, LockIcon, ReviewIcon, RowsIcon, UserIcon } from '../shared/kit/icons.tsx';
import { Broken, Button } from '../shared/kit/kit.tsx';
import { Notices } from '../shared/kit/notices.tsx';
import { BASE, freshToken, hasPastedToken, signOut, usePerson, type Person } from '../shared/session.ts';
import { Shell, type Screen } from '../shared/shell/Shell.tsx';
import { SignIn } from '../shared/shell/SignIn.tsx';
import { Audit } from './Audit.tsx';
import { Connections } from './Connections.tsx';
import { Jobs } from './Jobs.tsx';
import { Log } from './Log.tsx';
import { Overview } from './Overview.tsx';
import { Topics } from './Topics.tsx';
import { Why } from './Why.tsx';
import { usePolled, type ConnectionsPage } from './data.ts';

const SCREENS: readonly Screen[] = [
  { path: '/overview', name: 'Overview', icon: LiveIcon },
  { path: '/connections', name: 'Readers', icon: UserIcon },
  { path: '/topics', name: 'Topics', icon: RowsIcon },
  { path: '/jobs', name: 'Jobs', icon: AgentsIcon },
  { path: '/log', name: 'Log', icon: BookIcon },
  { path: '/audit', name: 'Audit', icon: ReviewIcon },
  { path: '/why', name: 'Why', icon: LockIcon },
];

export function App() {
  const person = usePerson();
  return person ? <Desk key={person.sub} person={person} /> : <SignIn what="console" />;
}

function Desk({ person }: { person: Person }) {
  const [client] = useState(() => createClient({
    url: BASE,
    token: (why, { signal }) => why === 'rejected' && hasPastedToken() ? null : freshToken(person, fetch, { signal }),
  }));
  useEffect(() => {
    client.open();
    return () => client.close();
  }, [client]);
  return (
    <TidingsProvider client={client}>
      <Router hook={useHashLocation}>
        <Shell what="console" person={person} screens={SCREENS} indicator={<ConnectionIndicator />}>
          <ForAdmins person={person}>
            <Switch>
              <Route path="/overview"><Overview /></Route>
              <Route path="/connections"><Connections /></Route>
              <Route path="/topics"><Topics /></Route>
              <Route path="/jobs/:id?"><Jobs /></Route>
              <Route path="/log"><Log /></Route>
              <Route path="/audit"><Audit /></Route>
              <Route path="/why"><Why /></Route>
              <Route><Redirect to="/overview" replace /></Route>
            </Switch>
          </ForAdmins>
          <Notices />
        </Shell>
      </Router>
    </TidingsProvider>
  );
}

/** The server decides who is an admin; who is none is told so once, instead of on each screen. */
function ForAdmins({ person, children }: { person: Person; children: React.ReactNode }) {
  const { data, trouble } = usePolled<ConnectionsPage>('/api/v1/admin/connections?limit=1');
  if (data) return children;
  if (trouble?.code === 'forbidden')
    return (
      <Broken title="The console is for admins" actions={<Button onClick={signOut}>Be someone else</Button>}>
        {person.name} has not the role <code>admin</code>. A token with it: <code>tidings token --sub NAME --role admin</code>.
      </Broken>
    );
  if (trouble) return <Broken title="The server does not answer">{trouble.message} {trouble.whatToDo}</Broken>;
  return <p className="text-faint" role="status">Asking the server…</p>;
}
