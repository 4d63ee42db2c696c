# SPDX-License-Identifier: Apache-2.0
"""Peers that want to use the server up: slowly sent requests, endless fragments, floods of pings, of subscriptions and of replays.
Each costs its own connection and a bounded piece of memory, and nobody else notices."""
import contextlib
import json

import pytest
import requests

from clients import EVENTS, Http, Opcode, Raw, Sse, Ws, many_files, request
from conftest import until

MASK = b"\0\0\0\0"
KIB = 1024


def own_bytes(server):
    """Memory of the process itself, without the log's pages."""
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) * KIB for line in status if line.startswith("RssAnon"))


def metric(server, name):
    text = requests.get(f"{server.url}/metrics", timeout=20).text
    return sum(float(line.rpartition(" ")[2]) for line in text.split("\n")
               if line.startswith(name + " ") or line.startswith(name + "{"))


# --- requests that come slowly ---


@pytest.mark.options("--limits.head_time", "1s")
def test_a_head_has_less_time_than_a_body(server, token):
    body = b'{"topic":"a","type":"t"}'
    with Raw(server) as uploading:
        uploading.send(request("POST", EVENTS, f"Content-Length: {len(body)}", token=token) + body[:5])
        heads = [Raw(server) for _ in range(20)]
        for n, raw in enumerate(heads):
            raw.send(b"GET / HTTP/1.1\r\n"[:n])
        for n, raw in enumerate(heads):  # each of them is closed, and told why where it had begun
            assert raw.rest().startswith(b"HTTP/1.1 408 ") == (n > 0)
            raw.socket.close()
        uploading.send(body[5:])
        assert uploading.answer().status == 201, "whose head is there has longer"


@pytest.mark.options("--limits.head_time", "5s")
def test_thousands_of_slow_heads(server, http, token):
    """They are held for their time, in little memory, and others are served as before."""
    before, raws = own_bytes(server), []
    with contextlib.ExitStack() as held:
        for _ in range(held.enter_context(many_files(5000))):
            raws.append(held.enter_context(Raw(server)))
            raws[-1].send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"y" * 2000)
        for raw in raws:
            raw.send(b"y" * 1000)
        with Ws(server, token=token) as ws:
            ws.subscribe("a")
            id_ = http.publish("a", 1)
            assert ws.receive_events(1)[0]["id"] == id_
        assert (own_bytes(server) - before) / len(raws) < 8 * KIB
        for raw in raws:
            assert raw.rest().startswith(b"HTTP/1.1 408 ")
    until(lambda: metric(server, "tidings_connections") <= 2, "their places come free")


# --- frames without end ---


def flood(ws, data, times):
    try:
        for _ in range(times):
            ws.socket.sendall(data)
    except OSError:
        pass  # it was closed before all was sent


def test_a_million_fragments_of_a_byte(server, http, token):
    with Ws(server, token=token) as other:
        other.subscribe("a")
        before = own_bytes(server)
        for piece in (b"\x00\x81" + MASK + b"x", b"\x00\x80" + MASK):
            with Ws(server, token=token) as ws:
                ws.until("connection")
                ws.frame(Opcode.TEXT, b"", fin=False)
                flood(ws, piece * 1000, 1000)
                assert ws.closed()[0] == 1009
        assert own_bytes(server) - before < 4 << 20
        id_ = http.publish("a", 1)
        assert other.receive_events(1)[0]["id"] == id_


def test_messages_that_never_end_are_held_in_their_own_size(server, token):
    """An object for each fragment would cost a hundred times what they bring."""
    before, held = own_bytes(server), []
    try:
        for _ in range(50):
            held.append(Ws(server, token=token))
            held[-1].until("connection")
            held[-1].frame(Opcode.TEXT, b"", fin=False)
            held[-1].socket.sendall((b"\x00\x81" + MASK + b"x") * 16000)
            held[-1].frame(Opcode.PING, b"all of it has come")
        for ws in held:
            assert ws.event().data == b"all of it has come"
        assert (own_bytes(server) - before) / len(held) < 48 * KIB
    finally:
        for ws in held:
            ws.socket.close()


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
def test_a_flood_of_control_frames_ends_its_connection(server, token, opcode):
    frame = bytes([0x80 | opcode, 0x80 | 125]) + MASK + b"p" * 125
    before = own_bytes(server)
    with Ws(server, token=token) as ws, Ws(server, token=token) as other:
        ws.until("connection")
        other.until("connection")
        flood(ws, frame * 100, 1000)
        pongs = 0
        while (event := ws.event()) is not None:
            pongs += event.opcode == Opcode.PONG
        assert ws.close_code == 4029 and ws.close_reason.startswith("rate_limited")
        assert pongs <= 1000, "it is not answered as long as it likes"
        other.send("ping")
        other.until("pong")
    assert metric(server, 'tidings_limited_total{limit="control_frames"}') == 1
    assert own_bytes(server) - before < 4 << 20


def test_a_client_may_ping_a_lot(server, token):
    with Ws(server, token=token) as ws:
        ws.until("connection")
        for n in range(100):
            ws.frame(Opcode.PING, b"%d" % n)
        assert [ws.event().data for _ in range(100)] == [b"%d" % n for n in range(100)]


# --- subscriptions ---


@pytest.mark.options("--limits.commands_per_second", "10000", "--limits.subscriptions", "500")
def test_what_subscriptions_cost_and_that_they_go(server, token):
    before, held = own_bytes(server), []
    try:
        for n in range(20):
            held.append(Ws(server, token=token))
            held[-1].until("connection")
            for part in range(0, 500, 250):
                held[-1].subscribe(*(f"deep/{n}/*/{'x' * 60}/{k}/**" for k in range(part, part + 250)))
        until(lambda: metric(server, "tidings_subscriptions") == 20 * 500, "all are counted")
        each = (own_bytes(server) - before) / (20 * 500)
        assert each < 512, f"{each:.0f} bytes a subscription"
        print(f"{each:.0f} bytes a subscription")
    finally:
        for ws in held:
            ws.socket.close()
    until(lambda: metric(server, "tidings_subscriptions") == 0, "they go with their connections")
    until(lambda: metric(server, "tidings_patterns") == 0, "and their patterns too")


@pytest.mark.options("--limits.commands_per_second", "10000")
def test_subscribing_and_leaving_again_and_again_keeps_nothing(server, http, token):
    with Ws(server, token=token) as ws:
        ws.until("connection")

        def churn(rounds):
            for n in range(rounds):
                topics = [f"churn/{n % 7}/{k}/*/x" for k in range(100)]
                ws.subscribe(*topics)
                ws.send("UNSUBSCRIBE", topics=topics)
                assert ws.until("unsubscribed")["topics"] == topics

        churn(20)
        before = own_bytes(server)
        churn(200)
        assert own_bytes(server) - before < 2 << 20
        ws.subscribe("a")
        id_ = http.publish("a", 1)
        assert ws.receive_events(1)[0]["id"] == id_


@pytest.mark.options("--limits.commands_per_second", "20")
def test_a_million_subscribes_end_at_the_rate(server, http, token):
    """What is beyond the rate is not carried out, and who goes on all the same is closed."""
    command = json.dumps({"type": "SUBSCRIBE", "topics": [f"a/{n}" for n in range(200)]}).encode()
    with Ws(server, token=token) as ws:
        ws.until("connection")
        head = b"\x81\xfe" + len(command).to_bytes(2, "big") + MASK
        flood(ws, (head + command) * 10, 100)
        assert ws.closed()[0] == 4029
    assert http.publish("a", 1)


def test_shapes_of_patterns_have_a_bound(server, http, token):
    """An event is looked up once for each shape below a prefix of its topic, so there are as many as that may cost, and room for what
    others use."""
    def pattern(n, prefix="a", name="x"):
        return "/".join([prefix, "*", *(name if n >> i & 1 else "*" for i in range(6))])

    patterns = [pattern(n) for n in range(64)]
    with Ws(server, token=token) as ws, Ws(server, token=token) as other:
        ws.until("connection")
        ws.send("SUBSCRIBE", topics=patterns)
        refused = [ws.until("command_error") for _ in range(32)]
        assert {error["code"] for error in refused} == {"too_large"} and "shapes" in refused[0]["message"]
        assert ws.until("subscribed")["topics"] == patterns[:32]
        answer = http.call("GET", params={"topic": patterns[40]})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        others = ["a/*/x", "a/*/x/*/y/**", pattern(31, name="z"), pattern(40, prefix="b")]
        assert other.subscribe(*others)["topics"] == others
        id_ = http.publish("a/1/x/x/x/x/x/7", 1)
        assert ws.receive_events(1)[0]["id"] == id_
        ids = [http.publish(topic, 1) for topic in ("a/1/x", "a/1/z/z/z/z/z/2", "b/1/2/3/4/x/5/x")]
        assert [event["id"] for event in other.receive_events(3)] == ids
    until(lambda: metric(server, "tidings_subscriptions") == 0, "they go with their connections")
    assert http.page(patterns[40])["events"] == []


def test_a_wildcard_of_a_plain_user_is_what_is_granted(server, http):
    plain = server.token("bob", subscribe=["rooms/1/**"])
    with Ws(server, token=plain) as ws:
        ws.subscribe("**")
        http.publish("secret", 1)
        id_ = http.publish("rooms/1/a", 2)
        assert ws.receive_events(1)[0]["id"] == id_


@pytest.mark.parametrize("topic", ["/".join(["a"] * 17), "a/" * 16 + "a", "x" * 65, "a" * 256, "a//b", "**/**", "a/**/b", "*x",
                                   "a/b*", "", "/", "\u2028", "a\nb", "a\0b"])
def test_deep_long_and_odd_patterns_are_refused(server, token, topic):
    with Ws(server, token=token) as ws:
        ws.until("connection")
        ws.send("SUBSCRIBE", topics=[topic])
        assert ws.until("command_error")["code"] == "bad_request"
        assert metric(server, "tidings_subscriptions") == 0


# --- pages, polls, streams ---


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=1001", "limit=99999999999999999999", "limit=1e3", "limit=",
                                   "wait=-1", "wait=99999999999", "wait=x", "since=-1", "since=9999999999.1",
                                   "since=" + "9" * 1000, "type=" + "x" * 65, "type=a%0ab", "format=xml", "topic=%00",
                                   "topic=a%0aid:+9", "topic=" + "a/" * 20, "topic=a&" * 200])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_absurd_parameters_are_refused(server, token, query, accept):
    with Raw(server) as raw:
        raw.send(request("GET", f"{EVENTS}?topic=a&{query}", f"Accept: {accept}", token=token))
        answer = raw.answer()
        assert answer.status in (400, 413), answer.body
        assert answer.headers["content-type"] == "application/problem+json"


def test_nothing_that_is_published_forms_a_second_event(server, http):
    """Line ends and their likes in every place that reaches a stream: name of the event, id, topic, key, data, actor."""
    evil = ["x\nid: 9", "x\r\ndata: 9", "x\r\revent: y", "x\n\nevent: forged\ndata: {}\n\n", "x\0y", "x\u2028id: 9", "x\u0085id: 9"]
    sub = "ann\n\nevent: forged\ndata: {}\n\n\u2028"
    mine = Http(server, server.token(sub=sub, publish=["a"]))
    with Sse(server, "topic=a", server.token(roles=["admin"])) as stream:
        stream.until("caught_up")
        for text in evil:
            for member in ("topic", "type", "key", "class"):
                event = {"topic": "a", "type": "t", "data": 1, member: text}
                assert http.post(event).status_code in (400, 403), event
            id_ = mine.publish("a", text)
            event = stream.message()
            assert (event[0], event[1]["data"], event[1]["actor"], event[2]) == ("t", text, sub, id_)


# --- replays ---


def test_greedy_readers_of_pages_get_them_all_and_others_go_on(server, http, token):
    """Pages are made in turns: those who ask for the whole log again and again wait for each other, not others for them."""
    ids = []
    for _ in range(4):
        ids += http.post([{"topic": "h", "type": "t", "data": "x" * 1000}] * 1000).json()["ids"]
    asked = [Raw(server) for _ in range(40)]
    try:
        with Ws(server, token=token) as ws:
            ws.subscribe("live")
            for raw in asked:
                raw.send(request("GET", f"{EVENTS}?topic=h&since=earliest&limit=1000", token=token) * 2)
            for n in range(20):
                id_ = http.publish("live", n)
                assert ws.receive_events(1)[0]["id"] == id_
        for raw in asked:
            for _ in range(2):
                page = raw.answer().json()
                assert page["more"] and [e["id"] for e in page["events"]] == ids[:len(page["events"])]
                assert len(page["events"]) > 500
    finally:
        for raw in asked:
            raw.socket.close()


def test_greedy_streams_get_everything_and_others_go_on(server, http, token):
    ids = []
    for _ in range(4):
        ids += http.post([{"topic": "h", "type": "t", "data": "x" * 1000}] * 1000).json()["ids"]
    greedy = []
    try:
        with Ws(server, token=token) as ws:
            ws.subscribe("live")
            for _ in range(20):
                greedy.append(Sse(server, "topic=h&since=earliest", token, receive_buffer=65536))
            for n in range(20):
                id_ = http.publish("live", n)
                assert ws.receive_events(1)[0]["id"] == id_
        for stream in greedy:
            assert [e["id"] for e in stream.receive_events(len(ids))] == ids
    finally:
        for stream in greedy:
            stream.raw.socket.close()
