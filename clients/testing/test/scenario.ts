// SPDX-License-Identifier: Apache-2.0
// What is done to a server, the one in memory and the real one alike; what they say is written down and must be the same.

type Json = Record<string, unknown>;

export interface Harness {
  token(user: string, grants?: { subscribe?: string[]; publish?: string[]; roles?: string[] }): string;
  fetch: typeof fetch;
  WebSocket: typeof WebSocket;
  url: string;
  /** Waits until there is something true. */
  until<T>(condition: () => T): Promise<NonNullable<T>>;
}

/** Makes what differs from run to run the same: positions count from the scenario's beginning, ids and times are named. */
export class Scribe {
  base = 0;
  epoch = '';
  #ids = new Map<string, string>();

  position(offset: number): string { return `${this.epoch}.${this.base + offset}`; }

  plain(value: unknown, name = ''): unknown {
    if (typeof value === 'string') {
      if (/^"?[0-9a-f]{8}\.\d+"?$/.test(value)) return value.replace(/[0-9a-f]{8}\.(\d+)/, (all, seq) => (all.startsWith(this.epoch) ? `@${Number(seq) - this.base}` : all));
      if (/^\d{4}-\d\d-\d\dT.*Z$/.test(value)) return 'TIME';
      return value.replace(/[0-9a-f]{32}|[0-9a-f]{16}/g, id => this.#ids.get(id) ?? this.#ids.set(id, `ID${this.#ids.size + 1}`).get(id)!);
    }
    if (typeof value === 'number' && name === 'fence') return `@${value - this.base}`;
    if (typeof value === 'number' && ['duration', 'token_expires_in', 'expires_in'].includes(name)) return 'N';
    if (Array.isArray(value)) return value.map(one => this.plain(one));
    if (typeof value !== 'object' || value === null) return value;
    // Sentences for people may differ, and so may what only the real server needs.
    const left = Object.entries(value).filter(([key]) => !(['detail', 'what_to_do', 'suggested_actions', 'title', 'internal', 'summary', 'logs'].includes(key) || (key === 'message' && (value as Json).code)));
    return Object.fromEntries(left.map(([key, one]) => [key, this.plain(one, key)]));
  }
}

/** A socket whose messages are written down when they are taken. */
export class Line {
  #socket: WebSocket;
  #messages: string[] = [];
  #end: [number, string] | undefined;
  #world: Run;

  constructor(world: Run, path: string, token: string | undefined) {
    const { harness } = world;
    this.#world = world;
    this.#socket = new harness.WebSocket(harness.url.replace('http', 'ws') + path, token === undefined ? [] : ['tidings', `bearer.${token}`]);
    this.#socket.onmessage = ({ data }) => { this.#messages.push(String(data)); };
    this.#socket.onclose = ({ code, reason }) => { this.#end = [code, reason.split(':')[0]!]; };
  }

  send(message: Json | string): void { this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message)); }

  /** Writes down the next messages, up to the first with these members; of types, those alone. */
  async upTo(members: Json, types?: string[]): Promise<Json> {
    for (;;) {
      const text = await this.#world.harness.until(() => this.#messages.shift() ?? (this.#end && JSON.stringify({ type: 'closed', code: this.#end[0], reason: this.#end[1] })));
      const message = (text.startsWith('{') ? JSON.parse(text) : { text }) as Json;
      if (!types || types.includes(String(message.type)) || message.type === 'closed') this.#world.note(message);
      if (message.type === 'closed' || Object.entries(members).every(([key, value]) => message[key] === value)) return message;
    }
  }

  /** Everything that was sent by now. */
  async rest(): Promise<void> {
    this.send({ type: 'ping', ref: 'rest' });
    await this.upTo({ ref: 'rest' });
  }

  closed(): Promise<Json> { return this.upTo({ type: 'closed' }); }

  async close(): Promise<void> {
    this.#socket.close(1000);
    await this.#world.harness.until(() => this.#end);
  }
}

export class Run {
  readonly harness: Harness;
  readonly scribe = new Scribe();
  readonly notes: unknown[] = [];
  #lines: Line[] = [];

  constructor(harness: Harness) { this.harness = harness; }

  note(what: unknown): void { this.notes.push(this.scribe.plain(what)); }

  async open(path: string, token: string | undefined = this.harness.token('ann')): Promise<Line> {
    const line = new Line(this, path, token);
    this.#lines.push(line);
    await line.upTo({ type: 'connection' });
    return line;
  }

  /** A request, whose answer is written down. */
  async ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}, token = this.harness.token('ann')): Promise<Json> {
    const response = await this.harness.fetch(this.harness.url + path, {
      method, headers: { authorization: `Bearer ${token}`, ...headers }, body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text(), answer = text ? JSON.parse(text) as Json : null;
    const shown = Object.fromEntries(['etag', 'location', 'tidings-position'].map(name => [name, response.headers.get(name)]).filter(([, value]) => value));
    this.note({ status: response.status, ...shown, answer });
    return answer ?? {};
  }

  /** An event stream, up to the event of that type. */
  async stream(query: string, last: string): Promise<void> {
    const control = new AbortController(), token = this.harness.token('ann');
    const response = await this.harness.fetch(`${this.harness.url}/api/v1/events?${query}`, { headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' }, signal: control.signal });
    const reader = response.body!.getReader(), decoder = new TextDecoder();
    for (let text = ''; !text.includes(`event: ${last}\n`) || !text.endsWith('\n\n');) {
      const { value } = await reader.read();
      text += decoder.decode(value, { stream: true });
      for (let at; (at = text.indexOf('\n\n')) >= 0 && text.slice(0, at) !== '';) {
        const block = text.slice(0, at);
        const lines = block.split('\n').map(line => { const [name, ...rest] = line.split(': '); return [name, name === 'data' ? JSON.parse(rest.join(': ')) : rest.join(': ')]; });
        this.note(Object.fromEntries(lines));
        if (block.includes(`event: ${last}\n`)) {
          control.abort();
          return;
        }
        text = text.slice(at + 2);
      }
    }
  }

  async done(): Promise<void> { for (const line of this.#lines) await line.close(); }
}

export const KINDS = `
jobs:
  kinds:
    - name: check
      who: any
      params: ["project_id=[a-z0-9]+"]
      topic: projects/{project_id}/checks
      shared: true
      events: [start=check_start, output=output, complete=check_complete, error=check_error, cancelled=check_cancelled]
      carry: [project_id]
      argv: [sh, -c, 'echo one; echo "{\\"result\\":{\\"found\\":2}}" >&3']
    - {name: write, who: any, topic: "enhance/{sub}/{session}", events: [text=partial, complete=completed, error=error, cancelled=cancelled],
       argv: [sh, -c, 'echo "{\\"text\\":\\"Grüße\\"}" >&3; echo "{\\"result\\":1}" >&3']}
    - {name: break, who: any, argv: [sh, -c, 'echo "{\\"error\\":{\\"code\\":\\"broken\\",\\"message\\":\\"It broke.\\",\\"details\\":\\"here\\",\\"suggested_actions\\":[\\"Mend it.\\"]}}" >&3; exit 1']}
    - {name: wait, who: any, topic: "waits/{job_id}", events: [start=started_, cancelled=cancelled_], argv: [sleep, "300"]}
`;

/** Each on topics of its own. */
export const SCENARIOS: Record<string, (run: Run) => Promise<void>> = {
  async 'subscribing, publishing, unsubscribing'(run) {
    const line = await run.open('/ws?format=event');
    line.send({ type: 'SUBSCRIBE', topics: ['a/*'], ref: 1 });
    await line.upTo({ ref: 1 });
    line.send({ type: 'publish', event: { topic: 'a/1', type: 'said', data: { text: 'hello' } }, ref: 'p' });
    await line.upTo({ topic: 'a/1' });
    await run.ask('POST', '/api/v1/events', [{ topic: 'a/1', type: 'said', data: 2 }, { topics: ['a/2', 'b/2'], type: 'said', key: 'k' }]);
    await line.upTo({ topic: 'a/2' });
    await run.ask('POST', '/api/v1/events', { topic: 'a/1', type: 'typing', class: 'ephemeral' });
    await line.upTo({ type: 'typing' });
    line.send({ type: 'UNSUBSCRIBE', topics: ['a/*', 'never'], ref: 2 });
    await line.upTo({ ref: 2 });
    await run.ask('POST', '/api/v1/events', { topic: 'a/1', type: 'said', data: 3 });
    await line.rest();
  },

  async 'coming back with a position'(run) {
    await run.ask('POST', '/api/v1/events', [1, 2, 3].map(data => ({ topic: 'c/1', type: 't', data })));
    const line = await run.open('/ws?format=event');
    line.send({ type: 'subscribe', topics: ['c/**'], since: run.scribe.position(1), ref: 'again' });
    await line.upTo({ type: 'caught_up' });
    line.send({ type: 'subscribe', topics: ['c/1'], since: 'earliest', ref: 'beside' });
    await line.upTo({ type: 'caught_up' });
    line.send({ type: 'subscribe', topics: ['d'], since: 'now', ref: 'now' });
    await line.upTo({ type: 'caught_up' });
    await line.rest();
    const bound = await run.open(`/api/v1/events?topic=c/1&format=flat&since=${run.scribe.position(2)}`);
    await bound.upTo({ type: 'caught_up' });
    await bound.rest();
  },

  async 'positions that are not of this log'(run) {
    await run.ask('POST', '/api/v1/events', [{ topic: 'e/1', type: 't', key: 'k', data: 1 }, { topic: 'e/1', type: 't', key: 'k', data: 2 }]);
    const beyond = await run.open('/ws?format=event');
    beyond.send({ type: 'SUBSCRIBE', topics: ['e/*'], since: run.scribe.position(1000), ref: 1 });
    await beyond.upTo({ type: 'caught_up' });
    const wrong = await run.open('/ws?format=event');
    wrong.send({ type: 'SUBSCRIBE', topics: ['e/*'], since: 'yesterday', ref: 2 });
    await wrong.upTo({ ref: 2 });
    await run.ask('GET', `/api/v1/events?topic=e/*&since=${run.scribe.position(1000)}`);
  },

  async 'state and texts'(run) {
    await run.ask('POST', '/api/v1/events', [
      { topic: 'f/1', type: 'progress', class: 'latest', key: 'p', data: { percent: 10 } }, { topic: 'f/1', type: 'progress', class: 'latest', key: 'p', data: { percent: 20 } },
      { topic: 'f/1', type: 'token', class: 'append', key: 't', data: { content: 'old', offset: 0 } },
      { topic: 'f/1', type: 'token', class: 'append', key: 't', data: { content: 'Hel', offset: 0 } },
      { topic: 'f/1', type: 'gone', key: 'g', data: 1 }, { topic: 'f/1', type: 'gone', key: 'g', data: null }]);
    const line = await run.open('/ws?format=event');
    line.send({ type: 'SUBSCRIBE', topics: ['f/1'], state: true, ref: 1 });
    await line.upTo({ type: 'caught_up' });
    await run.ask('POST', '/api/v1/events', { topic: 'f/1', type: 'token', class: 'append', key: 't', data: { content: 'lo', offset: 3 } });
    await line.upTo({ type: 'token' });
    await run.ask('GET', '/api/v1/events?topic=f/*&since=now&state=1');
    const stream = await run.open('/api/v1/events?topic=f/1');
    await stream.upTo({ type: 'caught_up' });
  },

  async 'what is refused'(run) {
    const token = run.harness.token('eve', { subscribe: ['g/**'], publish: ['g/1'] });
    const line = await run.open('/ws?format=event', token);
    line.send({ type: 'subscribe', topics: ['audit/**', 'g/1', 'h'], ref: 1 });
    await line.upTo({ type: 'subscribed' });
    line.send({ type: 'subscribe', topics: ['g//1'], ref: 2 });
    await line.upTo({ ref: 2 });
    line.send({ type: 'dance', ref: 3 });
    await line.upTo({ ref: 3 });
    line.send('nonsense');
    await line.upTo({ type: 'command_error' });
    line.send('ping');
    await line.upTo({ text: 'pong' });
    line.send({ type: 'publish', ref: 4, event: { topic: 'g/2', type: 't' } });
    await line.upTo({ ref: 4 });
    line.send({ type: 'publish', ref: 5, event: { topic: 'g/1' } });
    await line.upTo({ ref: 5 });
    line.send({ type: 'auth', token: 'not-one', ref: 6 });
    await line.upTo({ ref: 6 });
    line.send({ type: 'auth', token: run.harness.token('bob'), ref: 7 });
    await line.upTo({ ref: 7 });
    line.send({ type: 'auth', token: run.harness.token('eve', { subscribe: ['h'] }), ref: 8 });
    await line.upTo({ ref: 8 });
    await run.open('/ws?format=event', 'not-a-token');
    await run.open('/ws/audit');
    await run.open(`/ws/job/${'0'.repeat(32)}`);
    await run.ask('GET', '/api/v1/events?topic=jobs/**');
    await run.ask('GET', '/api/v1/events?topic=g/1', undefined, {}, 'not-a-token');
    await run.ask('POST', '/api/v1/events', { topic: 'jobs/1', type: 't' });
    await run.ask('POST', '/api/v1/events', { topic: 'g/1', type: 't', more: 1 });
    await run.ask('GET', '/api/v1/nothing');
  },

  async 'publishing twice with one key'(run) {
    const event = { topic: 'i/1', type: 't', data: 1 }, key = { 'idempotency-key': 'one' };
    await run.ask('POST', '/api/v1/events', event, key);
    await run.ask('POST', '/api/v1/events', event, key);
    await run.ask('POST', '/api/v1/events', { ...event, data: 2 }, key);
    await run.ask('POST', '/api/v1/events', { ...event, dedup: 'two' });
    await run.ask('POST', '/api/v1/events', { ...event, dedup: 'two' });
    await run.ask('GET', '/api/v1/events?topic=i/**&since=earliest');
  },

  async 'pages, streams, and requests that wait'(run) {
    await run.ask('POST', '/api/v1/events', [1, 2, 3].map(data => ({ topic: `j/${data}`, type: data === 2 ? 'error' : 't', data })));
    await run.ask('GET', '/api/v1/events?topic=j/*&since=earliest&limit=2');
    await run.ask('GET', '/api/v1/events?topic=j/*&limit=2');
    await run.ask('GET', '/api/v1/events?topic=j/*&since=earliest&type=error&format=flat');
    await run.ask('GET', '/api/v1/events?topic=j/*&wait=25');
    await run.ask('GET', `/api/v1/events?topic=j/*&wait=25&since=${run.scribe.position(1)}`);
    const waiting = run.ask('GET', `/api/v1/events?topic=j/*&wait=25&since=${run.scribe.position(3)}`);
    const { ids } = await run.ask('POST', '/api/v1/events', [{ topic: 'j/9', type: 't' }]) as { ids: string[] };
    run.note(ids);
    await waiting;
    await run.stream(`topic=j/*&since=${run.scribe.position(1)}`, 'tidings');
    await run.stream('topic=j/*', 'tidings');
  },

  async entities(run) {
    const line = await run.open('/ws'), path = '/api/v1/entities/sheet/s1';
    line.send({ type: 'SUBSCRIBE', entity_type: 'sheet', ref: 1 });
    await line.upTo({ ref: 1 });
    await run.ask('PUT', path, { name: 'a', more: { x: 1, y: 2 } }, { 'if-none-match': '*' });
    await run.ask('PUT', path, {}, { 'if-none-match': '*' });
    await run.ask('PATCH', path, { more: { x: null }, size: 3 }, { 'if-match': '1', 'content-type': 'application/merge-patch+json' });
    await run.ask('PUT', path, { name: 'b' }, { 'if-match': `"${run.scribe.position(1)}"` });
    await run.ask('GET', path);
    await run.ask('PUT', path, { name: 'c' }, { 'idempotency-key': 'k' });
    await run.ask('PUT', path, { name: 'c' }, { 'idempotency-key': 'k' });
    await run.ask('GET', '/api/v1/entities/sheet');
    await run.ask('POST', '/api/v1/events', { topic: 'entities/sheet/s2', type: 'ENTITY_UPDATED', data: { name: 'by a backend' } });
    await run.ask('DELETE', path, undefined, { 'if-match': '2' });
    await run.ask('DELETE', path);
    await run.ask('DELETE', path);
    await run.ask('PUT', path, { name: 'anew' });
    await line.rest();
    const raw = await run.open('/ws?format=event');
    raw.send({ type: 'SUBSCRIBE', topics: ['entities/sheet/*'], state: true, ref: 2 });
    await raw.upTo({ type: 'caught_up' });
  },

  async locks(run) {
    const line = await run.open('/ws?format=event'), path = '/api/v1/locks/projects/locked', bob = run.harness.token('bob');
    line.send({ type: 'SUBSCRIBE', topics: ['locks/projects/locked', 'projects/locked/**'], ref: 1 });
    await line.upTo({ ref: 1 });
    await run.ask('PUT', path, { ttl: 30 });
    await run.ask('PUT', path, { ttl: 60 });
    await run.ask('PUT', path, { ttl: 30 }, {}, bob);
    await run.ask('DELETE', path, undefined, {}, bob);
    await run.ask('GET', path);
    const late = await run.open('/ws?format=event');
    late.send({ type: 'SUBSCRIBE', topics: ['locks/**'], state: true, ref: 2 });
    await late.upTo({ type: 'caught_up' });
    await run.ask('DELETE', path);
    await run.ask('DELETE', path);
    await run.ask('GET', path);
    await line.rest();
  },

  async presence(run) {
    const topic = 'projects/there', first = await run.open('/ws?format=event');
    first.send({ type: 'SUBSCRIBE', topics: [topic], ref: 1 });
    await first.upTo({ ref: 1 });
    const second = await run.open('/ws?format=event', run.harness.token('bob'));
    second.send({ type: 'SUBSCRIBE', topics: [`${topic}/**`, 'projects/*'], ref: 2 });
    await second.upTo({ ref: 2 });
    await first.upTo({ type: 'presence_joined' });
    await run.ask('GET', `/api/v1/presence?topic=${topic}`);
    await run.ask('GET', `/api/v1/presence?topic=${topic}&limit=1`);
    second.send({ type: 'UNSUBSCRIBE', topics: [`${topic}/**`], ref: 3 });
    await first.upTo({ type: 'presence_left' });
    await run.ask('GET', '/api/v1/presence?topic=elsewhere');
  },

  async 'a job from start to end'(run) {
    const line = await run.open('/ws?format=event'), types = ['check_start', 'output', 'check_complete'];
    line.send({ type: 'SUBSCRIBE', topics: ['projects/p1/**'], ref: 1 });
    await line.upTo({ ref: 1 });
    const { job_id: id } = await run.ask('POST', '/api/v1/jobs', { kind: 'check', params: { project_id: 'p1' }, viewers: ['bob'] }, { 'idempotency-key': 'job' }) as { job_id: string };
    await line.upTo({ type: 'check_complete' }, types);
    await run.ask('POST', '/api/v1/jobs', { kind: 'check', params: { project_id: 'p2' } }, { 'idempotency-key': 'job' });
    for (const user of ['ann', 'bob']) {
      const viewer = await run.open('/ws?format=event', run.harness.token(user));
      viewer.send({ type: 'SUBSCRIBE', topics: [`jobs/${id}`], state: true, ref: 2 });
      await viewer.upTo({ type: 'caught_up' });
    }
    const other = await run.open('/ws?format=event', run.harness.token('carl'));
    other.send({ type: 'SUBSCRIBE', topics: [`jobs/${id}`], ref: 3 });
    await other.upTo({ ref: 3 });
    await run.ask('GET', `/api/v1/jobs/${id}`, undefined, {}, run.harness.token('carl'));
    await run.ask('POST', `/api/v1/jobs/${id}/cancel`);
    await run.ask('POST', '/api/v1/jobs', { kind: 'nothing' });
    await run.ask('POST', '/api/v1/jobs', { kind: 'check' });
    await run.ask('POST', '/api/v1/jobs', { kind: 'write' });
  },

  async 'a job that fails, and one that is cancelled'(run) {
    const line = await run.open('/ws?format=event');
    const failing = await run.ask('POST', '/api/v1/jobs', { kind: 'break' }), waiting = await run.ask('POST', '/api/v1/jobs', { kind: 'wait' });
    line.send({ type: 'SUBSCRIBE', topics: [`jobs/${failing.job_id}`], state: true, ref: 1 });
    await line.upTo({ type: 'error' }, ['error']);
    line.send({ type: 'SUBSCRIBE', topics: [`waits/${waiting.job_id}`], since: 'earliest', ref: 2 });
    await line.upTo({ type: 'caught_up', ref: 2 }, ['started_', 'subscribed']);
    await run.ask('POST', `/api/v1/jobs/${waiting.job_id}/cancel`);
    await line.upTo({ type: 'cancelled_' }, ['cancelled_']);
    await run.ask('POST', `/api/v1/jobs/${waiting.job_id}/cancel`, undefined, {}, run.harness.token('carl'));
  },

  async 'a session'(run) {
    const line = await run.open('/ws/enhance?session=s1');
    await line.upTo({ type: 'caught_up' });
    line.send({ type: 'start', kind: 'write', request_id: 'r1', ref: 1 });
    await line.upTo({ ref: 1 }, ['started']);
    const again = await run.open(`/ws/enhance?session=s1&since=${run.scribe.position(0)}`);
    await again.upTo({ type: 'completed' }, ['partial', 'completed']);
    again.send({ type: 'start', kind: 'write', request_id: 'r1', ref: 2 });
    await again.upTo({ ref: 2 }, ['started']);
    again.send({ type: 'cancel', request_id: 'r2', ref: 3 });
    await again.upTo({ ref: 3 }, ['command_error']);
  },
};
