// SPDX-License-Identifier: Apache-2.0
// What is taken where a WebSocket does not work; loaded then.
export { longpoll, longpoll as poll } from './longpoll.ts';
export { sse } from './sse.ts';
