# SPDX-License-Identifier: Apache-2.0
"""Following topics: in order, each once, whatever becomes of connections, tokens and the server."""
import asyncio
import contextlib
import importlib.util
import itertools
import json
import random
import signal
import socket
import sys
import threading

import pytest

import tidings
from conftest import ROOT, served, until
from tidings import AccessLost, CaughtUp, Event, Gap, Tidings
from tidings.events import read_event
from tidings.feed import Feed

FAST = tidings.Profile(0.05, 1.5, 0.5)
FORMATS = ROOT / "tests" / "vectors" / "formats.json"


def collect(server, n, *patterns, blocking, token=None, url=None, each=lambda item: None, **options):
    """The first n items of a subscription, by either client."""
    if blocking:
        with Tidings(url or server.url, token or server.token()) as client, client.subscribe(
            *patterns, **options
        ) as items:
            deadline = threading.Timer(60, items.close)
            deadline.start()
            try:
                return [each(item) or item for item in itertools.islice(items, n)]
            finally:
                deadline.cancel()

    async def main():
        async with tidings.AsyncTidings(url or server.url, token or server.token()) as client:
            async with client.subscribe(*patterns, **options) as items:
                taken = []
                while len(taken) < n:
                    taken.append(await asyncio.wait_for(anext(items), 20))
                    each(taken[-1])
                return taken

    return asyncio.run(main())


both = pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "asyncio"])


@pytest.mark.parametrize("case", json.loads(FORMATS.read_text()), ids=lambda case: case["name"])
def test_formats(case):
    event = read_event(case["event"])
    assert (event.id, event.time, event.actor) == ("9f3c21aa.7", case["event"]["time"], "ann")
    assert (event.topic, event.type, event.data) == tuple(case["event"][name] for name in ("topic", "type", "data"))


@both
def test_history_then_live(server, client, blocking):
    ids = [client.publish("a/1", "t", i).id for i in range(5)]
    items = collect(server, 3, "a/*", since=ids[2], caught_up=True, blocking=blocking)
    assert [item.id for item in items[:2]] == ids[3:] and isinstance(items[2], CaughtUp)
    assert items[0] == Event(ids[3], "a/1", "t", items[0].time, 3, actor="ann")


@both
def test_state_comes_first(server, client, blocking):
    client.publish("a/1", "t", 1, key="k")
    client.publish("a/1", "t", 2)
    first, second = collect(server, 2, "a/*", caught_up=True, blocking=blocking)
    assert first.state and first.data == 1 and isinstance(second, CaughtUp)
    [only] = collect(server, 1, "a/*", state=False, caught_up=True, blocking=blocking)
    assert isinstance(only, CaughtUp)


@both
def test_types(server, client, blocking):
    client.publish_many([{"topic": "a", "type": type} for type in ("x", "y", "x")])
    assert [item.type for item in collect(server, 2, "a", since="earliest", types=["x"], blocking=blocking)] == [
        "x"
    ] * 2


@both
@pytest.mark.options(
    "--segment_bytes",
    "1MiB",
    "--retention.bytes",
    "2MiB",
    "--limits.body_bytes",
    "512KiB",
    "--limits.message_bytes",
    "64KiB",
)
def test_a_gap_is_told(server, client, blocking):
    """Of what retention has dropped; the state follows."""
    first = client.publish("a", "t", "first").id
    client.publish("a", "t", "kept", key="k")

    def is_dropped():
        client.publish("a", "t", "x" * 60_000)
        return server.events("a")[0]["id"] != first

    until(is_dropped, "retention drops the first event")
    items = collect(server, 2, "a", since=first, blocking=blocking)
    assert isinstance(items[0], Gap) and items[0].reason == "retention" and items[0].start == first
    assert items[1].state and items[1].data == "kept"


@both
def test_a_position_of_another_log(server, client, blocking):
    client.publish("a", "t", 1)
    items = collect(server, 2, "a", since="00000001.5", blocking=blocking)
    assert isinstance(items[0], Gap) and items[0].reason == "epoch" and items[1].data == 1


@both
def test_kill_9_in_mid_stream(server, client, blocking):
    """The server is killed again and again while events are published and followed: nothing is lost, nothing doubled."""
    kills, portion = 3, 150
    n, published, killed, statuses, taken = portion * (kills + 1), [], [], [], []

    def publish():
        for i in range(n):
            if i % portion == 0:
                until(lambda: len(killed) >= i // portion, "so much comes behind that kill")
            published.append(client.publish("a/b", "t", i).id)

    def follow():
        on_status = lambda status, error: statuses.append(status)  # noqa: E731
        options = {"since": "earliest", "backoff": FAST, "on_status": on_status, "blocking": blocking}
        taken.extend(collect(server, n, "a/**", **options))

    threads = [threading.Thread(target=publish), threading.Thread(target=follow)]
    for thread in threads:
        thread.start()
    for kill in range(kills):
        until(lambda: statuses.count("connected") > kill, "it follows")
        until(lambda: len(published) > portion * kill + 50, "events are published")
        server.restart()
        killed.append(kill)
    for thread in threads:
        thread.join()
    assert [(item.id, item.data) for item in taken] == list(zip(published, range(n)))
    assert statuses.count("disconnected") >= kills and statuses[:2] == ["connected", "disconnected"]


@both
def test_a_newcomer_misses_nothing_while_the_connection_breaks(server, client, blocking):
    """Who began without `since` goes on from where its first connection stood."""
    feed = Feed(patterns=["a"])
    feed.opened("9f3c21aa.4")
    assert dict(feed.query()) == {"topic": "a", "format": "event", "since": "9f3c21aa.4", "state": "1"}
    feed.take({"type": "caught_up", "control": True, "position": "9f3c21aa.4"})
    assert "state" not in dict(feed.query())


def test_duplicates_are_dropped():
    feed = Feed(patterns=["a"], since="earliest")
    message = {"id": "9f3c21aa.7", "topic": "a", "type": "t", "time": "", "data": 1}
    feed.take(message)
    feed.take(message)
    feed.take({**message, "state": True})
    feed.take({**message, "id": "9f3c21aa.8"})
    assert [(item.id, item.state) for item, _ in feed.taken] == [
        ("9f3c21aa.7", False),
        ("9f3c21aa.7", True),
        ("9f3c21aa.8", False),
    ]
    assert [position for _, position in feed.taken] == ["9f3c21aa.7", "9f3c21aa.7", "9f3c21aa.8"]


def test_position_is_behind_what_was_given(server, client):
    ids = [client.publish("a", "t", i).id for i in range(10)]
    with client.subscribe("a", since="earliest") as items:
        next(items), next(items)
        assert items.position == ids[1] and items.status == "connected"
        again = client.subscribe("a", since=items.position)
    assert next(again).id == ids[2]
    again.close()


@both
def test_errors(server, blocking):
    bob = server.token("bob", subscribe=["b/**"])
    with pytest.raises(tidings.Forbidden):
        collect(server, 1, "a/x", token=bob, blocking=blocking)
    with pytest.raises(tidings.BadRequest):
        collect(server, 1, "a//x", blocking=blocking)
    with pytest.raises(tidings.Unauthorized):
        collect(server, 1, "a", token="bad", blocking=blocking)
    server.kill9()
    with pytest.raises(tidings.ConnectionFailed):
        collect(server, 1, "a", token="x", backoff=tidings.Profile(0.01, 1, 0.01, attempts=2), blocking=blocking)


@both
def test_an_expired_token_is_replaced(server, client, blocking):
    """By reconnecting, the blocking one; in place, where there was time for it; nothing is lost."""
    asked = []

    def token(why):
        asked.append(why)
        return server.token(ttl="2s" if len(asked) == 1 else "1h")

    def publish():
        i = 0
        while len(asked) < 2:
            client.publish("a", "t", i)
            i += 1
        for _ in range(50):
            client.publish("a", "t", i)
            i += 1
        client.publish("a", "last")

    thread = threading.Thread(target=publish)
    thread.start()
    taken = []
    if blocking:
        with Tidings(server.url, token) as follower:
            for item in follower.subscribe("a", since="earliest", backoff=FAST):
                taken.append(item)
                if item.type == "last":
                    break
    else:

        async def main():
            async with tidings.AsyncTidings(server.url, token) as follower:
                async for item in follower.subscribe("a", since="earliest", backoff=FAST, on_status=on_status):
                    taken.append(item)
                    if item.type == "last":
                        break

        statuses = []
        on_status = lambda status, error: statuses.append(status)  # noqa: E731
        asyncio.run(main())
        assert statuses == ["connected"]
    thread.join()
    assert asked == ["first", "rejected" if blocking else "expiring"]
    assert [item.data for item in taken[:-1]] == list(range(len(taken) - 1)) and len(taken) > 51


@both
def test_lost_access_is_told(server, client, blocking):
    admin = tidings.Tidings(server.url, server.token("root", roles=["admin"]))
    client.publish("a/1", "t", 1)
    bob, revoked = server.token("bob", subscribe=["a/**", "b/**"]), threading.Event()

    def revoke():
        until(revoked.is_set, "bob follows")
        admin._driver.run(admin._driver.core.call("POST", "/api/v1/subjects/bob/revoke", b'{"subscribe":["a/**"]}'))

    thread = threading.Thread(target=revoke)
    thread.start()
    items = collect(
        server,
        2,
        "a/**",
        "b/**",
        since="earliest",
        token=bob,
        on_status=lambda *_: revoked.set(),
        blocking=blocking,
    )
    thread.join()
    assert items[0].data == 1 and isinstance(items[1], AccessLost) and items[1].topics == ("a/**",)


@both
def test_silence_ends_a_connection(server, monkeypatch, blocking):
    """A server that keeps the connection and says nothing is left behind its deadline, and come back to."""
    monkeypatch.setattr(Feed, "deadline_s", property(lambda self: 1.0, lambda self, value: None), raising=False)
    statuses = []

    def freeze(item):
        if not statuses.count("disconnected"):
            server.process.send_signal(signal.SIGSTOP)

    def thaw(status, error):
        statuses.append(status)
        if status == "disconnected":
            server.process.send_signal(signal.SIGCONT)

    items = collect(
        server, 2, "a", since="now", caught_up=True, backoff=FAST, on_status=thaw, each=freeze, blocking=blocking
    )
    assert all(isinstance(item, CaughtUp) for item in items) and "disconnected" in statuses


@contextlib.contextmanager
def cutting(server, seed):
    """A way to the server on which each connection is cut behind a random number of bytes."""
    random_bytes, listener, open_sockets = random.Random(seed), socket.create_server(("127.0.0.1", 0)), []

    def carry(source, target, most):
        with contextlib.suppress(OSError):
            while most > 0 and (data := source.recv(min(most, 4096))):
                target.sendall(data)
                most -= len(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                near, far = listener.accept()[0], socket.create_connection(("127.0.0.1", server.port))
                open_sockets.extend((near, far))
                threading.Thread(target=carry, args=(near, far, 1 << 30)).start()
                threading.Thread(target=carry, args=(far, near, random_bytes.randrange(1, 6000))).start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for end in (listener, *open_sockets):
            end.close()


@both
def test_connections_that_break_anywhere(server, client, blocking):
    """In the middle of a head, a frame, a chunk, a character: nothing is lost, nothing doubled."""
    client.publish_many(
        [{"topic": "a", "type": "t", "data": {"n": i, "text": "zwölf € 𝄞" * (i % 7)}} for i in range(120)]
    )
    statuses = []
    options = {
        "since": "earliest",
        "on_status": lambda status, error: statuses.append(status),
        "backoff": tidings.Profile(0, 1, 0),
    }
    with cutting(server, seed=7) as url:
        items = collect(server, 120, "a", url=url, blocking=blocking, **options)
    assert [item.data["n"] for item in items] == list(range(120)) and statuses.count("connected") > 3
    assert all(item.data["text"] == "zwölf € 𝄞" * (i % 7) for i, item in enumerate(items))


def test_close_from_another_thread(server, client):
    items = client.subscribe("a", caught_up=True)
    assert isinstance(next(items), CaughtUp)
    thread = threading.Thread(target=lambda: [None for _ in items])
    thread.start()
    items.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_replaced_connection_does_not_fight():
    from tidings.backoff import after_close
    from tidings.errors import from_close

    feed = Feed(patterns=["a"])
    with pytest.raises(tidings.Replaced):
        feed.ended(after_close(4009), from_close(4009, ""))
    assert feed.status == "error"


@both
def test_a_server_that_stops_is_come_back_to(server, client, blocking):
    statuses, taken = [], []
    client.publish("a", "t", 1)
    thread = threading.Thread(
        target=lambda: taken.extend(
            collect(
                server, 2, "a", since="earliest", on_status=lambda status, _: statuses.append(status), blocking=blocking
            )
        )
    )
    thread.start()
    until(lambda: statuses == ["connected"], "it follows")
    assert server.stop() == 0
    server.start()
    client.publish("a", "t", 2)
    thread.join()
    assert [item.data for item in taken] == [1, 2]


class TestTls:
    """The same through TLS, trusting the file that is named."""

    @pytest.fixture
    def server(self, tmp_path):
        spec = importlib.util.spec_from_file_location("test_tls", ROOT / "tests" / "server" / "test_tls.py")
        tls = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "conftest", served)  # tests/server's own
            spec.loader.exec_module(tls)
        server = tls.Secure(tmp_path)
        try:
            server.start()
            yield server
        finally:
            if server.process and server.process.poll() is None:
                server.kill9()

    def test_tls(self, server):
        url, ca, token = f"https://127.0.0.1:{server.tls_port}", str(server.certificate), server.token()
        with Tidings(url, token, ca=ca) as client:
            published = client.publish("a", "t")
            with client.subscribe("a", since="earliest") as items:
                assert next(items).id == published.id
        with Tidings(url, token, retries=tidings.Profile(0, 1, 0, attempts=0)) as stranger:
            with pytest.raises(tidings.ConnectionFailed):
                stranger.publish("a", "t")

        async def main():
            async with tidings.AsyncTidings(url, token, ca=ca) as client:
                async with client.subscribe("a", since="earliest") as items:
                    assert (await anext(items)).id == published.id

        asyncio.run(main())


def test_a_token_is_renewed_again_and_again(server, client):
    """Each refused when it has expired, as the client was told of no other in time."""
    asked = []

    def token(why):
        if why == "expiring":
            return None
        asked.append(why)
        return server.token(ttl="1s")

    async def main():
        async with tidings.AsyncTidings(server.url, token) as follower:
            async with follower.subscribe("a", since="earliest", backoff=FAST) as items:
                for i in range(3):
                    until_asked = len(asked)
                    while len(asked) <= until_asked:
                        with contextlib.suppress(asyncio.TimeoutError):
                            await asyncio.wait_for(anext(items), 0.1)
                client.publish("a", "t", "x")
                assert (await asyncio.wait_for(anext(items), 20)).data == "x"

    asyncio.run(main())
    assert asked[0] == "first" and set(asked[1:]) == {"rejected"}
