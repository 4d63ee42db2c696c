// SPDX-License-Identifier: Apache-2.0
// The workbench: a screen for each system that Tidings was made for.
import { useEffect, useState } from 'react';
import { Redirect, Route, Router, Switch, useLocation } from 'wouter';
import { useHashLocation } from 'wouter/use-hash-location';
import { TidingsProvider } from '@tidings/react';
import { ConnectionIndicator } from '@tidings/ui';
import { Desk, DeskContext } from '../shared/desk.ts';
import { DrawerContent, useFaultWarning } from '../shared/drawer/Drawer.tsx';
import { Guard } from '../shared/kit/Guard.tsx';
import { AgentsIcon, BookIcon, LiveIcon, ReviewIcon, RowsIcon, SparkIcon } from '../shared/kit/icons.tsx';
import { Notices } from '../shared/kit/notices.tsx';
import { usePerson, type Person } from '../shared/session.ts';
import { Away } from '../shared/shell/Away.tsx';
import { Shell, type Screen } from '../shared/shell/Shell.tsx';
import { SignIn } from '../shared/shell/SignIn.tsx';
import { Enhance } from './enhance/Enhance.tsx';
import { Generate } from './generate/Generate.tsx';
import { Journal } from './journal/Journal.tsx';
import { JournalWatch } from './journal/watch.tsx';
import { Live } from './live/Live.tsx';
import { Proposals } from './proposals/Proposals.tsx';
import { LiveToasts } from './records/LiveToasts.tsx';
import { Records } from './records/Records.tsx';

const SCREENS: readonly Screen[] = [
  { path: '/enhance', name: 'Enhance', icon: SparkIcon },
  { path: '/proposals', name: 'Proposals', icon: ReviewIcon },
  { path: '/journal', name: 'Journal', icon: BookIcon },
  { path: '/records', name: 'Records', icon: RowsIcon },
  { path: '/generate', name: 'Generate', icon: AgentsIcon },
  { path: '/live', name: 'Live', icon: LiveIcon },
];

export function App() {
  const person = usePerson();
  return person ? <Bench key={person.sub} person={person} /> : <SignIn what="workbench" />;
}

function Bench({ person }: { person: Person }) {
  const [desk] = useState(() => new Desk(person));
  useEffect(() => desk.use(), [desk]);
  return (
    <DeskContext value={desk}>
      <TidingsProvider client={desk.main}>
        <Router hook={useHashLocation}><Inside person={person} /></Router>
      </TidingsProvider>
    </DeskContext>
  );
}

function Inside({ person }: { person: Person }) {
  const warning = useFaultWarning();
  const [path] = useLocation();
  return (
    <Shell what="workbench" person={person} screens={SCREENS} indicator={<ConnectionIndicator />} drawer={{ title: 'Faults and messages', warning, content: <DrawerContent /> }}>
      {!path.startsWith('/enhance') && <Away />}
      <Guard at={path}><Switch>
        <Route path="/enhance"><Enhance /></Route>
        <Route path="/proposals"><Proposals /></Route>
        <Route path="/journal"><Journal /></Route>
        <Route path="/records/:id?"><Records /></Route>
        <Route path="/generate"><Generate /></Route>
        <Route path="/live"><Live /></Route>
        <Route><Redirect to="/enhance" replace /></Route>
      </Switch></Guard>
      <LiveToasts />
      <JournalWatch />
      <Notices />
    </Shell>
  );
}
