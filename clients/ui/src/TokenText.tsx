// SPDX-License-Identifier: Apache-2.0
// A text that grows while it is read.  It is cut into blocks at ends of lines, of which only the last one changes, so that a long
// text costs no more for each token than a short one.
import type { JobProblem, TokenStream } from '@tidings/client';
import { memo, type ReactNode } from 'react';
import { useSpoken } from './hooks.ts';
import { Button, Icon, Says } from './parts.tsx';
import { classes, count } from './text.ts';

export const TOKEN_LABELS = {
  text: 'Answer',
  waiting: 'Waiting for the first words',
  streaming: 'Writing',
  done: (words: number) => `Complete, ${count(words, 'word')}`,
  cancelled: 'Stopped',
  error: 'Broken off',
  stop: 'Stop',
  whatToDo: 'What you can do',
};

export interface TokenTextViewProps {
  text: string;
  status: TokenStream['status'];
  error?: JobProblem;
  /** Ends it. Shown while it waits or is written. */
  onStop?: () => void;
  /** What it is, for screen readers: `Answer` unless given. */
  label?: string;
  /** Shows the text in another way, as Markdown; given the text and whether more comes. */
  render?: (text: string, growing: boolean) => ReactNode;
  className?: string;
  labels?: Partial<typeof TOKEN_LABELS>;
}

const BLOCK = 1500;

/** The text, a caret while it grows, a button to stop. The words themselves are not spoken as they come: begin and end are. */
export function TokenTextView({ text, status, error, onStop, label, render, className, labels }: TokenTextViewProps) {
  const say = { ...TOKEN_LABELS, ...labels };
  const growing = status === 'waiting' || status === 'streaming';
  const word = status === 'done' ? say.done(text.trim() === '' ? 0 : text.trim().split(/\s+/).length) : say[status];
  const spoken = useSpoken(`${label ?? say.text}: ${word}`);
  return (
    <div className={classes('td td-tokens', growing && 'td-growing', className)}>
      <div className="td-text" role="group" aria-label={label ?? say.text} aria-busy={growing}>
        {render ? render(text, growing) : blocks(text).map((block, n) => <Block key={n} text={block} />)}
        {status === 'waiting' && text === '' && <span className="td-muted">{say.waiting}</span>}
      </div>
      {status === 'error' && (
        <div className="td-why td-soft-bad">
          <p>{error?.message ?? say.error}</p>
          {error && error.suggestedActions.length > 0 && (
            <ul aria-label={say.whatToDo}>{error.suggestedActions.map((action, n) => <li key={n}>{action}</li>)}</ul>
          )}
        </div>
      )}
      {status === 'cancelled' && <p className="td-muted">{say.cancelled}</p>}
      {onStop && growing && <Button onClick={onStop}><Icon name="stop" />{say.stop}</Button>}
      <Says>{spoken}</Says>
    </div>
  );
}

const Block = memo(function Block({ text }: { text: string }) {
  return <div>{text}</div>;
});

/** Cuts after the first end of line behind each 1,500 characters. A block's own last newline is made by its being a block. */
export function blocks(text: string): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let end = text.indexOf('\n', BLOCK); end >= 0; end = text.indexOf('\n', from + BLOCK)) {
    parts.push(text.slice(from, end));
    from = end + 1;
  }
  // An empty line at a cut needs something to be as high as a line.
  parts.push(text.slice(from));
  return parts.map((part, n) => (part === '' && n < parts.length - 1 ? '\n' : part));
}
