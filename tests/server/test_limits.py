# SPDX-License-Identifier: Apache-2.0
"""Everything that a client can make grow has a limit, and an answer that says so."""
import json
import os
import subprocess
import time

import pytest

from clients import EVENTS, Http, Raw, Ws, problem, request
from conftest import until


def healthy(server):
    with Raw(server) as raw:
        raw.send(request("GET", "/healthz"))
        return raw.answer().status == 200


def rss_bytes(server):
    with open(f"/proc/{server.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


# --- requests that are too much ---


def test_a_url_that_is_too_long_is_414(server):
    with Raw(server) as raw:
        raw.send(request("GET", "/" + "x" * 9000))
        answer = raw.answer()
        assert answer.status == 414 and answer.json()["code"] == "too_large"
        assert answer.headers["connection"] == "close" and raw.rest() == b""


@pytest.mark.parametrize("headers", [["X: " + "y" * 20000], [f"X-{n}: y" for n in range(100)],
                                     [f"X-{n}: " + "y" * 1000 for n in range(50)], ["X" * 20000 + ": y"]],
                         ids=["long value", "many", "many long", "long name"])
def test_a_head_that_is_too_large_is_431(server, headers):
    with Raw(server) as raw:
        try:
            raw.send(request("GET", "/healthz", *headers))
        except OSError:
            pass
        answer = raw.answer()
        assert answer.status == 431 and answer.headers["connection"] == "close"
        assert raw.rest() == b""


def test_a_head_that_never_ends_is_431(server):
    with Raw(server) as raw:
        try:
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for n in range(1000):
                raw.send(b"X-%d: y\r\n" % n)
        except OSError:
            pass
        assert raw.answer().status == 431


def test_who_may_not_publish_is_told_before_the_body(server):
    with Raw(server) as raw:
        raw.send(request("POST", EVENTS, "Content-Length: 1000000"))
        assert raw.answer().status == 401
        assert raw.rest() == b""


def test_a_body_that_is_too_large_is_413(server):
    token = server.token()
    with Raw(server) as raw:  # it is refused before it has come
        raw.send(request("POST", EVENTS, "Content-Length: 5000000", token=token))
        answer = raw.answer()
        assert answer.status == 413 and answer.json()["code"] == "too_large"
        assert raw.rest() == b""
    with Raw(server) as raw:
        raw.send(request("POST", EVENTS, "Transfer-Encoding: chunked", token=token))
        try:
            for _ in range(100):
                raw.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
        except OSError:
            pass
        assert raw.answer().status == 413
    assert server.events("**") == []


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/event", "/api/v1/events/", "/API/v1/events", "//",
                                  "/%2e%2e/etc/passwd", "/../../etc/passwd", "/ws/", "/healthz/x"])
def test_an_unknown_path_is_404(server, path):
    with Raw(server) as raw:
        raw.send(request("GET", path))
        answer = raw.answer()
        assert answer.status == 404 and answer.json()["code"] == "not_found"


@pytest.mark.parametrize("method,path", [("DELETE", EVENTS), ("PUT", EVENTS), ("PATCH", EVENTS), ("TRACE", EVENTS),
                                         ("get", EVENTS), ("BREW", EVENTS), ("POST", "/healthz"), ("POST", "/")])
def test_another_method_is_405_and_says_which(server, method, path):
    with Raw(server) as raw:
        raw.send(request(method, path))
        answer = raw.answer()
        assert answer.status == 405
        allowed = answer.headers["allow"].split(", ")
        assert "GET" in allowed and method not in allowed
        raw.send(request("GET", "/healthz"))
        assert raw.answer().status == 200, "the connection goes on"


def test_a_method_without_end_is_501(server):
    with Raw(server) as raw:
        raw.send(b"X" * 100)
        assert raw.answer().status == 501


def test_preflight(server):
    with Raw(server) as raw:
        raw.send(request("OPTIONS", EVENTS, "Origin: http://localhost:5173",
                         "Access-Control-Request-Method: POST"))
        answer = raw.answer()
        assert answer.status == 204 and "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
        assert "Last-Event-ID" in answer.headers["access-control-allow-headers"]
        raw.send(request("OPTIONS", EVENTS, "Origin: http://evil.com",
                         "Access-Control-Request-Method: POST"))
        answer = raw.answer()
        assert "access-control-allow-origin" not in answer.headers


def test_an_answer_exposes_the_position_to_an_allowed_origin(http):
    answer = http.call("GET", params={"topic": "a"}, headers={"Origin": "http://127.0.0.1:3000"})
    assert answer.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:3000"
    assert "Tidings-Position" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]
    answer = http.call("GET", params={"topic": "a"}, headers={"Origin": "http://127.0.0.1.evil.com"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_too_many_topics_in_one_request(http):
    answer = http.call("GET", params={"topic": [f"a/{n}" for n in range(300)]})
    assert problem(answer) == (413, "too_large")


# --- clients that take their time ---


@pytest.mark.options("--limits.request_time", "1s")
@pytest.mark.parametrize("begin", [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\n",
                                   b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                                   b"Authorization: Bearer %TOKEN%\r\n\r\n{"],
                         ids=["nothing", "a line", "a head", "a body"])
def test_a_request_has_to_come_in_time(server, begin):
    """Slowloris: bytes that trickle in do not keep it open."""
    begin = begin.replace(b"%TOKEN%", server.token().encode())
    raws = [Raw(server) for _ in range(50)]
    try:
        for raw in raws:
            raw.send(begin)
            raw.socket.settimeout(0.05)
        ends, deadline = {}, time.monotonic() + 10
        while len(ends) < len(raws) and time.monotonic() < deadline:
            for n, raw in enumerate(raws):
                if n in ends:
                    continue
                try:
                    if begin:
                        raw.send(b"X")
                    if not raw.more():
                        ends[n] = raw.buffer
                except TimeoutError:
                    break  # the turn has lasted long enough; on with the trickle
                except OSError:
                    ends[n] = raw.buffer
            assert healthy(server), "others are served meanwhile"
        assert len(ends) == len(raws), "all are closed"
        for said in ends.values():
            assert said == b"" or said.startswith(b"HTTP/1.1 408 ")
    finally:
        for raw in raws:
            raw.socket.close()


@pytest.mark.options("--limits.request_time", "1s")
def test_a_connection_between_requests_is_closed_after_a_while(server):
    with Raw(server) as raw:
        raw.send(request("GET", "/healthz"))
        raw.answer()
        assert raw.rest() == b""


@pytest.mark.options("--limits.connections", "20")
def test_connections_are_limited_and_come_free_again(server):
    token = server.token()
    held = []
    try:
        def refused():
            raw = Raw(server)
            raw.send(request("GET", "/healthz"))
            try:
                answer = raw.answer()
            except (AssertionError, OSError):
                answer = None  # closed without a word: too many even to be told
            if answer and answer.status == 200:
                held.append(raw)
                return False
            raw.socket.close()
            return answer

        answer = until(refused, "the limit is met")
        assert (answer.status, answer.json()["code"]) == (503, "too_many_connections")
        assert "retry-after" in answer.headers
        assert 10 <= len(held) <= 20
        for raw in held:  # those who are there are not touched
            raw.send(request("GET", "/healthz"))
            assert raw.answer().status == 200
    finally:
        for raw in held:
            raw.socket.close()
    until(lambda: server.is_ready(), "places come free")
    with Ws(server, token=token) as ws:
        assert ws.receive()["type"] == "connection"


def test_out_of_descriptors(server, http):
    """Those who are connected are served; accepting goes on once there are descriptors again, without spinning."""
    with Ws(server, token=server.token()) as ws:
        ws.subscribe("a")
        http.publish("a", 0)
        assert len(ws.receive_events(1)) == 1
        in_use = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        limit = in_use + 3
        subprocess.run(["prlimit", "--pid", str(server.process.pid), f"--nofile={limit}:"], check=True)
        held = [Raw(server) for _ in range(10)]  # more than there is room for
        try:
            until(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) >= limit, "none is left")

            def cpu_ticks():
                with open(f"/proc/{server.process.pid}/stat") as stat:
                    return sum(int(n) for n in stat.read().rpartition(")")[2].split()[11:13])

            before, began = cpu_ticks(), time.monotonic()
            for n in range(20):
                id_ = http.publish("a", n)
                assert ws.receive_events(1)[0]["id"] == id_
            ws.frame(0x9, b"x")
            ws.event()
            until(lambda: time.monotonic() - began > 1, "a second has passed")
            used = (cpu_ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)
            assert used < 0.5, f"it spins: {used:.0%} of a core"
        finally:
            subprocess.run(["prlimit", "--pid", str(server.process.pid), "--nofile=4096:"], check=True)
        until(server.is_ready, "new ones are taken again", 2)
        for raw in held:
            raw.socket.close()


# --- memory ---


def test_unfinished_requests_take_little_memory(server):
    before = rss_bytes(server)
    raws = [Raw(server) for _ in range(1000)]
    try:
        for raw in raws:
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert healthy(server)
        assert rss_bytes(server) - before < 1000 * 16 * 1024
    finally:
        for raw in raws:
            raw.socket.close()


def test_pipelined_requests_that_nobody_reads_take_little_memory(server):
    """Who does not read answers is not read from."""
    token = server.token()
    http = Http(server, token)
    http.post([{"topic": "a", "type": "t", "data": "x" * 1000}] * 500)
    page = request("GET", f"{EVENTS}?topic=a&limit=500&since=earliest", token=token)
    before = rss_bytes(server)
    raws = [Raw(server, receive_buffer=4096) for _ in range(20)]
    try:
        for raw in raws:
            raw.socket.settimeout(0.2)
            try:
                for _ in range(2000):
                    raw.send(page)
            except TimeoutError:
                continue
        assert healthy(server)
        assert rss_bytes(server) - before < 60 << 20
        raws[0].socket.settimeout(20)
        assert len(raws[0].answer().json()["events"]) == 500
    finally:
        for raw in raws:
            raw.socket.close()


def test_random_bytes_break_nothing(server, http):
    import random
    dice = random.Random(7)
    seeds = [request("POST", EVENTS, body=b'{"topic":"a","type":"t"}'), request("GET", "/ws"), b"\0" * 100]
    for n in range(300):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with Raw(server) as raw:
            try:
                raw.send(bytes(data))
                raw.socket.shutdown(1)
                raw.rest()
            except OSError:
                pass
    assert server.process.poll() is None
    assert http.publish("a", 1)


# --- logs ---


@pytest.mark.options("--log.level", "debug")
def test_nothing_that_a_client_sends_forges_a_log_line(server):
    token = server.token()
    evil = 'x"\\{\x85\u2028\u202e'.encode().decode("latin-1")
    for path in (f"/ws?token={token}", f"/ws?x=%0d%0a%7b%22level%22&token={token}", f"{EVENTS}?topic=a&access_token={token}"):
        with Raw(server) as raw:
            raw.send(request("GET", path, f"User-Agent: {evil}", f"Origin: {evil}", "Upgrade: websocket",
                             "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                             f"Sec-WebSocket-Extensions: {evil}"))
            raw.more()
    log = server.log().partition("Last-Event-ID: POSITION'")[2]
    assert token not in log
    lines = [line for line in log.split("\n") if " handshake " in line]
    assert len(lines) == 3, "each is told in one line"
    assert not any(c in line for line in lines for c in "\x85\u2028\u202e\x1b\r")


@pytest.mark.options("--log.format", "json", "--log.level", "debug")
def test_each_log_line_is_one_json_document(server):
    with Ws(server, token=server.token()) as ws:
        ws.subscribe("a")
    with Ws(server) as ws:
        ws.closed()
    lines = [line for line in server.log().split("\n") if line.startswith("{")]
    assert len(lines) >= 3
    for line in lines:
        assert json.loads(line)["level"]
