// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
// The components over the real hooks, client and server, with two people.
import '../../react/test/dom.ts';
import { cleanup, fireEvent, render, within } from '@testing-library/react';
import { StrictMode, type ReactNode } from 'react';
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createClient, type ClientOptions } from '@tidings/client';
import { TidingsProvider, useEdit, useStartJob, type EditUse, type StartJobUse } from '@tidings/react';
import { isBuilt, realServer, type RealServer } from '../../client/test/server.ts';
import { ConflictBanner, ConnectionIndicator, JobProgress, LiveUpdateToasts, LogView, PresenceStack, StaleNotice, TokenText } from '../src/index.ts';

const SOON = { timeout: 15_000 };

// Nothing is turned by hand here, so nothing waits for act().
beforeAll(() => { (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = false; });
afterEach(cleanup);

function page(server: RealServer, children: ReactNode, options: Partial<ClientOptions> = {}) {
  const client = createClient({ url: server.url, token: server.token, backoff: { base: 50, factor: 2, max: 400 }, ...options });
  onTestFinished(() => client.close());
  const { container } = render(<StrictMode><TidingsProvider client={client}>{children}</TidingsProvider></StrictMode>,
    { container: document.body.appendChild(document.createElement('div')) });
  return { client, container, text: () => container.textContent ?? '', see: within(container) };
}

describe.runIf(isBuilt)('with the real server', { timeout: 60_000 }, () => {
  test('a job from its start to its end, with what it writes', async () => {
    const server = await realServer();
    let use!: StartJobUse<unknown, unknown>;
    function Validate() {
      use = useStartJob('validate') as typeof use;
      return <><JobProgress id={use.job?.id ?? null} title="Validation">done it is</JobProgress><LogView jobId={use.job?.id ?? null} /></>;
    }
    const { client, text } = page(server, <Validate />);
    await expect.poll(() => client.state.phase, SOON).toBe('online');
    expect(text()).toContain('Nothing yet.');
    await use.start({ project_id: 'demo', proposal_id: '7' });
    await expect.poll(text, SOON).toContain('done it is');
    await expect.poll(text, SOON).toMatch(/[1-9]\d* lines/);
    expect(text()).toContain('Done');
  });

  test('a text that a model writes', async () => {
    const server = await realServer();
    let use!: StartJobUse<unknown, { text: string }>;
    const seen = new Set<string>();
    function Enhance() {
      use = useStartJob('enhance') as typeof use;
      const { job } = use;
      return <TokenText source={job?.topic ? { topic: job.topic, jobId: job.id } : null} render={written => { seen.add(written); return written; }} />;
    }
    const { client, text, see } = page(server, <Enhance />, { path: '/ws/enhance' });
    await expect.poll(() => client.state.phase, SOON).toBe('online');
    await use.start({ text: 'write a till' }, { requestId: 'r1' });
    await expect.poll(() => use.job?.status, SOON).toBe('done');
    await expect.poll(text, SOON).toContain(use.job!.result!.text);
    await expect.poll(() => see.queryByRole('button', { name: 'Stop' }), SOON).toBeNull();
    expect(seen.size).toBeGreaterThan(2);
  });

  test('two people: who is here, what the other changed, and whose change it is to be', async () => {
    const server = await realServer();
    const edits: { [who: string]: EditUse<{ name: string; size: number }> } = {};
    function Sheet({ who }: { who: string }) {
      const edit = useEdit({ type: 'sheets', id: 's1' }) as EditUse<{ name: string; size: number }>;
      edits[who] = edit;
      return (
        <><ConnectionIndicator /><PresenceStack topic="projects/42" /><ConflictBanner edit={edit} />
          <StaleNotice types={['sheets']} onRefresh={() => undefined} /><LiveUpdateToasts types={['sheets']} hotkey="" /></>
      );
    }
    await server.publish([{ topic: 'entities/sheets/s1', type: 'ENTITY_CREATED', data: { name: 'one', size: 1 } }]);
    const ann = page(server, <Sheet who="ann" />);
    const bob = page(server, <Sheet who="bob" />, { token: server.sign('bob') });
    await expect.poll(() => [edits.ann!.version, edits.bob!.version], SOON).toEqual([1, 1]);
    await expect.poll(() => [ann, bob].map(one => one.see.queryAllByRole('listitem').map(item => item.title).filter(Boolean)), SOON)
      .toEqual([['bob', 'You'], ['ann', 'You']]);
    expect(ann.see.getByRole('button', { name: 'Connection: Live' })).toBeDefined();

    // Ann saves what bob is changing: she hears nothing of it, he hears of it three times over.
    edits.bob!.set({ name: 'bob\'s' });
    edits.ann!.set({ name: 'ann\'s' });
    expect(await edits.ann!.save()).toBe('saved');
    await expect.poll(bob.text, SOON).toContain('ann changed this while you were editing: name.');
    await expect.poll(bob.text, SOON).toContain('1 change since');
    await expect.poll(bob.text, SOON).toContain('Updated by another user');
    for (const quiet of ['while you were editing', 'since this was', 'another user']) expect(ann.text()).not.toContain(quiet);

    fireEvent.click(bob.see.getByRole('button', { name: 'Continue editing' }));
    await expect.poll(bob.text, SOON).toContain('saving may overwrite what ann changed');
    expect(await edits.bob!.save()).toBe('saved');
    await expect.poll(bob.text, SOON).not.toContain('saving may overwrite');
    await expect.poll(ann.text, SOON).toContain('bob changed name.');
    fireEvent.click(ann.see.getByRole('button', { name: 'Show it here' }));
    await expect.poll(() => edits.ann!.draft, SOON).toEqual({ name: 'bob\'s', size: 1 });
    await expect.poll(ann.text, SOON).toContain('Updated by another user');
  });

  test('the sign goes grey when the server is killed, and green when it is back', async () => {
    const server = await realServer();
    const { see } = page(server, <ConnectionIndicator />);
    await expect.poll(() => see.queryByRole('button', { name: 'Connection: Live' }), SOON).not.toBeNull();
    await server.kill9();
    await expect.poll(() => see.queryByRole('button', { name: /Connection: (Reconnecting|Connecting)/ }), SOON).not.toBeNull();
    await server.up();
    await expect.poll(() => see.queryByRole('button', { name: 'Connection: Live' }), SOON).not.toBeNull();
  });
});
