# SPDX-License-Identifier: Apache-2.0
"""The server's log: what it tells of connections, that nobody forges it, and that no token is in it."""
import base64
import json

import pytest
import requests

from clients import EVENTS, Http, Raw, Sse, Ws, request
from conftest import DEADLINE_S, until

DEBUG = pytest.mark.options("--log.level", "debug", "--log.format", "json")
INFO = pytest.mark.options("--log.format", "json")
NASTY = "a\x1b[2J\x1b]0;owned\x07\u202egnp\u2066\x7f\"\\'%s%n{}\t"


def lines(server, event=None):
    """The lines of the log, each a JSON object of printable ASCII; those of one event."""
    found = []
    for line in server.log_path.read_bytes().split(b"\n"):
        if line.startswith(b"{"):
            assert all(0x20 <= byte <= 0x7e for byte in line), line
            found.append(json.loads(line, object_pairs_hook=unique))
    return [line for line in found if event in (None, line["event"])]


def unique(pairs):
    assert len({name for name, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def one(server, event, **members):
    """The one line of an event with these members."""
    def found():
        return [line for line in lines(server, event) if members.items() <= line.items()]
    until(found, f"a line {event} {members}")
    assert len(found()) == 1, found()
    return found()[0]


@INFO
def test_a_websocket_comes_and_goes(server):
    token = server.token()
    with Ws(server, token=token) as ws:
        ws.subscribe("a")
        Http(server, token).publish("a", "x" * 1000)
        ws.receive_events(1)
        came = one(server, "connect", transport="websocket")
        assert came["subject"] == "ann" and came["path"] == "/ws" and came["level"] == "info"
        assert came["peer"].startswith("127.0.0.1:") and len(came["connection"]) == 16
        ws.frame(8, (1000).to_bytes(2, "big"))
        assert ws.closed()[0] == 1000
    went = one(server, "disconnect", connection=came["connection"])
    assert (went["transport"], went["subject"], went["code"], went["reason"]) == \
        ("websocket", "ann", 1000, "closed by the client")
    assert went["sent_bytes"] > 1000 and 100 < went["received_bytes"] < 2000 and went["seconds"] >= 0
    assert went["peer"] == came["peer"]


@INFO
def test_why_a_connection_ended(server):
    token = server.token()
    with Ws(server, token=token) as ws:
        ws.until("connection")
        ws.frame(3, b"")  # a reserved opcode
        assert ws.closed()[0] == 1002
    assert one(server, "disconnect", code=1002)["reason"] == "protocol error"
    with Ws(server, path=f"{EVENTS}?topic=audit/**", token=token) as ws:
        assert ws.closed()[0] == 4003
    assert one(server, "disconnect", code=4003)["reason"].startswith("forbidden: ")
    with Sse(server, "topic=a", token) as stream:
        stream.until("caught_up")
        came = one(server, "connect", transport="sse")
        assert came["path"] == EVENTS
    went = one(server, "disconnect", connection=came["connection"])
    assert went["reason"] == "peer closed" and went["transport"] == "sse" and "code" not in went
    with Ws(server, token=token) as ws, Sse(server, "topic=a", token) as stream:
        ws.until("connection")
        stream.until("caught_up")
        assert server.stop() == 0
    assert one(server, "disconnect", code=1001)["reason"] == "going away: the server is stopping"
    assert one(server, "disconnect", transport="sse", reason="the server is stopping")


@INFO
def test_who_is_refused_is_told_and_bounded(server):
    for _ in range(50):
        with Ws(server) as ws:
            assert ws.closed()[0] == 4001
    refused = lines(server, "refused")
    assert refused[0]["reason"] == "no token was sent" and refused[0]["level"] == "info"
    seconds = {line["time"][:19] for line in refused}
    assert len(refused) <= 10 * (len(seconds) + 1)
    left_out = until(lambda: [line["left_out"] for line in lines(server, "log") if "left_out" in line]
                     and sum(line.get("left_out", 0) for line in lines(server, "log")) + len(lines(server, "refused")) == 50,
                     "the others are counted")
    assert left_out


@DEBUG
def test_a_handshake_is_told_at_debug(server):
    token = server.token()
    with Ws(server, path=f"/ws?token={token}", origin="http://localhost:99",
            headers=[("User-Agent", "Test/1"), ("Sec-WebSocket-Extensions", "permessage-deflate; x=1")],
            subprotocols=["tidings", f"bearer.{token}"]) as ws:
        ws.until("connection")
    told = one(server, "handshake")
    assert told["level"] == "debug" and told["decision"] == "accepted" and told["path"] == "/ws"
    assert told["origin"] == "http://localhost:99" and told["user_agent"] == "Test/1"
    assert told["version"] == "13" and told["protocol"] == "tidings, (hidden)"
    assert "permessage-deflate" in told["extensions"]
    with Ws(server) as ws:
        assert ws.closed()[0] == 4001
    assert one(server, "handshake", decision="no token was sent")
    answer = requests.get(f"{server.url}/ws", timeout=DEADLINE_S, headers={
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "8", "Sec-WebSocket-Key": "x"})
    assert answer.status_code == 426
    assert one(server, "handshake", version="8")["decision"] == "refused"
    with Sse(server, "topic=a", token, "Origin: http://localhost:98") as stream:
        stream.until("caught_up")
    assert one(server, "handshake", origin="http://localhost:98")["decision"] == "accepted"


@INFO
def test_at_info_nothing_is_told_of_plain_requests_and_handshakes(server):
    with Ws(server, token=server.token()) as ws:
        ws.until("connection")
    Http(server).page("a")
    until(lambda: lines(server, "disconnect"), "it has gone")
    assert {line["event"] for line in lines(server)} <= {"start", "log", "connect", "disconnect"}
    assert len(lines(server, "connect")) == 1


@DEBUG
def test_errors_are_told(server):
    token = server.token()
    assert Http(server, token).post({"topic": "jobs/1", "type": "t"}).status_code == 403
    told = one(server, "error", code="reserved_topic")
    assert told["status"] == 403 and told["path"] == EVENTS and told["level"] == "debug" and told["message"]
    with Ws(server, token=token) as ws:
        ws.send("dance")
        ws.until("command_error")
    assert one(server, "command_error")["code"] == "bad_request"


def tokens_of(server):
    """A good token, one of an unknown key, one that has no signature, and something else that is secret."""
    good = server.token()
    head, payload, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return [good, f"{head}.{payload}.{signature[::-1]}", f"{none}.{payload}.", "sesame-open-5up3rs3cr3t-and-long-enough-to-be-one"]


@DEBUG
def test_no_token_is_in_the_log_wherever_it_was_sent(server):
    http = requests.Session()
    tokens = tokens_of(server)
    for token in tokens:
        url = f"{server.url}{EVENTS}"
        calls = [
            {"headers": {"Authorization": f"Bearer {token}"}},
            {"headers": {"Authorization": f"bearer   {token}"}},
            {"headers": {"Authorization": f"Token {token}"}},
            {"headers": {"Authorization": token}},
            {"headers": {"Cookie": f"tidings={token}", "Origin": "http://localhost:1"}},
            {"headers": {"Cookie": f"tidings={token}", "Origin": "http://evil.example"}},
            {"params": {"token": token}},
            {"params": {"access_token": token, "topic": "a", "since": "nonsense"}},
            {"params": {"topic": token}},
        ]
        for call in calls:
            for method in ("GET", "POST", "DELETE"):
                http.request(method, url, timeout=DEADLINE_S, data=b"{nonsense" if method == "POST" else None,
                             **{**call, "params": {"topic": "a", **call.get("params", {})}})
        http.get(f"{server.url}/nowhere?token={token}", timeout=DEADLINE_S)
        http.get(f"{server.url}/?token={token}", timeout=DEADLINE_S)
        for path, headers, protocols in (
                ("/ws", [], ["tidings", f"bearer.{token}"]), ("/ws", [], [f"bearer.{token}"]),
                ("/ws", [], ["tidings", token]), (f"/ws?token={token}", [], None),
                (f"{EVENTS}?topic=a&access_token={token}", [], None),
                ("/ws", [("Authorization", f"Bearer {token}")], None),
                ("/ws", [("Sec-WebSocket-Version", f"{token}")], ["tidings", f"bearer.{token}"])):
            try:
                with Ws(server, path=path, headers=headers, subprotocols=protocols) as ws:
                    ws.send("auth", token=token, ref=1)
                    ws.send("SUBSCRIBE", topics=["a"], token=token)
                    ws.text(f'{{"type":"auth","token":"{token}"')  # cut
                    ws.receive()
            except Exception as exc:  # noqa: BLE001: whatever a client thinks of the answers, only the log is looked at
                assert "Error" in type(exc).__name__ or "Refused" in type(exc).__name__ or "Invalid" in type(exc).__name__
        with Raw(server) as raw:  # requests that can't be read
            raw.send(f"GET /?token={token} HTTP/9.9\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            raw.rest()
        with Raw(server) as raw:
            raw.send(f"GET / HTTP/1.1\r\nHost: x\r\n Authorization: Bearer {token}\r\n\r\n".encode())
            raw.rest()
    key = (server.data / "dev.key").read_text()
    assert server.stop() == 0
    log = server.log()
    assert len(lines(server, "handshake")) > 20 and lines(server, "error")
    # `tidings dev` prints a token of its own, on standard output, which the test has put there too.
    printed = [line for line in log.splitlines() if not line.startswith("{")]
    log = "\n".join(line for line in log.splitlines() if line.startswith("{"))
    assert any("TIDINGS_TOKEN=" in line for line in printed)
    for secret in tokens + [key.strip(), next(line for line in printed if "TIDINGS_TOKEN=" in line).split("=")[1]]:
        for part in secret.split(".")[1:] or [secret]:
            assert len(part) < 8 or part not in log


@DEBUG
def test_what_a_peer_sends_forges_no_line(server):
    token = server.token("a\x1b[2J\u202e\"}")  # 64 bytes at most, once it is escaped for topics
    smuggled = NASTY.encode()
    with Ws(server, token=token) as ws:
        ws.send("SUBSCRIBE", topics=["a"], ref=NASTY)
        ws.send(NASTY)
        ws.send("SUBSCRIBE", topics=[NASTY])
        ws.until("command_error")
    fields = [b"User-Agent: ", b"Origin: ", b"Sec-WebSocket-Extensions: ", b"Sec-WebSocket-Protocol: ",
              b"Cookie: tidings="]
    for value in (smuggled, b"x" * 15000, b"\x80\xff" * 200, b'","level":"error","event":"forged","x":"',
                  b"\\u0000\\n\\r", b"%0d%0a{\"event\":\"forged\"}"):
        for i, field in enumerate(fields):
            with Raw(server) as raw:
                raw.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                         b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                         + field + value + b"\r\n\r\n")
                assert raw.more(), (field, value)
            with Raw(server) as raw:
                raw.send(b"GET /" + (b"%0a%1b%00{" if i else value.replace(b" ", b"")) + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                raw.more()
        # All of them at once are more than fit in a line.
        with Raw(server) as raw:
            raw.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     + b"".join(field + value[:2500] + b"\r\n" for field in fields[:4]) + b"\r\n")
            raw.more()
    for bad in (b"User-Agent: a\nforged: 1\r\n", b"User-Agent: a\r{\"event\":\"forged\"}\r\n", b"User-Agent: a\x00b\r\n"):
        with Raw(server) as raw:
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + bad + b"\r\n")
            assert raw.answer().status == 400
    assert server.stop() == 0
    told = lines(server)  # each is one object of printable ASCII
    assert not [line for line in told if line["event"] == "forged"]
    assert [line for line in told if line.get("subject", "").startswith("a\x1b")]
    assert max(len(line) for line in server.log_path.read_bytes().split(b"\n")) <= 4096
    assert [line for line in told if line.get("cut")], "a line that was too long says so"
    shown = [line["user_agent"] for line in told if line["event"] == "handshake" and "user_agent" in line]
    assert max(map(len, shown)) <= 515 and any(agent.endswith("...") for agent in shown)


@pytest.mark.options("--log.level", "debug", "--log.format", "text")
def test_the_text_format_is_not_forged_either(server):
    with Raw(server) as raw:
        raw.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 b"User-Agent: \xc2\x9b2J\" level=error\xe2\x80\xae\r\n\r\n")
        raw.more()
    until(lambda: "handshake" in server.log(), "it is told")
    line = next(line for line in server.log_path.read_bytes().split(b"\n") if b" handshake " in line)
    assert all(0x20 <= byte <= 0x7e for byte in line) and b'user_agent="\\u00c2\\u009b2J\\" level=error\\u00e2' in line
