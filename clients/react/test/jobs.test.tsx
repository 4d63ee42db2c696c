// SPDX-License-Identifier: Apache-2.0
import { useState } from 'react';
import { act, cleanup } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { useJob, useLog, useStartJob, useTokenStream } from '../src/index.ts';
import type { JobUse, LogUse, StartJobUse, StreamSource, TokenStreamUse } from '../src/index.ts';
import { FakeClient, FakeJob, FakeStream } from './fake.ts';
import { show } from './setup.tsx';
import type { TestSchema } from './schema.ts';

const jobs: FakeJob[] = [];
const streams: FakeStream[] = [];
const starts: unknown[][] = [];
let refuse: object | undefined;

function makeJob(id: string) {
  jobs.push(new FakeJob(id));
  return jobs.at(-1)!.job;
}

vi.mock('@tidings/client/jobs', async original => ({
  ...await original<object>(),
  job: (_: unknown, id: string) => makeJob(id),
  startJob: async (_: unknown, ...given: unknown[]) => {
    starts.push(given);
    if (refuse) throw refuse;
    return makeJob(`started.${starts.length}`);
  },
}));
vi.mock('@tidings/client/streams', () => ({
  tokenStream: () => {
    streams.push(new FakeStream({}));
    return streams.at(-1);
  },
}));

beforeEach(() => {
  // Frames are the test's to give; where there are none the clock commits.
  frames.length = 0;
  vi.stubGlobal('requestAnimationFrame', (fn: () => void) => frames.push(fn));
  vi.stubGlobal('cancelAnimationFrame', (frame: number) => void (frames[frame - 1] = undefined));
});
const frames: ((() => void) | undefined)[] = [];
const frame = () => act(() => { for (const fn of frames.splice(0)) fn?.(); });

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  jobs.length = streams.length = starts.length = 0;
  refuse = undefined;
});

test('components that show the same job share it, and it is closed a second behind the last', () => {
  function Bar({ id }: { id: string | null }) {
    const { status, progress, active } = useJob(id);
    return <p>{status ?? '?'} {progress} {String(active)} </p>;
  }
  const { clock, container, again, unmount } = show(<><Bar id="j1" /><Bar id="j1" /><Bar id={null} /></>);
  expect(jobs.length).toBe(1);
  expect(container.textContent).toBe('? 0 true ? 0 true ? 0 false ');
  act(() => jobs[0]!.become({ status: 'running', progress: 40 }));
  expect(container.textContent).toBe('running 40 true running 40 true ? 0 false ');
  again(<Bar id="j1" />);
  clock.turn(5000);
  expect(jobs[0]!.closed).toBe(false);
  // A route that comes back finds it as it was.
  again(null);
  clock.turn(900);
  again(<Bar id="j1" />);
  expect(container.textContent).toBe('running 40 true ');
  unmount();
  clock.turn(1000);
  expect([jobs.length, jobs[0]!.closed, jobs[0]!.watchers.size, clock.waiting]).toEqual([1, true, 0, 0]);
});

test('onDone and onFail are called once, the latest of them, also for a job that has ended before', () => {
  const told: unknown[] = [];
  function Shows({ id, round }: { id: string; round: number }) {
    useJob(id, { onDone: result => told.push([round, 'done', result]), onFail: (error, state) => told.push([round, error?.code ?? state.status ?? state.refused?.code]) });
    return null;
  }
  const { again } = show(<Shows id="j1" round={1} />);
  again(<Shows id="j1" round={2} />);
  act(() => jobs[0]!.become({ status: 'done', result: { sum: 3 } }));
  again(<Shows id="j1" round={3} />);
  expect(told).toEqual([[2, 'done', { sum: 3 }]]);
  again(<Shows id="j2" round={4} />);
  act(() => jobs[1]!.become({ status: 'failed', error: { code: 'timeout', message: '', suggestedActions: [] } }));
  again(<Shows id="j3" round={5} />);
  act(() => jobs[2]!.become({ status: 'cancelled' }));
  again(<Shows id="j4" round={6} />);
  act(() => jobs[3]!.become({ refused: { code: 'not_found', message: '' } }));
  expect(told.slice(1)).toEqual([[4, 'timeout'], [5, 'cancelled'], [6, 'not_found']]);
});

test('starting: pending, then the job; cancel; a refusal is told', async () => {
  let use!: StartJobUse<{ upTo: number }, { sum: number }>;
  const done: unknown[] = [];
  function Starts() {
    use = useStartJob('count', { onDone: result => done.push(result) });
    return <p>{use.pending ? 'pending' : use.error?.code ?? use.job?.status ?? '-'}</p>;
  }
  const { container, clock, unmount } = show(<Starts />);
  let starting!: Promise<unknown>;
  act(() => { starting = use.start({ upTo: 3 }, { requestId: 'r' }); });
  expect(container.textContent).toBe('pending');
  await act(() => starting);
  expect(starts).toEqual([['count', { upTo: 3 }, { requestId: 'r' }]]);
  expect(jobs.length).toBe(1);
  act(() => jobs[0]!.become({ status: 'running' }));
  expect(container.textContent).toBe('running');
  expect(await use.job!.cancel()).toBe('cancelling');
  expect(jobs[0]!.cancelled).toBe(1);
  act(() => jobs[0]!.become({ status: 'done', result: { sum: 6 } }));
  expect(done).toEqual([{ sum: 6 }]);
  refuse = { code: 'rate_limited', message: 'Too many.' };
  await act(async () => {
    await expect(use.start({ upTo: 4 })).rejects.toBe(refuse);
  });
  expect(container.textContent).toBe('rate_limited');
  act(() => use.reset());
  expect(container.textContent).toBe('-');
  unmount();
  clock.turn(1000);
  expect(jobs.every(job => job.closed)).toBe(true);
});

test('a start that was overtaken by another one is not shown', async () => {
  let use!: StartJobUse<TestSchema['jobs']['count']['params'], unknown>;
  function Starts() {
    use = useStartJob('count');
    return <p>{use.job?.id}</p>;
  }
  const { container } = show(<Starts />);
  await act(async () => { await Promise.all([use.start({ upTo: 1 }), use.start({ upTo: 2 })]); });
  expect(container.textContent).toBe('started.2');
});

test('a text is shown once a frame, and whole at its end', () => {
  let renders = 0;
  let use!: TokenStreamUse;
  function Text({ source }: { source: StreamSource | null }) {
    renders++;
    use = useTokenStream(source);
    return <p>{use.text}</p>;
  }
  const { clock, container, again, unmount } = show(<Text source={{ topic: 'enhance/ann/s1', requestId: 'r1' }} />, new FakeClient(), false);
  expect([use.status, use.pending]).toEqual(['waiting', true]);
  renders = 0;
  act(() => { for (let i = 1; i <= 300; i++) streams[0]!.become({ status: 'streaming', text: 'x'.repeat(i) }); });
  expect(renders).toBe(0);
  frame();
  expect(renders).toBe(1);
  expect(container.textContent!.length).toBe(300);
  // A hidden page is painted no frames: the clock does it.
  act(() => streams[0]!.become({ text: 'hidden' }));
  act(() => clock.turn(49));
  expect(renders).toBe(1);
  act(() => clock.turn(1));
  expect(container.textContent).toBe('hidden');
  act(() => streams[0]!.become({ text: 'the end', status: 'done', usage: { total_tokens: 3 } }));
  expect(container.textContent).toBe('the end');
  expect([use.status, use.pending, use.usage]).toEqual(['done', false, { total_tokens: 3 }]);
  again(<Text source={null} />);
  expect([use.status, use.pending, use.text]).toEqual(['idle', false, '']);
  unmount();
  clock.turn(1000);
  expect([streams.length, streams[0]!.closed, streams[0]!.watchers.size, clock.waiting]).toEqual([1, true, 0, 0]);
});

test('`every` in milliseconds, and cancel', async () => {
  let use!: TokenStreamUse;
  function Text() {
    use = useTokenStream({ topic: 'enhance/ann/s1' }, { every: 200 });
    return <p>{use.text}</p>;
  }
  const { clock, container } = show(<Text />);
  act(() => streams[0]!.become({ status: 'streaming', text: 'a' }));
  act(() => clock.turn(199));
  expect([container.textContent, frames.length]).toEqual(['', 0]);
  act(() => clock.turn(1));
  expect(container.textContent).toBe('a');
  await use.cancel();
  expect(streams[0]!.cancelled).toBe(1);
});

test('a log is a window of lines, which does not slip away from who reads', () => {
  let use!: LogUse;
  let hide!: (to: boolean) => void;
  function Log() {
    use = useLog('j1', { window: 10 });
    return <p>{use.lines.length}</p>;
  }
  function App() {
    const [hidden, setHidden] = useState(false);
    hide = setHidden;
    return hidden ? null : <Log />;
  }
  const { clock, container } = show(<App />);
  const write = (from: number, to: number) => {
    act(() => { for (let i = from; i < to; i++) jobs[0]!.say({ line: `line ${i}`, stream: 'stdout' }); });
    frame();
  };
  write(0, 25);
  expect([use.total, use.lines.length, use.lines[0]!.text, use.lines.at(-1)!.text]).toEqual([25, 10, 'line 15', 'line 24']);
  act(() => use.setFollow(false));
  write(25, 50);
  expect([use.total, use.lines.length, use.lines[0]!.text, use.follow]).toEqual([50, 35, 'line 15', false]);
  write(50, 500);
  expect(use.lines.length).toBe(50);
  act(() => use.setFollow(true));
  write(500, 501);
  expect([use.total, use.lines.length, use.lines.at(-1)!.text]).toEqual([501, 10, 'line 500']);
  act(() => {
    jobs[0]!.say({ message: 'careful', level: 'warn' });
    jobs[0]!.say({ content: 'no line', offset: 0 });
    jobs[0]!.say(null);
    jobs[0]!.say({ message: 'no level: a progress' });
  });
  frame();
  expect([use.total, use.lines.at(-1)!.text, use.lines.at(-1)!.level]).toEqual([502, 'careful', 'warn']);
  act(() => hide(true));
  clock.turn(2000);
  expect([jobs[0]!.closed, jobs[0]!.listeners.size, clock.waiting, container.textContent]).toEqual([true, 0, 0, '']);
});

test('a hook whose job is null is quiet', async () => {
  let use!: JobUse;
  function Shows() {
    use = useJob(null);
    return <p>{useLog(null).total}</p>;
  }
  show(<Shows />);
  expect([use.active, use.progress, await use.cancel(), jobs.length]).toEqual([false, 0, 'ended', 0]);
});
