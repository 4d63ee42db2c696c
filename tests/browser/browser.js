// SPDX-License-Identifier: Apache-2.0
// Chromium, and a world for each test: a server, a page that counts what goes wrong in it.

import { chromium } from 'playwright-core';
import assert from 'node:assert/strict';
import { Server } from './server.js';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

// Chromium says on the console that a server was away; that is the test's doing, not the page's.
const AWAY = /net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED)|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE)|ERR_SOCKET_NOT_CONNECTED/;

// `options`: more of Playwright’s.
export function launch(options = {}) {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS, ...options });
}

// Wraps a test: makes { server, page }, and checks afterwards that no page of it had an error, nor broke its Content Security
// Policy.  `expected` are the errors that the test is about, `options` flags of the server.
export function withWorld(browserOf, body, expected = [], options = []) {
  return async () => {
    const server = await Server.start(options);
    const context = await browserOf().newContext({ viewport: { width: 1100, height: 760 } });
    context.setDefaultTimeout(20_000);
    const problems = [];
    context.on('page', page => {
      page.on('pageerror', error => problems.push(`exception: ${error.message}`));
      page.on('console', message => {
        const text = `${message.text()} ${message.location().url}`;
        if (message.type() === 'error' && !AWAY.test(text) && !text.endsWith('/favicon.ico')) problems.push(text);
      });
    });
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', violation =>
        console.error(`CSP: ${violation.violatedDirective} ${violation.blockedURI}`));
    });
    try {
      const page = await context.newPage();
      await body({ server, page });
      assert.deepEqual(problems.filter(text => !expected.some(pattern => pattern.test(text))), []);
    } catch (error) {
      console.error(`the server's log:\n${server.log().slice(-4000)}`);
      throw error;
    } finally {
      await context.close();
      await server.done();
    }
  };
}
