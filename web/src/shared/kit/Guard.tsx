// SPDX-License-Identifier: Apache-2.0
import { Component, type ReactNode } from 'react';
import { Broken, Button } from './kit.tsx';

/** A screen that breaks takes nothing else with it. Another `at` tries anew. */
export class Guard extends Component<{ at: string; children: ReactNode }, { at: string; error?: Error }> {
  override state: { at: string; error?: Error } = { at: this.props.at };

  static getDerivedStateFromError(error: Error) { return { error }; }

  static getDerivedStateFromProps({ at }: { at: string }, state: { at: string; error?: Error }) {
    return at === state.at ? null : { at, error: undefined };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <Broken title="This screen broke" actions={<Button onClick={() => this.setState({ error: undefined })}>Show it again</Button>}>
        {this.state.error.message} What you have on the server is as it was.
      </Broken>
    );
  }
}
