// SPDX-License-Identifier: Apache-2.0
// All but editing, which is as much again as any three of these; a bundler takes what is imported.
export { TidingsContext, TidingsContext as WebSocketContext, TidingsProvider, TidingsProvider as WebSocketProvider, useTidings } from './context.ts';
export type { TidingsProviderProps } from './context.ts';
export { useConnection, useWebSocket } from './connection.ts';
export type { WebSocketUse } from './connection.ts';
export { useTopic } from './topic.ts';
export type { Handlers, TopicState } from './topic.ts';
export { useEvents } from './events.ts';
export type { EventsOptions } from './events.ts';
export { useJob, useStartJob } from './jobs.ts';
export type { JobCallbacks, JobUse, StartJobUse } from './jobs.ts';
export { useTokenStream } from './streams.ts';
export type { StreamSource, TokenStreamUse, TokenText } from './streams.ts';
export { useLog } from './log.ts';
export type { LogOptions, LogUse } from './log.ts';
export { usePresence } from './presence.ts';
export type { PresenceUse } from './presence.ts';
export { useLock } from './locks.ts';
export type { LockUse } from './locks.ts';
export { useChanges, useEntityListLive, useEntityLive, useEntitySubscription } from './entities.ts';
export type { ChangesOptions, EntityListState, EntitySubscription } from './entities.ts';
