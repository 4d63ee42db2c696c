// SPDX-License-Identifier: Apache-2.0
// @tidings/react: what a server tells, in components.  README.md shows each hook; ./query joins them with TanStack Query.
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
export { useEdit } from './editing.ts';
export type { EditOptions, EditUse } from './editing.ts';
export type { EditState, Pick as MergePick, Remote, Saved, SaveFunction, SaveRequest } from './edit.ts';
export { threeWay } from './merge.ts';
export type { Conflict, Merge } from './merge.ts';
