// SPDX-License-Identifier: Apache-2.0
// What the gallery shows: every state, with values like those of real life, and with a few that are too long.
import type { ConnectionState, EntityChange, JobState, LogLine, Reason } from '@tidings/client';
import type { ConflictField } from '../src/index.ts';

export const now = (): number => 1_000_000;

const lost: Reason = { code: 1006, name: 'network', message: 'The connection to the server broke.', whatToDo: 'Nothing: it comes back by itself.', retry: true };
const expired: Reason = { code: 4001, name: 'token_expired', message: 'Your session has ended.', whatToDo: 'Sign in again. What you missed comes then.', retry: false };
const blocked: Reason = { code: 0, name: 'timeout', message: 'Something between this device and the server stops live connections.',
  whatToDo: 'Updates still come, every 30 seconds. A proxy that lets WebSockets pass brings them at once.', retry: true };

export const connections: Record<string, ConnectionState> = {
  online: { phase: 'online', status: 'connected', transport: 'websocket', attempt: 0, since: 1_000_000 - 754_000, lastSeen: 1_000_000 - 12_300, rtt: 23.4 },
  connecting: { phase: 'connecting', status: 'connecting', attempt: 0, since: 1_000_000 - 400 },
  waiting: { phase: 'waiting', status: 'disconnected', transport: 'websocket', attempt: 3, retryAt: 1_000_000 + 6_400, since: 1_000_000 - 9_000,
    lastSeen: 1_000_000 - 41_000, reason: lost },
  polling: { phase: 'polling', status: 'connected', transport: 'poll', attempt: 5, retryAt: 1_000_000 + 28_000, since: 1_000_000 - 95_000,
    lastSeen: 1_000_000 - 8_000, rtt: 88, reason: blocked },
  offline: { phase: 'offline', status: 'disconnected', attempt: 1, since: 1_000_000 - 62_000, lastSeen: 1_000_000 - 66_000 },
  failed: { phase: 'failed', status: 'error', transport: 'websocket', attempt: 1, since: 1_000_000 - 3_900_000, lastSeen: 1_000_000 - 3_905_000, reason: expired },
  closed: { phase: 'closed', status: 'disconnected', attempt: 0, since: 1_000_000 - 2_000, lastSeen: 1_000_000 - 3_000 },
  idle: { phase: 'idle', status: 'disconnected', attempt: 0, since: 1_000_000 - 1_000 },
};

const job = (rest: Partial<JobState>): JobState => ({ id: 'j1', kind: 'report', progress: 0, ...rest });

export const jobs: Record<string, JobState> = {
  asking: job({}),
  queued: job({ status: 'queued', place: 3 }),
  'running, nothing said yet': job({ status: 'running' }),
  running: job({ status: 'running', progress: 42.5, step: { index: 2, count: 4, name: 'Render the charts' }, message: '17 of 40 charts' }),
  stopping: job({ status: 'cancelling', progress: 71, step: { index: 3, count: 4, name: 'Write the PDF' } }),
  done: job({ status: 'done', progress: 100, started: '2026-11-27T12:00:00.000Z', ended: '2026-11-27T12:01:14.500Z', result: { pages: 24 } }),
  failed: job({ status: 'failed', progress: 63, started: '2026-11-27T12:00:00.000Z', ended: '2026-11-27T12:00:31.000Z',
    error: { code: 'upstream_busy', message: 'The language model is busy and did not answer within 60 seconds.',
      suggestedActions: ['Try again in a minute.', 'Choose a smaller model for drafts.'] } }),
  cancelled: job({ status: 'cancelled', progress: 18, started: '2026-11-27T12:00:00.000Z', ended: '2026-11-27T12:00:04.000Z' }),
  refused: job({ refused: { code: 'not_found', message: 'There is no such job, or it is not yours.', whatToDo: 'Ask who started it to share it with you.' } }),
  'long words': job({ status: 'running', progress: 8, kind: 'a-kind-with-a-name-that-nobody-ever-thought-would-be-shown-to-people',
    step: { index: 1, count: 12, name: 'Fetch https://files.example.org/archive/2026/11/27/quarterly-report-draft-final-2.xlsx' },
    message: 'Downloaded 1.2 of 14.8 GB at 3.1 MB/s; the server limits how fast this goes' }),
};

const at = (n: number): string => new Date(Date.UTC(2026, 10, 27, 12, 0, n)).toISOString();

export const log: LogLine[] = [
  '$ tidings run report -- make report', '\x1b[1mConfiguring\x1b[0m for \x1b[36mrelease\x1b[0m', 'Downloading 10 %\rDownloading 55 %\rDownloading 100 %',
  '\x1b[32m✓\x1b[0m 128 charts rendered \x1b[2m(4.1 s)\x1b[0m', '\x1b[33mwarning\x1b[0m: font “Inter” not found, using the system’s',
  'a line that is much too long for its place: ' + 'the quick brown fox jumps over the lazy dog, '.repeat(6) + 'and rests.',
  '\x1b[31mred\x1b[32m green\x1b[33m yellow\x1b[34m blue\x1b[35m magenta\x1b[36m cyan\x1b[37m white\x1b[90m grey\x1b[0m',
  '\x1b[91mred\x1b[92m green\x1b[93m yellow\x1b[94m blue\x1b[95m magenta\x1b[96m cyan\x1b[97m white\x1b[30m black\x1b[0m',
  '\x1b[1mbold\x1b[0m \x1b[2mdim\x1b[0m \x1b[3mitalic\x1b[0m \x1b[4munderline\x1b[0m \x1b[7minverse\x1b[0m \x1b[9mstruck\x1b[0m \x1b[1;4;35mall of it\x1b[0m',
  '\x1b[38;5;208m256 colours\x1b[0m \x1b[48;5;24m on blue \x1b[0m \x1b[38;2;255;105;180mtrue colour\x1b[0m 日本語 café 👍',
  ...[...Array(8).keys()].map(n => `[${n + 1}/8] chunk ${n + 1} written`),
].map((text, n) => ({ text, time: at(n), stream: 'stdout', ...(text.includes('warning') && { level: 'warn' }) }));
log.push({ text: 'Traceback (most recent call last):', time: at(30), stream: 'stderr' }, { text: '  File "report.py", line 88, in draw', time: at(30), stream: 'stderr' },
  { text: '\x1b[1;31mValueError\x1b[0m: no data for 2026-11-31', time: at(30), stream: 'stderr' }, { text: 'exit status 1', time: at(31), level: 'error' });

export const answer = `A position says how far a reader has come. When the connection breaks, the client keeps the last one it saw, and asks for what comes after it.

Three things follow from that:
1. Nothing is lost, because the log still has it.
2. Nothing is doubled, because a position is passed only once.
3. What the log has dropped is told as a gap`;

const change = (action: EntityChange['action'], id: string, actor?: string): EntityChange =>
  ({ action, type: 'sheet', id, actor, time: at(0), own: false });

export const changes = { created: change('created', 'Budget 2027', 'ada'), updated: change('updated', 'Quarterly figures', 'grace'),
  deleted: change('deleted', 'Old draft', 'ada') };

export const fields: ConflictField[] = [
  { name: 'title', label: 'Title', base: 'Quarterly figures', mine: 'Quarterly figures, final', theirs: 'Figures of the third quarter' },
  { name: 'note', label: 'Note', base: 'Numbers are provisional.', mine: '', theirs: 'Numbers are checked and may be published. '.repeat(5) },
  { name: 'limits', label: 'Limits', base: { low: 1, high: 10 }, mine: { low: 2, high: 10 }, theirs: { low: 1, high: 12 } },
];

export const people = ['ada@example.org', 'grace.hopper', 'Katherine Johnson', 'linus', 'margaret-hamilton', 'Barbara Liskov', 'donald', 'edsger', 'Radia Perlman', '李 明']
  .map((user, n) => ({ user, idle: n === 3 }));
