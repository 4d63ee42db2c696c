// SPDX-License-Identifier: Apache-2.0
// Which client the hooks below a provider speak through.
import { createContext, createElement, useContext, useEffect, useInsertionEffect, useRef, useState } from 'react';
import type { ReactElement, ReactNode, RefObject } from 'react';
import { createClient } from '@tidings/client';
import type { Client, ClientOptions } from '@tidings/client';
import { LINGER } from './share.ts';

/** The client of the nearest provider; null outside of one. */
export const TidingsContext = createContext<Client | null>(null);

export interface TidingsProviderProps {
  /** A client of yours: it is opened on mount, and closing it stays yours. */
  client?: Client;
  /** Or how to make one: read on the first render only. It is closed a second after the provider is gone. */
  options?: ClientOptions;
  /**
   * When it is given, it rules: nothing is opened while it is null (nobody is signed in), another one takes over on the open
   * connection, and null again closes. Without it, `options.token` or the cookie speaks from the start.
   */
  token?: string | null;
  children?: ReactNode;
}

/** A value that callbacks may read: that of the latest render that was shown. */
export function useLatest<T>(value: T): RefObject<T> {
  const latest = useRef(value);
  useInsertionEffect(() => { latest.current = value; });
  return latest;
}

// Before a token ends another one is asked for; here it comes by a render, and until then there is none to give.
function givenBy(token: RefObject<string | null | undefined>): ClientOptions['token'] {
  let given: string | null;
  return why => {
    const now = token.current ?? null;
    if (why === 'expiring' && now === given) throw new Error('The token ends: give the provider another one.');
    return given = now;
  };
}

export function TidingsProvider(props: TidingsProviderProps): ReactElement {
  const { token, children } = props;
  const latestToken = useLatest(token);
  const [made] = useState<Client | null>(() => {
    if (props.client) return null;
    if (!props.options) throw new Error('TidingsProvider needs `client` or `options`.');
    return createClient(token === undefined ? props.options : { ...props.options, token: givenBy(latestToken) });
  });
  const client = props.client ?? made!;
  const signedIn = token !== null;
  // Closing waits, because StrictMode takes every component away and puts it back, and that should not cost a connection.
  const closing = useRef<{ client: Client; timer: unknown }>(undefined);
  const shown = useRef<{ client: Client; token?: string | null }>(undefined);

  // Before it is opened again: a client that was closed would send the token of who was there before.
  useEffect(() => {
    const before = shown.current;
    shown.current = { client, token };
    if (!token || before?.client !== client || before.token === token) return;
    // A token that the server does not take shows as the connection's state.
    client.reauth(token).catch(() => undefined);
  }, [client, token]);

  useEffect(() => {
    if (closing.current?.client === client) client.clock.clearTimeout(closing.current.timer);
    closing.current = undefined;
    if (!signedIn) return client.close();
    client.open();
    return () => {
      if (client !== made) return;
      closing.current = { client, timer: client.clock.setTimeout(() => client.close(), LINGER) };
    };
  }, [client, made, signedIn]);

  return createElement(TidingsContext.Provider, { value: client }, children);
}

/** The client: to publish, to start, to ask; for what goes on, use the hooks. */
export function useTidings(): Client {
  const client = useContext(TidingsContext);
  if (!client) throw new Error('There is no <TidingsProvider> above this component.');
  return client;
}
