// SPDX-License-Identifier: Apache-2.0
// The workbench: a screen for each system that Tidings was made for.
import { Redirect, Route, Router, Switch } from 'wouter';
import { useHashLocation } from 'wouter/use-hash-location';
import { AgentsIcon, BookIcon, LiveIcon, ReviewIcon, RowsIcon, SparkIcon } from '../shared/kit/icons.tsx';
import { usePerson } from '../shared/session.ts';
import { Shell, type Screen } from '../shared/shell/Shell.tsx';
import { SignIn } from '../shared/shell/SignIn.tsx';

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
  if (!person) return <SignIn what="workbench" />;
  return (
    <Router hook={useHashLocation}>
      <Shell what="workbench" person={person} screens={SCREENS}>
        <Switch>
          <Route path="/"><Redirect to="/enhance" replace /></Route>
        </Switch>
      </Shell>
    </Router>
  );
}
