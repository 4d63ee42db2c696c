# SPDX-License-Identifier: Apache-2.0
"""Long-polling: a page that waits."""
import threading
import time

import pytest

from clients import EVENTS, Http, Raw, problem, request


def poll_bytes(server, query, token):
    return request("GET", f"{EVENTS}?{query}", "Accept: application/json", token=token)


def parked(server, raw, query, token):
    """Sends a poll and makes sure that the server waits with it: what is asked behind it on the connection waits too, and
    another connection is served meanwhile."""
    raw.send(poll_bytes(server, query, token))
    Http(server, token).page("**")
    raw.socket.setblocking(False)
    try:
        with pytest.raises(BlockingIOError):
            raw.socket.recv(1)
    finally:
        raw.socket.settimeout(20)


def test_it_answers_as_soon_as_something_comes(server, http):
    token = server.token()
    since = http.page("**")["position"]
    with Raw(server) as raw:
        parked(server, raw, f"topic=a/**&since={since}&wait=25", token)
        began = time.monotonic()
        http.publish("b", "not for it")
        id_ = http.publish("a/1", "for it")
        page = raw.answer().json()
        assert time.monotonic() - began < 10, "long before the deadline"
        assert [e["id"] for e in page["events"]] == [id_]
        assert page["position"] == id_ and page["more"] is False


def test_it_is_empty_after_the_time(server, http):
    http.publish("other", 1)
    since = http.page("**")["position"]
    began = time.monotonic()
    page = http.page("a/**", since=since, wait=1)
    assert 1 <= time.monotonic() - began < 5
    assert page == {"events": [], "position": since, "more": False}


def test_an_empty_answer_moves_the_position_over_what_did_not_match(server, http):
    since = http.page("**")["position"]
    last = [http.publish("other", n) for n in range(3)][-1]
    page = http.page("a/**", since=since, wait=1)
    assert page["events"] == [] and page["position"] == last


def test_without_since_it_answers_at_once_with_the_position(server, http):
    id_ = http.publish("a", 1)
    began = time.monotonic()
    page = http.page("a", wait=25)
    assert time.monotonic() - began < 10
    assert page["position"] == id_ and page["events"] == []


def test_what_is_there_is_answered_at_once(server, http):
    ids = [http.publish("a", n) for n in range(3)]
    page = http.page("a", since="earliest", wait=25)
    assert [e["id"] for e in page["events"]] == ids
    assert [e["id"] for e in http.page("a", since=ids[0], wait=25, limit=1)["events"]] == ids[1:2]


def test_since_now_waits(server, http):
    http.publish("a", "old")
    with Raw(server) as raw:
        parked(server, raw, "topic=a&since=now&wait=25", server.token())
        id_ = http.publish("a", "new")
        assert [e["id"] for e in raw.answer().json()["events"]] == [id_]


def test_types_and_formats_hold_for_what_comes_too(server, http):
    with Raw(server) as raw:
        parked(server, raw, "topic=**&since=now&wait=25&type=b&format=flat", server.token())
        http.publish("a", {"n": 1}, type="a")
        http.publish("a", {"n": 2}, type="b")
        [event] = raw.answer().json()["events"]
        assert (event["n"], event["type"], event["topic"]) == (2, "b", "a")


def test_the_connection_goes_on_after_it(server, http):
    token = server.token()
    with Raw(server) as raw:
        for n in range(3):
            parked(server, raw, "topic=a&since=now&wait=25", token)
            http.publish("a", n)
            assert [e["data"] for e in raw.answer().json()["events"]] == [n]
        raw.send(request("GET", "/healthz"))
        assert raw.answer().status == 200


def test_a_request_behind_a_poll_is_answered_after_it(server, http):
    token = server.token()
    with Raw(server) as raw:
        raw.send(poll_bytes(server, "topic=a&since=now&wait=25", token) + request("GET", "/healthz"))
        http.page("**")
        http.publish("a", 1)
        first, second = raw.answer(), raw.answer()
        assert [e["data"] for e in first.json()["events"]] == [1]
        assert second.json() == {"status": "ok"}


def test_many_polls_wake_together(server, http):
    token = server.token()
    raws = [Raw(server) for _ in range(50)]
    try:
        for raw in raws:
            parked(server, raw, "topic=a/*&since=now&wait=25", token)
        id_ = http.publish("a/1", 1)
        for raw in raws:
            assert [e["id"] for e in raw.answer().json()["events"]] == [id_]
    finally:
        for raw in raws:
            raw.socket.close()


def test_resuming_loses_nothing_and_doubles_nothing(server):
    """A publisher that never rests, and a reader that knows only the last position."""
    token, total = server.token(), 600
    got = []

    def publish():
        writer = Http(server, token)
        for n in range(0, total, 3):
            writer.post([{"topic": f"a/{n % 2}", "type": "t", "data": d} for d in range(n, n + 3)])

    thread = threading.Thread(target=publish)
    http = Http(server, token)
    thread.start()
    try:
        since = "earliest"
        while len(got) < total:
            page = http.page("a/*", since=since, wait=10, limit=7)
            assert page["events"], "nothing in 10 s"
            got += page["events"]
            since = page["position"]
    finally:
        thread.join()
    assert [e["data"] for e in got] == list(range(total))


def test_resuming_over_a_restart(server, http):
    since = http.publish("a", 0)
    server.restart()
    http.publish("a", 1)
    page = http.page("a", since=since, wait=25)
    assert [e["data"] for e in page["events"]] == [1] and "gap" not in page


@pytest.mark.parametrize("wait", ["-1", "x", "1e3", "3601", "1.5"])
def test_a_bad_wait_is_refused(http, wait):
    answer = http.call("GET", params={"topic": "**", "since": "now", "wait": wait})
    assert problem(answer) == (400, "bad_request")


def test_a_reader_that_leaves_is_forgotten(server, http):
    for _ in range(20):
        with Raw(server) as raw:
            raw.send(poll_bytes(server, "topic=a&since=now&wait=25", server.token()))
    id_ = http.publish("a", 1)
    assert http.page("a", since="earliest")["position"] == id_
