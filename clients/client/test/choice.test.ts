// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { choice } from '../src/choice.ts';

const SERVER = 'http://server.test';

test('what was asked for by name is no finding: behind it all are tried again, in order', () => {
  const some = choice(['websocket', 'sse', 'longpoll']);
  some.pinned = 'sse';
  expect(some.names(SERVER)).toEqual(['sse']);
  some.worked('sse');
  some.pinned = undefined;
  expect(some.names(SERVER)).toEqual(['websocket', 'sse', 'longpoll']);
});

test('what worked by itself is tried first', () => {
  const some = choice(['websocket', 'sse', 'longpoll']);
  some.names(SERVER);
  some.worked('sse');
  expect(some.names(SERVER)).toEqual(['sse']);
});
