// SPDX-License-Identifier: Apache-2.0
// Every component in every state, with plain props and no server.  `?theme=dark`, `?open` shows details open, `?show=merge` the dialog.
import { StrictMode, useEffect, useState, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { ConflictBanner, ConnectionIndicator, JobProgress, LiveUpdateNotification, LiveUpdateToasts, LogView, PresenceStack, ProgressBar,
  StaleNotice, TokenText, useLiveUpdates } from '../src/index.ts';
import { answer, changes, connections, fields, jobs, log, now, people } from './samples.ts';
import { Bench } from './bench.tsx';

const query = new URLSearchParams(location.search);
if (query.has('theme')) document.documentElement.dataset['theme'] = query.get('theme')!;
const nothing = (): void => {};

function Case({ name, open = false, children }: { name: string; open?: boolean; children: ReactNode }) {
  return <div className={open ? 'open' : undefined} data-case={name}><h3>{name}</h3>{children}</div>;
}

function Group({ name, wide = false, children }: { name: string; wide?: boolean; children: ReactNode }) {
  return <section id={name}><h2>{name}</h2><div className={wide ? 'wide' : 'grid'}>{children}</div></section>;
}

function Connections() {
  return (
    <Group name="ConnectionIndicator">
      {Object.entries(connections).map(([name, state]) => (
        <Case key={name} name={name} open={query.has('open')}>
          <ConnectionIndicator state={state} now={now} onRetry={nothing} /> <ConnectionIndicator look="icon" state={state} now={now} onRetry={nothing} />
        </Case>
      ))}
    </Group>
  );
}

function Jobs() {
  return (
    <Group name="JobProgress">
      {Object.entries(jobs).map(([name, state]) => (
        <Case key={name} name={name}>
          <JobProgress state={state} title={name === 'long words' ? undefined : 'Quarterly report'} onCancel={nothing} onRetry={nothing}>
            {result => <>Report with {(result as { pages: number }).pages} pages is ready. <a href="#report">Open it</a></>}
          </JobProgress>
        </Case>
      ))}
      <Case name="ProgressBar"><div className="wide">
        <ProgressBar label="known" value={30} /><ProgressBar label="unknown" /><ProgressBar label="good" value={100} tone="good" />
        <ProgressBar label="bad" value={60} tone="bad" /><ProgressBar label="still" value={15} tone="still" />
      </div></Case>
    </Group>
  );
}

function Logs() {
  return (
    <Group name="LogView" wide>
      <Case name="wrapped, with times"><LogView lines={log} times height={520} label="Output of report" /></Case>
      <Case name="not wrapped, some dropped"><LogView lines={log.slice(4)} dropped={1200} wrap={false} height={200}> · running</LogView></Case>
      <Case name="empty"><LogView lines={[]} height={80} /></Case>
    </Group>
  );
}

function Texts() {
  const error = { code: 'upstream_ended', message: 'The model broke off.', suggestedActions: ['Ask again.'] };
  return (
    <Group name="TokenText">
      <Case name="waiting"><div className="sheet"><TokenText text="" status="waiting" onStop={nothing} /></div></Case>
      <Case name="streaming"><div className="sheet"><TokenText text={answer} status="streaming" onStop={nothing} /></div></Case>
      <Case name="done"><div className="sheet"><TokenText text={answer + '.'} status="done" /></div></Case>
      <Case name="cancelled"><div className="sheet"><TokenText text={answer.slice(0, 90)} status="cancelled" /></div></Case>
      <Case name="error"><div className="sheet"><TokenText text={answer.slice(0, 120)} status="error" error={error} /></div></Case>
    </Group>
  );
}

function Updates() {
  const many = (action: 'created' | 'updated' | 'deleted', n: number) => ({ key: 'm', action, type: 'sheet', count: n, change: changes[action],
    ids: [...Array(n).keys()].map(i => `Sheet ${i + 1}`), actor: 'ada' });
  return (
    <Group name="LiveUpdateNotification">
      {(['created', 'updated', 'deleted'] as const).map(action => (
        <Case key={action} name={action}>
          <LiveUpdateNotification onRefresh={action === 'deleted' ? undefined : nothing} onDismiss={nothing}
            update={{ key: action, action, type: 'sheet', ids: [changes[action].id], count: 1, actor: changes[action].actor, change: changes[action] }} />
        </Case>
      ))}
      <Case name="grouped"><LiveUpdateNotification update={many('updated', 7)} onRefresh={nothing} onDismiss={nothing} /></Case>
    </Group>
  );
}

function Notices() {
  const props = { onRefresh: nothing, onContinue: nothing, onMerge: nothing, by: 'Grace Hopper' };
  return (
    <>
      <Group name="ConflictBanner" wide>
        <Case name="same-fields"><ConflictBanner conflict="same-fields" fields={fields} {...props} /></Case>
        <Case name="other-fields"><ConflictBanner conflict="other-fields" fields={fields.slice(0, 1)} {...props} /></Case>
        <Case name="deleted"><ConflictBanner conflict="deleted" {...props} /></Case>
      </Group>
      <Group name="StaleNotice">
        <Case name="plain"><StaleNotice onRefresh={nothing} /></Case>
        <Case name="said"><StaleNotice onRefresh={nothing}>3 sheets are newer than this list.</StaleNotice></Case>
        <Case name="refreshing"><StaleNotice onRefresh={nothing} refreshing /></Case>
        <Case name="no button"><StaleNotice>Shown as of 12:04, while you were offline.</StaleNotice></Case>
      </Group>
      <Group name="PresenceStack">
        <Case name="three"><PresenceStack users={people.slice(0, 3)} /></Case>
        <Case name="many, self"><PresenceStack users={people} self="ada@example.org" /></Case>
        <Case name="small"><PresenceStack users={people.slice(2, 8)} size="small" /></Case>
        <Case name="all"><PresenceStack users={people} max={20} /></Case>
        <Case name="nobody"><PresenceStack users={[]} /></Case>
      </Group>
    </>
  );
}

function Toasts() {
  const queue = useLiveUpdates({ duration: query.has('still') ? 0 : 10_000 });
  useEffect(() => {
    if (!query.has('toasts')) return;
    queue.push(changes.created);
    queue.push(changes.updated);
    queue.push(changes.deleted);
  }, [queue]);
  return <LiveUpdateToasts queue={queue} onRefresh={nothing} />;
}

function Gallery() {
  const [theme, setTheme] = useState(query.get('theme') ?? 'system');
  const choose = (next: string): void => {
    setTheme(next);
    if (next === 'system') delete document.documentElement.dataset['theme']; else document.documentElement.dataset['theme'] = next;
  };
  return (
    <main>
      <header className="bar">
        <h1>@tidings/ui</h1>
        <label>Theme <select value={theme} onChange={event => choose(event.target.value)}>
          {['system', 'light', 'dark'].map(name => <option key={name}>{name}</option>)}
        </select></label>
      </header>
      <Connections /><Jobs /><Logs /><Texts /><Updates /><Notices /><Toasts />
    </main>
  );
}

createRoot(document.getElementById('root')!).render(<StrictMode>{query.has('bench') ? <Bench /> : <Gallery />}</StrictMode>);
