# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: everyone is told and let go, what is under way is answered, and all resume at the next start."""
import signal
import threading
import time

import pytest
import requests

from clients import EVENTS, Http, Raw, Sse, Ws, request
from conftest import until


def drain(server):
    server.process.send_signal(signal.SIGTERM)
    until(lambda: "draining" in server.log(), "it has begun")


def exit_status(server):
    return server.process.wait(20)


def test_a_websocket_is_told_then_closed_1001(server):
    with Ws(server, token=server.token()) as ws:
        ws.subscribe("a")
        drain(server)
        message = ws.until("draining")
        assert 1 <= message["retry_after"] <= 30 and message["control"] is True
        assert ws.closed()[0] == 1001
    assert exit_status(server) == 0


def test_retry_after_is_spread(server):
    token = server.token()
    all_ws = [Ws(server, token=token) for _ in range(20)]
    try:
        for ws in all_ws:
            ws.until("connection")
        drain(server)
        assert len({ws.until("draining")["retry_after"] for ws in all_ws}) > 1
    finally:
        for ws in all_ws:
            ws.socket.close()
    assert exit_status(server) == 0


def test_a_stream_gets_retry_and_ends(server):
    with Sse(server, "topic=a", server.token()) as stream:
        stream.until("caught_up")
        before = stream.retry
        drain(server)
        stream.retry = None
        assert stream.message() is None
        assert stream.retry is not None and stream.retry >= 1000, before
    assert exit_status(server) == 0


def test_a_long_poll_is_answered(server):
    http = Http(server)
    since = http.page("**")["position"]
    with Raw(server) as raw:
        raw.send(request("GET", f"{EVENTS}?topic=a&since={since}&wait=60", token=server.token()))
        http.page("**")
        drain(server)
        page = raw.answer().json()
        assert page["events"] == [] and page["position"] == since
    assert exit_status(server) == 0


@pytest.mark.options("--drain", "5s")
def test_publishes_are_refused_503_and_say_so(server):
    token = server.token()
    body = b'{"topic":"a","type":"t"}'
    publish = request("POST", EVENTS, "Content-Type: application/json", body=body, token=token)
    with Raw(server) as raw:
        raw.send(publish[:-1])  # a request that has begun keeps its connection
        until(lambda: "tidings" in Http(server).call("GET", "/metrics").text, "it is served")
        drain(server)
        # It takes a tick until the worker has seen the signal: then it listens no more.
        until(lambda: not accepts(server), "no more connections are taken")
        raw.send(publish[-1:])
        answer = raw.answer()
        assert answer.status == 503 and answer.json()["code"] == "draining"
        assert int(answer.headers["retry-after"]) >= 1 and answer.headers["connection"] == "close"
    assert exit_status(server) == 0
    server.start()
    assert server.events("**") == []


def accepts(server):
    try:
        Raw(server).socket.close()
        return True
    except OSError:
        return False


@pytest.mark.options("--drain", "2s")
def test_who_does_not_leave_is_dropped_in_time(server):
    with Raw(server) as raw:
        raw.send(b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert Http(server).call("GET", "/healthz").status_code == 200
        began = time.monotonic()
        drain(server)
        assert exit_status(server) == 0
        assert time.monotonic() - began < 6


def test_what_was_under_way_is_answered_and_kept(server):
    token = server.token()
    batch = b"".join(request("POST", EVENTS, "Content-Type: application/json", token=token,
                             body=b'{"topic":"a","type":"t","data":%d}' % n) for n in range(200))
    with Raw(server) as raw:
        raw.send(batch)
        server.process.send_signal(signal.SIGTERM)
        acked = []
        while True:
            while b"\r\n\r\n" not in raw.buffer and raw.more():
                pass
            if b"\r\n\r\n" not in raw.buffer:
                break
            answer = raw.answer()
            assert answer.status in (201, 503)
            if answer.status == 201:
                assert len(acked) == 0 or acked[-1] != answer.json()["id"]
                acked.append(answer.json()["id"])
    assert exit_status(server) == 0
    server.start()
    events = server.events("a")
    assert [e["id"] for e in events][:len(acked)] == acked


def test_everyone_resumes_after_a_restart(server):
    token = server.token()
    http = Http(server, token)
    ids = [http.publish("a", n) for n in range(10)]
    with Ws(server, token=token) as ws, Sse(server, "topic=a", token) as stream:
        ws.subscribe("a")
        stream.until("caught_up")
        ids.append(http.publish("a", 10))
        last = ws.receive_events(1)[0]["id"]
        assert stream.receive_events(1)[0]["id"] == last == ids[-1]
        drain(server)
        assert ws.closed()[0] == 1001
        assert stream.message() is None
    assert exit_status(server) == 0
    server.start()
    http = Http(server, token)
    assert "cut" not in http.call("GET", "/readyz").text
    new = [http.publish("a", n) for n in range(11, 15)]
    with Ws(server, token=token) as ws:
        ws.subscribe("a", since=last)
        assert [e["id"] for e in ws.receive_events(4)] == new
    with Sse(server, "topic=a", token, f"Last-Event-ID: {last}") as stream:
        assert [e["id"] for e in stream.receive_events(4)] == new
    page = http.page("a", since=last)
    assert [e["id"] for e in page["events"]] == new and "gap" not in page


def test_a_slow_reader_does_not_hold_the_end_for_ever(server):
    token = server.token()
    http = Http(server, token)
    with Ws(server, token=token, receive_buffer=4096) as ws:
        ws.subscribe("a")
        for _ in range(20):
            http.post([{"topic": "a", "type": "t", "data": "x" * 1000}] * 1000)
        began = time.monotonic()
        drain(server)
        assert exit_status(server) == 0
        assert time.monotonic() - began < 15


@pytest.mark.options("--drain", "1h", "--limits.request_time", "1h")
def test_a_second_signal_ends_it_at_once(server):
    token = server.token()
    http = Http(server, token)
    with Ws(server, token=token, receive_buffer=4096) as ws:
        ws.subscribe("a")
        for n in range(20):  # more than fits on the way to a reader that does not read, nor leaves
            last = http.post([{"topic": "a", "type": "t", "data": "x" * 1000}] * 1000)
        http.session.close()
        drain(server)
        until(lambda: not accepts(server), "the worker drains")
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert exit_status(server) == 0
    assert "stopping at once" in server.log()
    server.start()
    assert server.events("a")[-1]["id"] == last.json()["ids"][-1], "what was acknowledged is there"


def test_sigint_stops_it_as_well(server):
    server.process.send_signal(signal.SIGINT)
    assert exit_status(server) == 0


def test_a_request_that_never_came_whole_is_told_503(server):
    with Raw(server) as raw:
        raw.send(b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-")
        drain(server)
        assert raw.answer().status == 503
    assert exit_status(server) == 0


class Publisher(threading.Thread):
    """Publishes numbers, each until it is acknowledged, whatever happens to the server meanwhile."""

    def __init__(self, server, name, token):
        super().__init__(daemon=True)
        self.server, self.name, self.token = server, name, token
        self.acked, self.enough = [], threading.Event()

    def run(self):
        http = Http(self.server, self.token)
        while not self.enough.is_set():
            n = len(self.acked)
            while len(self.acked) == n:
                try:
                    answer = http.post({"topic": "a", "type": "t", "data": [self.name, n]},
                                       Idempotency_Key=f"{self.name}-{n}")
                except requests.ConnectionError:
                    self.enough.wait(0.01)  # between two servers
                    continue
                assert answer.status_code in (201, 503), answer.text
                if answer.status_code == 201:
                    self.acked.append(answer.json()["id"])
                else:
                    assert answer.json()["code"] == "draining"


def test_restarts_under_load_lose_and_double_nothing(server):
    token = server.token()
    publishers = [Publisher(server, f"p{n}", token) for n in range(4)]
    for publisher in publishers:
        publisher.start()
    heard, last = [], "earliest"
    try:
        for _ in range(3):
            with Ws(server, token=token) as ws:
                ws.subscribe("a", since=last)
                new = ws.receive_events(20)
                server.process.send_signal(signal.SIGTERM)
                while (message := ws.receive()) is not None:
                    new += [message] if not message.get("control") else []
                assert ws.close_code == 1001
            heard += new
            last = new[-1]["id"]
            assert exit_status(server) == 0
            server.start()
    finally:
        for publisher in publishers:
            publisher.enough.set()
    for publisher in publishers:
        publisher.join(20)
        assert not publisher.is_alive()
    events = server.events("a")
    assert [e["id"] for e in events][:len(heard)] == [e["id"] for e in heard]
    for publisher in publishers:
        mine = [e for e in events if e["data"][0] == publisher.name]
        assert [e["id"] for e in mine][:len(publisher.acked)] == publisher.acked
        assert [e["data"][1] for e in mine] == list(range(len(mine)))
