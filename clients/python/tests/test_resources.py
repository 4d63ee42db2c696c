# SPDX-License-Identifier: Apache-2.0
"""Entities, locks, presence, and jobs that the server runs."""
import asyncio
import threading

import pytest

import tidings
from conftest import until
from tidings import Tidings


def test_entities(server, client):
    entities = client.entities
    made = entities.put("apps", "a1", {"name": "shop", "size": 1})
    assert (made.type, made.id, made.version, made.payload, made.actor) == (
        "apps",
        "a1",
        1,
        {"name": "shop", "size": 1},
        "ann",
    )
    assert entities.get("apps", "a1") == made
    changed = entities.patch("apps", "a1", {"size": None}, if_match=made)
    assert (changed.version, changed.payload) == (2, {"name": "shop"})
    assert entities.delete("apps", "a1", if_match=2).payload == {"name": "shop"}
    with pytest.raises(tidings.NotFound):
        entities.get("apps", "a1")
    assert entities.put("apps", "null", None).payload is None


def test_version_conflicts_carry_the_current_one(server, client):
    made = client.entities.put("apps", "a1", {"n": 1}, new=True)
    client.entities.put("apps", "a1", {"n": 2})
    for condition in ({"if_match": made}, {"if_match": 1}, {"new": True}):
        with pytest.raises(tidings.VersionConflict) as raised:
            client.entities.put("apps", "a1", {"n": 3}, **condition)
        assert raised.value.current["version"] == 2 and raised.value.current["payload"] == {"n": 2}
        assert raised.value.code == "version_conflict" and raised.value.what_to_do
    with pytest.raises(tidings.VersionConflict) as raised:
        client.entities.put("apps", "none", {}, if_match="*")
    assert raised.value.current is None


def test_of_two_writers_one_wins(server, client):
    """Each adds one to a number, on the version that it read, 10 times: none is lost."""
    client.entities.put("apps", "n", {"n": 0})

    def count():
        done = 0
        while done < 10:
            read = client.entities.get("apps", "n")
            try:
                client.entities.put("apps", "n", {"n": read.payload["n"] + 1}, if_match=read)
                done += 1
            except tidings.VersionConflict:
                pass

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = client.entities.get("apps", "n")
    assert (last.payload["n"], last.version) == (30, 31)


def test_lists_go_over_pages(server, client, monkeypatch):
    for i in range(5):
        client.entities.put("apps", f"a{i}", i)
    call = tidings.core.Core.call

    def small(self, method, path, body=None, *, query=(), **more):
        return call(self, method, path, body, query=[(n, "2" if n == "limit" else v) for n, v in query], **more)

    monkeypatch.setattr(tidings.core.Core, "call", small)
    assert [entity.payload for entity in client.entities.list("apps")] == list(range(5))
    ids = sorted(client.jobs.start("quick").id for _ in range(3))
    assert sorted(job.id for job in client.jobs.list(kind="quick")) == ids


def test_a_lock_is_held_renewed_and_given_back(server, client):
    with Tidings(server.url, server.token("bob")) as bob, client.lock("projects/42", ttl=1) as lock:
        position = bob.publish("other", "t").position
        with pytest.raises(tidings.LockHeld) as raised:
            with bob.lock("projects/42"):
                pass
        assert raised.value.holder == "ann" and raised.value.more["fence"] == lock.fence
        with bob.subscribe("locks/projects/42", since=position) as events:
            assert [next(events).type for _ in range(4)] == ["lock_renewed"] * 4  # longer than its ttl
        lock.check()
        assert bob.lock_holder("projects/42").holder == "ann"
    assert client.lock_holder("projects/42") is None


def test_a_lock_is_waited_for(server, client):
    fences = []

    def work(sub):
        with Tidings(server.url, server.token(sub)) as worker:
            with worker.lock("a/b", wait=20) as lock:
                fences.append(lock.fence)

    with client.lock("a/b") as lock:
        fences.append(lock.fence)
        threads = [threading.Thread(target=work, args=(sub,)) for sub in ("bob", "cid")]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert len(fences) == 3 and fences == sorted(set(fences))


def test_a_lost_lock_is_told(server, client):
    root = Tidings(server.url, server.token("root", roles=["admin"]))
    with client.lock("a/b", ttl=1) as lock:
        root._driver.run(tidings.locks.release(root._driver.core, "a/b"))
        with root.lock("a/b"):
            until(lambda: lock.lost, "it is noticed")
            with pytest.raises(tidings.LockLost):
                lock.check()
        assert root.lock_holder("a/b") is None
    with client.lock("a/b", ttl=1) as lock:
        root._driver.run(tidings.locks.release(root._driver.core, "a/b"))
        until(lambda: lock.lost, "it is noticed, though nobody else took it")
    assert client.lock_holder("a/b") is None


@pytest.mark.options("--presence.topics", "projects/*")
def test_presence(server, client):
    with client.subscribe("projects/42", caught_up=True) as items:
        next(items)
        there = client.presence("projects/42")
        assert there.count == 1 and [user.user for user in there.users] == ["ann"]
    with pytest.raises(tidings.NotFound):
        client.presence("rooms/1")


def test_jobs(server, client):
    job = client.jobs.start("quick", viewers=["bob"])
    done = client.jobs.wait(job.id, timeout=20)
    assert (done.state, done.result, done.has_ended) == ("done", {"n": 3}, True)
    assert client.jobs.get(job.id).raw["viewers"] == ["bob"]
    states = [job.state for job in client.jobs.watch(job.id)]
    assert states == ["done"]
    with pytest.raises(tidings.NotFound):
        client.jobs.get("0" * 32)
    with pytest.raises(tidings.BadRequest):
        client.jobs.start("unknown")


def test_a_job_is_cancelled(server, client):
    job = client.jobs.start("wait")
    with pytest.raises(TimeoutError):
        client.jobs.wait(job.id, timeout=0.2)
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(job.state for job in client.jobs.watch(job.id)))
    thread.start()
    assert client.jobs.cancel(job.id) in ("cancelling", "cancelled")
    assert client.jobs.wait(job.id).state == "cancelled"
    thread.join()
    assert seen[-1] == "cancelled"
    assert [job.id for job in client.jobs.list(state="cancelled")] == [job.id]


def test_the_same_with_asyncio(server, aclient):
    async def main():
        async with aclient() as client, aclient("bob") as bob:
            made = await client.entities.put("apps", "a1", {"n": 1})
            with pytest.raises(tidings.VersionConflict) as raised:
                await client.entities.patch("apps", "a1", {"n": 2}, if_match=7)
            assert raised.value.current["version"] == made.version
            assert await client.entities.list("apps") == [made]
            async with client.lock("a/b", ttl=1) as lock:
                position = (await bob.publish("other", "t")).position
                with pytest.raises(tidings.LockHeld):
                    async with bob.lock("a/b"):
                        pass
                async with bob.subscribe("locks/a/b", since=position) as events:
                    assert [(await anext(events)).type for _ in range(4)] == ["lock_renewed"] * 4
                lock.check()
            assert await client.lock_holder("a/b") is None
            job = await client.jobs.start("wait")
            watched = []

            async def watch():
                async for seen in client.jobs.watch(job.id):
                    watched.append(seen.state)
                    if len(watched) == 1:
                        await client.jobs.cancel(job.id)

            await asyncio.wait_for(watch(), 20)
            assert watched[-1] == "cancelled"
            assert (await client.jobs.wait(job.id)).state == "cancelled"

    asyncio.run(main())
