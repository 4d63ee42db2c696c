// SPDX-License-Identifier: Apache-2.0
// What the compiler knows once a schema is registered (schema.ts).  `npm run check` proves this file; running it proves nothing more.
import { expectTypeOf, test } from 'vitest';
import type { EventOf, RegisteredSchema, TidingsEvent } from '@tidings/client';
import { useEvents, useStartJob, useTopic } from '../src/index.ts';
import type { TestSchema } from './schema.ts';

type Moved = TidingsEvent<{ to: number }, 'moved'>;
type Renamed = TidingsEvent<{ name: string }, 'renamed'>;

// Never called: hooks need a component.
export function typed(id: string) {
  useTopic('projects/*', { moved: event => expectTypeOf(event.data.to).toBeNumber(), '*': event => expectTypeOf(event).toEqualTypeOf<Moved | Renamed>() });
  useTopic(`projects/${id}`, event => {
    expectTypeOf(event).toEqualTypeOf<Moved | Renamed>();
    if (event.type === 'renamed') expectTypeOf(event.data.name).toBeString();
  });
  useTopic('projects/42', { renamed: event => expectTypeOf(event.data.name).toBeString() });
  // @ts-expect-error there is no such type
  useTopic('projects/42', { renmaed: () => undefined });
  useTopic(id, event => expectTypeOf(event).toEqualTypeOf<TidingsEvent>());
  useTopic(null, () => undefined);
  expectTypeOf(useEvents(`rooms/${id}/messages`)[0]!.data.text).toBeString();
  const count = useStartJob('count');
  expectTypeOf(count.start).parameter(0).toEqualTypeOf<{ upTo: number }>();
  expectTypeOf(count.job!.result).toEqualTypeOf<{ sum: number } | undefined>();
  // @ts-expect-error there is no such kind
  useStartJob('cuont');
}

test('topics of a schema', () => {
  expectTypeOf<RegisteredSchema>().toEqualTypeOf<TestSchema>();
  expectTypeOf<EventOf<TestSchema, 'a/b'>>().toEqualTypeOf<TidingsEvent<boolean, 'only'>>();
  expectTypeOf<EventOf<TestSchema, 'a/c'>>().toEqualTypeOf<TidingsEvent>();
  expectTypeOf<EventOf<TestSchema, string>>().toEqualTypeOf<TidingsEvent>();
  expectTypeOf<EventOf<TestSchema, 'rooms/7/messages'>>().toEqualTypeOf<TidingsEvent<{ text: string }, 'said'>>();
  expectTypeOf<EventOf<{ topics: { 'x/**': { a: 1 }; 'x/y': { b: 2 } } }, 'x/z/1'>>().toEqualTypeOf<TidingsEvent<1, 'a'>>();
  expectTypeOf<EventOf<object, 'x'>>().toEqualTypeOf<TidingsEvent>();
});
