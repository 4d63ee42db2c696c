# SPDX-License-Identifier: Apache-2.0
"""The wall clock jumps while the server runs: nobody is thrown out for it, and nothing is lost or told twice."""
import base64
import hashlib
import hmac
import json
import pathlib

import pytest

from clients import Http, Sse, Ws
from conftest import Server, until

FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
pytestmark = pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed")
HOUR_S = 3600
YEAR_S = 365 * 24 * HOUR_S


class Clocked(Server):
    """A server whose wall clock the test sets; the monotonic one runs on, as it does on a machine."""

    def jump(self, seconds):
        self.offset.write_text(f"{seconds:+d}\n")

    @property
    def offset(self):
        return self.directory / "offset"


@pytest.fixture
def clocked(tmp_path, monkeypatch):
    server = Clocked(tmp_path, ["--auth.exp_optional", "true", "--heartbeat.interval", "1s", "--heartbeat.timeout", "1s",
                                "--heartbeat.stream", "1s", "--retention.age", "0"])
    server.jump(0)
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(server.offset))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    server.start()
    monkeypatch.delenv("LD_PRELOAD")  # only the server's clock jumps
    yield server
    if server.process.poll() is None:
        server.kill9()


def endless_token(server):
    """One without `exp`, which `tidings token` does not sign."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps({"sub": "ann"}).encode())
    key = (server.data / "dev.key").read_bytes().strip()
    return (text + b"." + part(hmac.new(key, text, hashlib.sha256).digest())).decode()


@pytest.mark.parametrize("jump", [HOUR_S, -HOUR_S, 10 * YEAR_S, -10 * YEAR_S])
def test_connections_events_and_repeats_outlive_a_jump(clocked, jump):
    token = endless_token(clocked)
    http = Http(clocked, token)
    with Ws(clocked, token=token) as ws, Sse(clocked, "topic=a", token) as stream:
        ws.subscribe("a")
        stream.until("caught_up")
        first = http.publish("a", 0)
        repeated = http.post({"topic": "a", "type": "t"}, Idempotency_Key="k").json()["id"]
        clocked.jump(jump)
        second = http.publish("a", 1)
        ids = [first, repeated, second]
        events = ws.receive_events(3)
        assert [e["id"] for e in events] == ids == [e["id"] for e in stream.receive_events(3)]
        years = {e["time"][:4] for e in events}
        assert len(years) == (1 if abs(jump) < YEAR_S else 2), "the clock has jumped"
        # Two heartbeats later everyone is there, and was told so in time.
        for _ in range(2):
            ws.until("heartbeat")
            assert stream.block()[2] is not None
        if abs(jump) < 24 * HOUR_S:
            again = http.post({"topic": "a", "type": "t"}, Idempotency_Key="k")
            assert again.json()["id"] == repeated
        last = http.publish("a", 2)
        assert ws.receive_events(1)[0]["id"] == last
    with Ws(clocked, token=token) as ws:
        ws.subscribe("a", since=first)
        assert [e["id"] for e in ws.receive_events(3)] == [repeated, second, last]
    assert clocked.stop() == 0


def test_a_token_ends_by_the_wall_clock(clocked):
    token = clocked.token(ttl="30m")
    with Ws(clocked, token=token) as ws:
        ws.until("connection")
        clocked.jump(HOUR_S)
        assert ws.closed()[0] == 4001
    assert Http(clocked, token).call("GET", params={"topic": "a"}).json()["code"] == "token_expired"
    clocked.jump(0)
    with Ws(clocked, token=token) as ws:
        ws.until("connection")


def test_a_drain_takes_its_time_by_the_other_clock(clocked):
    with Ws(clocked, token=clocked.token()) as ws:
        ws.until("connection")
        clocked.jump(-10 * YEAR_S)
        assert clocked.stop() == 0
        assert ws.closed()[0] == 1001
    assert until(lambda: "stopped" in clocked.log(), "it has ended by itself")
