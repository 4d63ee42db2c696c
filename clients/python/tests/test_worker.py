# SPDX-License-Identifier: Apache-2.0
"""Work that is done here and reported: in order, each thing once, and exactly one end."""
import asyncio
import threading

import pytest

import tidings
from conftest import until
from tidings import Tidings
from tidings.core import Answer


def said(server, job_id):
    """What was told on the topic of the kind, and then of the job itself."""
    events = server.events(f"outside/{job_id}")
    return [
        (event["type"], {name: v for name, v in (event["data"] or {}).items() if name != "job_id"}) for event in events
    ]


def ends(server, job_id):
    events = server.events(f"jobs/{job_id}", token=server.token("root", roles=["admin"]))
    return [event["type"] for event in events if event["type"] in ("completed", "error", "cancelled")]


def test_a_worker_reports_in_order(server, client):
    with client.job("outside", {"n": "1"}, viewers=["bob"]) as job:
        job.progress(10, "begins")
        job.output("one")
        job.output("two", "stderr")
        job.log("careful", "warn")
        job.partial("zwö")
        job.partial("lf")
        job.event("custom", {"a": 1})
        job.progress(90)
        job.complete({"files": 2})
    done = client.jobs.get(job.id)
    assert (done.state, done.result, done.message, done.raw["viewers"]) == ("done", {"files": 2}, "begins", ["bob"])
    told = [(type, data) for type, data in said(server, job.id) if type != "partial"]
    assert [(type, data.get("line") or data.get("message") or data.get("a")) for type, data in told] == [
        ("output", "one"),
        ("output", "two"),
        ("log", "careful"),
        ("custom", 1),
        ("completed", None),
    ]
    text = tidings.Text()
    for type, data in said(server, job.id):
        if type == "partial":
            text.put(data)
    assert str(text) == "zwölf" and ends(server, job.id) == ["completed"]
    assert job.job.state == "done"


def test_an_exception_fails_it(server, client):
    with pytest.raises(ZeroDivisionError):
        with client.job("outside") as job:
            job.output("one")
            1 / 0
    failed = client.jobs.get(job.id)
    assert failed.state == "failed" and failed.error["code"] == "exception" and "division" in failed.error["message"]
    assert [type for type, _ in said(server, job.id)] == ["output", "error"] and ends(server, job.id) == ["error"]


def test_a_failure_that_is_said(server, client):
    with client.job("outside") as job:
        job.fail("It broke.", code="broken", details="here", suggested_actions=["Mend it."])
    assert client.jobs.get(job.id).error == {
        "code": "broken",
        "message": "It broke.",
        "details": "here",
        "suggested_actions": ["Mend it."],
    }


def test_cancelling_is_told(server, client):
    with client.job("outside", lease=3) as job:
        assert not job.cancelling
        client.jobs.cancel(job.id)
        until(lambda: job.cancelling, "it is told, by the renewal at the latest")
        job.check()
        raise AssertionError("check() raises")
    assert client.jobs.get(job.id).state == "cancelled" and ends(server, job.id) == ["cancelled"]


def test_who_was_cancelled_may_be_done_all_the_same(server, client):
    with client.job("outside") as job:
        client.jobs.cancel(job.id)
        job.complete(1)
    assert client.jobs.get(job.id).state == "done"


def test_the_lease_is_kept(server, client):
    """A quiet worker outlives its lease several times: another job with the same lease, and no worker, ends meanwhile."""
    with client.job("outside", lease=1) as job:
        for _ in range(2):
            orphan = client._driver.run(tidings.worker.start(client._driver.core, "outside", lease=1))
            assert client.jobs.wait(orphan.job.id, timeout=20).error["code"] == "orphaned"
    assert client.jobs.get(job.id).state == "done"


def test_a_lost_lease_is_told(server, client):
    """The worker is kept from reporting until its job is orphaned."""
    held, going = threading.Event(), threading.Event()
    request = client._driver._request

    def hold(sent):
        if sent.url.endswith("/events") and held.is_set():
            going.wait(20)
        return request(sent)

    client._driver._request = hold
    other = Tidings(server.url, server.token())
    with pytest.raises(tidings.LeaseLost) as raised:
        with client.job("outside", lease=1) as job:
            held.set()
            assert other.jobs.wait(job.id, timeout=20).state == "failed"
            going.set()
            until(lambda: job._reports.lost, "it is noticed")
            with pytest.raises(tidings.LeaseLost):
                job.check()
            with pytest.raises(tidings.LeaseLost):
                job.output("too late")
    assert raised.value.code == "lease_lost" and raised.value.what_to_do
    assert ends(server, job.id) == ["error"] and [type for type, _ in said(server, job.id)] == ["error"]


def test_a_refused_report_fails_the_job(server, client):
    with pytest.raises(tidings.BadRequest):
        with client.job("outside") as job:
            job.event("not a type")
    assert client.jobs.get(job.id).error["code"] == "bad_request" and ends(server, job.id) == ["error"]
    with pytest.raises(TypeError):
        with client.job("outside") as job:
            job.event("custom", {"a": object()})
    assert client.jobs.get(job.id).state == "failed"


def test_lost_answers_double_nothing(server, client):
    """Each first answer to a report is lost on the way, that to the end too."""
    request, seen = client._driver._request, set()

    def lose(sent):
        answer = request(sent)
        if sent.url.endswith("/events") and sent.body not in seen:
            seen.add(sent.body)
            return Answer(0, {}, b"lost")
        return answer

    client._driver._request = lose
    with client.job("outside") as job:
        for i in range(20):
            job.output(str(i))
            job.partial("€")
            if i % 7 == 0:
                until(lambda: not job._reports.is_due, "it is sent")
        job.complete("x")
    told = said(server, job.id)
    assert [data["line"] for type, data in told if type == "output"] == [str(i) for i in range(20)]
    assert ends(server, job.id) == ["completed"] and len(seen) > 2


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "asyncio"])
def test_kill_9_of_the_server_while_one_works(server, client, aclient, blocking):
    kills, portion = 3, 1000
    n, said_so_far, killed = portion * (kills + 1), [], []

    def kill():
        for count in range(kills):
            until(lambda: len(said_so_far) > portion * count + 500, "the worker works")
            server.restart()
            killed.append(count)

    def comes_behind(i):
        if i % portion == 0:
            until(lambda: len(killed) >= i // portion, "so much comes behind that kill")
        said_so_far.append(i)

    killer = threading.Thread(target=kill)
    killer.start()
    if blocking:
        with client.job("outside") as job:
            for i in range(n):
                comes_behind(i)
                job.output(str(i))
                job.partial("ä")
    else:

        async def main():
            async with aclient() as working, working.job("outside") as job:
                for i in range(n):
                    await asyncio.to_thread(comes_behind, i)
                    await job.output(str(i))
                    await job.partial("ä")
                return job

        job = asyncio.run(main())
    killer.join()
    told = said(server, job.id)
    assert [data["line"] for type, data in told if type == "output"] == [str(i) for i in range(n)]
    text = tidings.Text()
    for type, data in told:
        if type == "partial":
            text.put(data)
    assert str(text) == "ä" * n
    assert ends(server, job.id) == ["completed"] and told[-1][0] == "completed"


def test_the_same_with_asyncio(server, aclient):
    async def main():
        async with aclient() as client:
            async with client.job("outside", lease=1) as job:
                await job.progress(50, "half")
                await job.log("hm")
                orphan = await client._driver.run(tidings.worker.start(client._driver.core, "outside", lease=1))
                assert (await client.jobs.wait(orphan.job.id)).error["code"] == "orphaned"
                job.complete([1])
            assert (await client.jobs.get(job.id)).result == [1]
            with pytest.raises(KeyError):
                async with client.job("outside") as job:
                    raise KeyError("x")
            assert (await client.jobs.get(job.id)).state == "failed"
            async with client.job("outside", lease=3) as job:
                await client.jobs.cancel(job.id)
                while True:
                    await asyncio.sleep(0.01)
                    job.check()
            assert (await client.jobs.get(job.id)).state == "cancelled"

            async def works():
                async with client.job("outside") as job:
                    ids.append(job.id)
                    started.set()
                    await asyncio.sleep(60)

            ids, started = [], asyncio.Event()
            task = asyncio.create_task(works())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await client.jobs.get(ids[0])).state == "failed"

    asyncio.run(main())
