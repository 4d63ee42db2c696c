# SPDX-License-Identifier: Apache-2.0
"""Subscriptions when something is closed, refused or taken away in the middle of something else."""
import asyncio
import threading

import pytest

import tidings
from conftest import until
from test_subscribe import FAST, both
from tidings import AccessLost, CaughtUp, Tidings


def follow(server, token, each, *patterns, blocking, **options):
    """Gives each item to `each`, with a function that closes, to the end of the subscription, which has to come."""
    options = {"backoff": FAST, **options}
    if blocking:
        with Tidings(server.url, token) as client, client.subscribe(*patterns, **options) as items:
            deadline = threading.Timer(60, items.close)
            deadline.start()
            for item in items:
                each(item, items.close)
            assert deadline.is_alive(), "it ended"
            deadline.cancel()
        return

    async def main():
        closing = []
        async with tidings.AsyncTidings(server.url, token) as client:
            async with client.subscribe(*patterns, **options) as items:
                async for item in items:
                    each(item, lambda: closing.append(asyncio.create_task(items.close())))

    asyncio.run(asyncio.wait_for(main(), 60))


@both
def test_closed_before_it_is_connected(server, blocking):
    """While the token is got, here: it is not followed behind that, and the iteration ends."""
    token = server.token()
    if blocking:

        def get(why):
            items.close()
            return token

        with Tidings(server.url, get) as client:
            items = client.subscribe("a")
            thread = threading.Thread(target=lambda: list(items), daemon=True)
            thread.start()
            thread.join(20)
            assert not thread.is_alive()
        return

    async def main():
        async def get(why):
            await items.close()
            return token

        async with tidings.AsyncTidings(server.url, get) as client:
            items = client.subscribe("a", caught_up=True)
            assert [item async for item in items] == []

    asyncio.run(asyncio.wait_for(main(), 20))


def test_closed_by_another_task(server):
    """While it waits for an event, and while it waits to come back."""

    async def main(ends):
        async with tidings.AsyncTidings(server.url, server.token()) as client:
            statuses = []
            options = {"backoff": tidings.Profile(300, 1, 300), "on_status": lambda status, _: statuses.append(status)}
            items = client.subscribe("a", caught_up=True, **options)
            assert isinstance(await anext(items), CaughtUp)
            task = asyncio.create_task(anext(items, "the end"))
            if ends:
                server.kill9()
                while "disconnected" not in statuses:
                    await asyncio.sleep(0.01)
            else:
                await asyncio.sleep(0)
            await items.close()
            assert await task == "the end" and await anext(items, "the end") == "the end"
            assert statuses[-1] == ("disconnected" if ends else "connected")

    for ends in (False, True):
        asyncio.run(asyncio.wait_for(main(ends), 20))


def test_a_token_refused_in_renewal_is_not_used(server):
    """Neither for the next connection, nor for requests, though the function should give it once more; the old one stays."""
    asked, first, sent = [], server.token(ttl="2s"), []

    def token(why):
        asked.append(why)
        return first if why == "first" else "bad"

    async def main():
        async with tidings.AsyncTidings(server.url, token) as follower:
            core = follower._driver.core
            authorization = core.authorization

            def noted():
                headers = yield from authorization()
                sent.append(core.token)
                return headers

            core.authorization = noted
            async with follower.subscribe("a", caught_up=True, backoff=FAST) as items:
                assert isinstance(await anext(items), CaughtUp)
                with pytest.raises(tidings.Unauthorized):
                    while True:
                        await follower.publish("a", "t")
                        await anext(items)

    asyncio.run(asyncio.wait_for(main(), 30))
    assert asked[:2] == ["first", "expiring"] and set(asked[2:]) == {"rejected"} and set(sent) == {first}


@both
def test_access_that_is_lost_takes_no_other_along(server, client, blocking):
    """The next connection goes on with what is left."""
    admin = Tidings(server.url, server.token("root", roles=["admin"]))
    bob, got = server.token("bob", subscribe=["a/**", "b/**"]), []

    def each(item, close):
        got.append(item)
        if isinstance(item, CaughtUp) and len(got) == 1:
            admin._driver.run(admin._driver.core.call("POST", "/api/v1/subjects/bob/revoke", b'{"subscribe":["a/**"]}'))
        elif isinstance(item, AccessLost):
            server.restart()
            client.publish("b/1", "t", "left")
        elif getattr(item, "data", None) == "left":
            close()

    follow(server, bob, each, "a/**", "b/**", caught_up=True, blocking=blocking)
    assert [item.topics for item in got if isinstance(item, AccessLost)] == [("a/**",)] and got[-1].topic == "b/1"


@both
def test_access_that_is_lost_with_a_new_connection_is_told(server, client, blocking):
    """The new token grants less than the one before; what it grants goes on where it was."""
    got, asked = [], []

    def token(why):
        asked.append(why)
        if why == "expiring":
            return None
        if why == "first":
            return server.token("bob", subscribe=["a/**", "b/**"], ttl="2s")
        client.publish("b/1", "t", "meanwhile")
        return server.token("bob", subscribe=["b/**"])

    def each(item, close):
        got.append(item)
        if getattr(item, "data", None) == "meanwhile":
            close()

    follow(server, token, each, "a/**", "b/**", since="now", blocking=blocking)
    assert isinstance(got[0], AccessLost) and got[0].topics == ("a/**",)
    assert len(got) == 2 and asked.count("rejected") == 1


@both
def test_who_is_granted_nothing_of_one_at_first_or_of_all_later_is_refused(server, blocking):
    bob = server.token("bob", subscribe=["b/**"])
    with pytest.raises(tidings.Forbidden):
        follow(server, bob, lambda item, close: None, "a/x", "b/**", blocking=blocking)
    later = server.token("bob", subscribe=["d"])
    tokens = {"first": server.token("bob", subscribe=["b/**", "c"], ttl="1s"), "rejected": later}
    with pytest.raises(tidings.Forbidden):
        follow(server, tokens.get, lambda item, close: None, "b/**", "c", blocking=blocking)
