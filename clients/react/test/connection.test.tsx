// SPDX-License-Identifier: Apache-2.0
import { StrictMode } from 'react';
import { act, cleanup, render } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import type { ClientOptions } from '@tidings/client';
import { TidingsProvider, useConnection, useTidings, useWebSocket, WebSocketContext, WebSocketProvider } from '../src/index.ts';
import type { WebSocketUse } from '../src/index.ts';
import { FakeClient } from './fake.ts';
import { show } from './setup.tsx';

const made: { fake: FakeClient; options: ClientOptions }[] = [];
vi.mock('@tidings/client', async original => ({
  ...await original<object>(),
  createClient: (options: ClientOptions) => {
    const fake = new FakeClient();
    made.push({ fake, options });
    return fake.client;
  },
}));

afterEach(() => {
  cleanup();
  made.length = 0;
});

test('a client that was given is opened, and not closed', () => {
  const { fake, clock, unmount } = show(null);
  expect(fake.state.phase).toBe('online');
  unmount();
  clock.turn(10_000);
  expect(fake.calls.filter(([call]) => call === 'close')).toEqual([]);
});

test('a client that the provider made is closed a second after it is gone, and StrictMode does not flap', () => {
  const { unmount } = render(<StrictMode><TidingsProvider options={{ url: 'http://x' }} /></StrictMode>);
  const used = made.filter(({ fake }) => fake.calls.length > 0);
  expect(used.length).toBe(1);
  const { fake } = used[0]!;
  fake.clock.turn(10_000);
  expect(fake.state.phase).toBe('online');
  unmount();
  fake.clock.turn(999);
  expect(fake.state.phase).toBe('online');
  fake.clock.turn(1);
  expect(fake.state.phase).toBe('closed');
});

test('with `token` nothing opens before there is one; another is handed over, and null closes', () => {
  function App({ token }: { token: string | null }) {
    return <TidingsProvider options={{ url: 'http://x' }} token={token} />;
  }
  const { rerender } = render(<App token={null} />);
  const { fake, options } = made[0]!;
  const ask = (why = 'first') => (options.token as (why: string) => string | null)(why);
  expect(fake.calls.filter(([call]) => call !== 'close')).toEqual([]);
  expect(ask()).toBe(null);
  rerender(<App token="one" />);
  expect(fake.state.phase).toBe('online');
  expect(ask()).toBe('one');
  expect(() => ask('expiring')).toThrow('give the provider another one');
  fake.calls.length = 0;
  rerender(<App token="two" />);
  expect(fake.calls).toEqual([['reauth', 'two']]);
  rerender(<App token={null} />);
  expect(fake.state.phase).toBe('closed');
  fake.clock.turn(10_000);
  fake.calls.length = 0;
  rerender(<App token="three" />);
  expect(fake.calls).toEqual([['reauth', 'three'], ['open']]);
  expect(ask()).toBe('three');
  fake.clock.turn(10_000);
  expect(fake.state.phase).toBe('online');
});

test('a component renders for what it selected only, also when it selects a new object each time', () => {
  let renders = 0;
  function Phase() {
    renders++;
    const { phase, why } = useConnection(state => ({ phase: state.phase, why: state.reason?.name }));
    return <p>{phase} {why}</p>;
  }
  const { fake, container } = show(<Phase />, new FakeClient(), false);
  expect(container.textContent).toBe('online ');
  const before = renders;
  act(() => fake.become({ rtt: 12 }));
  act(() => fake.become({ rtt: 13, since: 4 }));
  expect(renders).toBe(before);
  act(() => fake.become({ phase: 'waiting', reason: { code: 0, name: 'network', message: '', whatToDo: '', retry: true } }));
  expect(container.textContent).toBe('waiting network');
  expect(renders).toBe(before + 1);
});

test('a selector that closes over props is asked anew when they change', () => {
  function Shows({ what }: { what: 'phase' | 'status' }) {
    return <p>{useConnection(state => state[what])}</p>;
  }
  const { container, again } = show(<Shows what="phase" />);
  expect(container.textContent).toBe('online');
  again(<Shows what="status" />);
  expect(container.textContent).toBe('connected');
});

test('useWebSocket', async () => {
  let use!: WebSocketUse;
  function Shows() {
    use = useWebSocket();
    return <p>{use.status} {use.lastError?.message}</p>;
  }
  const { fake, container } = show(<Shows />);
  expect(container.textContent).toBe('connected ');
  const first = use;
  act(() => fake.become({ rtt: 5 }));
  expect(use).toBe(first);
  await use.send({ type: 'cancel', job_id: 'j1' });
  expect(fake.calls.at(-1)).toEqual(['command', 'cancel', { job_id: 'j1' }]);
  const reason = { code: 4001, name: 'token_expired', message: 'It is over.', whatToDo: 'Sign in.', retry: false };
  act(() => fake.become({ phase: 'failed', status: 'error', reason }));
  expect(container.textContent).toBe('error It is over.');
  use.reconnect();
  expect(fake.calls.at(-1)).toEqual(['reauth', undefined]);
  act(() => fake.become({ phase: 'waiting', status: 'disconnected', reason: { ...reason, code: 0 } }));
  act(() => use.reconnect());
  expect(fake.calls.at(-1)).toEqual(['switchTo', 'auto']);
  act(() => fake.become({ phase: 'closed', reason: undefined }));
  act(() => use.reconnect());
  expect(fake.calls.at(-1)).toEqual(['open']);
});

test('the names that people search for are the same things', () => {
  const fake = new FakeClient();
  function Shows() {
    const client = useTidings();
    return <WebSocketContext.Consumer>{value => String(value === client && client === fake.client)}</WebSocketContext.Consumer>;
  }
  expect(render(<WebSocketProvider client={fake.client}><Shows /></WebSocketProvider>).container.textContent).toBe('true');
});

test('a hook without a provider says what is missing', () => {
  const quiet = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  function Lost() {
    useTidings();
    return null;
  }
  expect(() => render(<Lost />)).toThrow('There is no <TidingsProvider> above');
  expect(() => render(<TidingsProvider />)).toThrow('needs `client` or `options`');
  quiet.mockRestore();
});
