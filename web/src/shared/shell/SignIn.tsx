// SPDX-License-Identifier: Apache-2.0
// Who are you? On a development server anyone of a few people; elsewhere who has a token.
import { useEffect, useState } from 'react';
import { Broken, Button, Field } from '../kit/kit.tsx';
import { people, signIn, signInWith, type Person } from '../session.ts';

export function SignIn({ what }: { what: string }) {
  const [list, setList] = useState<Person[] | null>();
  const [error, setError] = useState('');
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    people(stop.signal).then(setList, (cause: Error) => {
      if (!stop.signal.aborted) setError(cause.message === 'Failed to fetch' ? 'The server does not answer. Is it running?' : cause.message);
    });
    return () => stop.abort();
  }, [round]);
  return (
    <main className="min-h-dvh grid place-items-center p-4">
      <div className="w-full max-w-lg">
        <p className="flex items-center gap-2.5 font-semibold text-lg mb-6"><Mark /> Tidings <span className="text-faint font-normal">{what}</span></p>
        <h1 className="mb-1">Who are you?</h1>
        <p className="text-soft mb-5">Each tab has a sign-in of its own. Open two, be two people, and see what each may see.</p>
        {error && <Broken title="Can’t ask who there is" actions={<Button onClick={() => { setError(''); setRound(round + 1); }}>Try again</Button>}>{error}</Broken>}
        {!error && list === undefined && <p className="text-faint" role="status">Asking the server…</p>}
        {list && (
          <ul className="grid gap-2.5">
            {list.map(person => (
              <li key={person.sub}>
                <button type="button" onClick={() => signIn(person)}
                  className="card w-full text-left p-3.5 flex items-center gap-3.5 hover:border-accent transition-colors">
                  <Face person={person} />
                  <span className="grow min-w-0">
                    <span className="font-semibold">{person.name}</span>
                    {person.roles.length > 0 && <span className="text-faint"> · {person.roles.join(', ')}</span>}
                    <span className="block text-sm text-soft">{person.about}</span>
                  </span>
                </button>
              </li>
            ))}
          </ul>
        )}
        {list === null && <WithToken />}
      </div>
    </main>
  );
}

function WithToken() {
  const [token, setToken] = useState('');
  const [error, setError] = useState('');
  return (
    <form className="card p-4 grid gap-3" onSubmit={event => {
      event.preventDefault();
      try { signInWith(token.trim()); } catch { setError('This is no token: it has three parts with dots between, as `tidings token` prints it.'); }
    }}>
      <Field label="Token" hint="This server has no list of people. `tidings token --sub NAME --role admin` makes a token.">
        <textarea className="field font-mono text-sm" rows={4} value={token} onChange={event => setToken(event.target.value)} spellCheck={false} required />
      </Field>
      {error && <p role="alert" className="text-bad text-sm">{error}</p>}
      <div><Button type="submit" look="main">Sign in</Button></div>
    </form>
  );
}

// As in the stack of those who are present: one person, one colour.
const HUES = [4, 28, 90, 160, 195, 222, 268, 322];

function hue(sub: string) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < sub.length; i++) hash = Math.imul(hash ^ sub.charCodeAt(i), 0x01000193);
  return HUES[((hash ^ (hash >>> 13)) >>> 0) % HUES.length];
}

/** The first letter in a colour of one's own. */
export function Face({ person, small }: { person: { sub: string; name?: string }; small?: boolean }) {
  return (
    <span aria-hidden="true" className={`grid place-items-center rounded-full font-semibold uppercase shrink-0 text-white ${small ? 'size-6 text-xs' : 'size-10'}`}
      style={{ background: `hsl(${hue(person.sub)} 50% 36%)` }}>{(person.name ?? person.sub).slice(0, 1)}</span>
  );
}

export const Mark = () => (
  <svg viewBox="0 0 32 32" className="size-7" aria-hidden="true"><rect width="32" height="32" rx="8" fill="#1f5fbf" /><path d="M7 11.5h18M7 16.5h12M7 21.5h7" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" /><circle cx="23.5" cy="20" r="3" fill="#8fd694" /></svg>
);
