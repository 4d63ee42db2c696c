// SPDX-License-Identifier: Apache-2.0
import { StrictMode } from 'react';
import type { ReactNode } from 'react';
import { render } from '@testing-library/react';
import { TidingsProvider } from '../src/index.ts';
import { FakeClient } from './fake.ts';

declare global {
  var IS_REACT_ACT_ENVIRONMENT: boolean;
}
globalThis.IS_REACT_ACT_ENVIRONMENT = true;

/** Renders below a provider of a fake client, in StrictMode unless told otherwise. */
export function show(children: ReactNode, fake = new FakeClient(), strict = true) {
  const tree = (inner: ReactNode) => {
    const provided = <TidingsProvider client={fake.client}>{inner}</TidingsProvider>;
    return strict ? <StrictMode>{provided}</StrictMode> : provided;
  };
  const shown = render(tree(children));
  return { fake, clock: fake.clock, ...shown, again: (next: ReactNode) => shown.rerender(tree(next)) };
}
