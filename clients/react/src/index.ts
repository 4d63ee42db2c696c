// SPDX-License-Identifier: Apache-2.0
// @tidings/react: what a server tells, in components.  docs/react.md shows each hook; ./query joins them with TanStack Query.
export * from './hooks.ts';
export { useEdit } from './editing.ts';
export type { EditOptions, EditUse } from './editing.ts';
export type { EditState, Pick as MergePick, Remote, Saved, SaveFunction, SaveRequest } from './edit.ts';
export { threeWay } from './merge.ts';
export type { Conflict, Merge } from './merge.ts';
