// SPDX-License-Identifier: Apache-2.0
// The pages of bench/browser.mjs, which bundles this twice: with LIVE and without, when nothing of @tidings is in it.  What a page is told stands
// in its fragment, as JSON: `show` (board, feed), and for the client `url`, `token`, `transports` and `backoff`.
import { createElement as h, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { createClient } from '@tidings/client';
import { TidingsProvider, useConnection, useEvents, useTopic } from '@tidings/react';

const told = JSON.parse(decodeURIComponent(location.hash.slice(1)) || '{}');
const wait = ms => new Promise(resume => { setTimeout(resume, ms); });

// ---- a small page: a list, a field that filters it, and what is new ----

const ROWS = Array.from({ length: 100 }, (_, i) => ({ id: i, name: `Sheet ${i}`, by: `user ${i % 7}` }));

function Board({ above, below }) {
  const [filter, setFilter] = useState('');
  return h('main', null,
    h('h1', null, 'Sheets'), above,
    h('input', { value: filter, placeholder: 'Filter', onChange: event => setFilter(event.target.value) }),
    h('ul', null, ROWS.filter(row => row.name.includes(filter)).map(row => h('li', { key: row.id }, h('b', null, row.name), ' by ', row.by))),
    below);
}

function News({ events }) {
  return h('ol', null, events.map(event => h('li', { key: event.id }, String(event.data))));
}

function LiveStatus() { return h('p', null, useConnection(state => state.status)); }
function LiveNews() { return h(News, { events: useEvents('rooms/1') }); }

// ---- what is published, as soon as it can be seen ----

// Tells of each event how long after it was published the frame that shows it was drawn.
function Feed({ events }) {
  const shown = useRef(new Set());
  useLayoutEffect(() => {
    const fresh = events.filter(event => !shown.current.has(event.id));
    if (!fresh.length) return;
    for (const event of fresh) shown.current.add(event.id);
    requestAnimationFrame(() => {
      // Behind this frame's drawing.
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        const now = performance.timeOrigin + performance.now();
        window.delays.push(...fresh.map(event => now - event.data.at));
        port1.close();
      };
      port2.postMessage(null);
    });
  }, [events]);
  return h('ol', null, events.map(event => h('li', { key: event.id }, event.data.text)));
}

function LiveFeed() {
  return h(Feed, { events: useEvents('news') });
}

function PolledFeed({ every }) {
  const [events, setEvents] = useState([]);
  useEffect(() => {
    let since = 'now';
    const ask = async () => {
      const answer = await fetch(`/api/v1/events?topic=news&since=${since}`, { headers: { authorization: `Bearer ${told.token}` } });
      const page = await answer.json();
      since = page.position;
      window.polling = true;
      if (page.events.length) setEvents(before => [...before, ...page.events].slice(-200));
    };
    ask();
    const timer = setInterval(ask, every);
    return () => clearInterval(timer);
  }, [every]);
  return h(Feed, { events });
}

// ---- components that follow topics ----

function Follower({ name, phases }) {
  const { phase } = useTopic(name, () => { window.got++; });
  const events = useEvents(name, { max: 20 });
  useEffect(() => {
    phases.set(name, phase);
    return () => { phases.delete(name); };
  }, [name, phase, phases]);
  return h('i', null, `${phase} ${events.length}`);
}

// Shows `count` components that follow `names` topics; `isLive` says whether all of these are.
function follow(root, client) {
  const phases = new Map();
  return {
    show(count, names) {
      const all = Array.from({ length: count }, (_, i) => h(Follower, { key: i, name: `rooms/${i % names}`, phases }));
      flushSync(() => root.render(h(TidingsProvider, { client }, all)));
    },
    clear() { flushSync(() => root.render(h(TidingsProvider, { client }))); },
    isLive: names => phases.size === names && [...phases.values()].every(phase => phase === 'live'),
    /** When, by the wall clock, all were live again; within a minute. */
    async live(names) {
      for (const end = Date.now() + 60_000; !this.isLive(names); await wait(5))
        if (Date.now() > end) throw new Error(`not live: ${JSON.stringify({ ...client.state, phases: [...phases.values()] })}`);
      return Date.now();
    },
  };
}

window.delays = [];
window.got = 0;
const root = createRoot(document.getElementById('root'));
if (LIVE) {
  const client = window.client = createClient({ url: told.url, token: told.token, transports: told.transports, backoff: told.backoff });
  client.watch(({ phase }) => { if (phase === 'online') window.onlineAt ??= performance.now(); });
  window.followers = follow(root, client);
  if (told.show !== 'none') root.render(h(TidingsProvider, { client }, told.show === 'feed' ? h(LiveFeed) : h(Board, { above: h(LiveStatus), below: h(LiveNews) })));
} else {
  root.render(told.show === 'feed' ? h(PolledFeed, { every: 2000 }) : h(Board, { above: h('p', null, 'as it was loaded'), below: h(News, { events: [] }) }));
}
