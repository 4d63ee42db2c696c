// SPDX-License-Identifier: Apache-2.0
// A page to render into, and nothing else of a browser: the events of Node's own WebSocket are not those of jsdom.
// @ts-expect-error: it comes without types
import { JSDOM } from 'jsdom';

const { window } = new JSDOM('<!doctype html>', { pretendToBeVisual: true, url: 'http://localhost/' });
for (const [name, value] of Object.entries({
  window, document: window.document,
  // Later versions of Node have one.
  navigator: globalThis.navigator ?? window.navigator,
  requestAnimationFrame: window.requestAnimationFrame.bind(window), cancelAnimationFrame: window.cancelAnimationFrame.bind(window),
})) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
