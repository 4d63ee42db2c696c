// SPDX-License-Identifier: Apache-2.0
// A real `tidings dev` on a free port, its data in a directory of its own.  TIDINGS names the binary.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const BINARY = path.resolve(process.env.TIDINGS ?? path.join(ROOT, 'build/release/tidings'));
const DEADLINE_MS = 20_000;

// Asks until `condition` gives something true, and returns that.
export async function until(condition, what, deadlineMs = DEADLINE_MS) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise(resume => setTimeout(resume, 20));
  }
}

async function freePort() {
  const listener = net.createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  return port;
}

export class Server {
  // `options`: more flags of `tidings dev`.
  static async start(options = []) {
    const server = new Server();
    // As in the other suites, the events of a test are to be all that there are.
    server.options = ['--audit.events', 'false', ...options];
    server.directory = mkdtempSync(path.join(os.tmpdir(), 'tidings-browser-'));
    server.data = path.join(server.directory, 'data');
    server.logPath = path.join(server.directory, 'server.log');
    server.port = await freePort();
    await server.up();
    return server;
  }

  get url() { return `http://127.0.0.1:${this.port}`; }

  // Starts the process, on another port when one is given.
  async up(port = this.port) {
    const log = openSync(this.logPath, 'a');
    this.process = spawn(BINARY, ['dev', '--listen', `127.0.0.1:${port}`, '--data', this.data, ...this.options],
      { cwd: this.directory, stdio: ['ignore', log, log] });
    this.listening = port;
    const ready = `http://127.0.0.1:${port}/readyz`;
    await until(async () => {
      if (this.process.exitCode !== null) throw new Error(`the server ended:\n${this.log()}`);
      return fetch(ready).then(answer => answer.ok, () => false);
    }, 'the server is ready');
    this.token ??= this.sign('ann');
  }

  // Ends it as a service manager would, or in the hardest way.
  async stop(signal = 'SIGTERM') {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill(signal);
    await ended;
  }

  async kill9() { await this.stop('SIGKILL'); }

  // Kills it, publishes to its log where the browser can't come, and starts it again where it was.
  async publishWhileAway(events) {
    await this.kill9();
    await this.up(await freePort());
    const ids = await this.publish(events);
    await this.kill9();
    await this.up();
    return ids;
  }

  sign(sub, ...options) {
    return execFileSync(BINARY, ['token', '--data', this.data, '--sub', sub, ...options],
      { encoding: 'utf8' }).trim();
  }

  // Publishes an array of events; returns their ids.
  async publish(events) {
    const answer = await fetch(`http://127.0.0.1:${this.listening}/api/v1/events`, {
      method: 'POST', body: JSON.stringify(events),
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
    });
    const said = await answer.json();
    if (answer.status !== 201) throw new Error(`not published: ${JSON.stringify(said)}`);
    return said.ids;
  }

  log() { return readFileSync(this.logPath, 'utf8'); }

  async done() {
    await this.kill9();
    rmSync(this.directory, { recursive: true });
  }
}
