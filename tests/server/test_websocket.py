# SPDX-License-Identifier: Apache-2.0
"""WebSocket: the handshake, the commands, and RFC 6455 where a client breaks it."""
import json

import pytest
from websockets.frames import Frame, Opcode

from clients import EVENTS, Raw, Ws, WsRefused, problem, request

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = "Sec-WebSocket-Version: 13"
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")


@pytest.fixture
def ws(server, token):
    with Ws(server, token=token) as ws:
        assert ws.receive()["type"] == "connection"
        yield ws


def handshake(server, *headers, path="/ws", method="GET"):
    with Raw(server) as raw:
        raw.send(request(method, path, *headers))
        answer = raw.answer()
        if answer.status != 101:
            assert raw.rest() == b"", "what follows a refused upgrade is not read"
        return answer


# --- the handshake ---


def test_a_good_handshake(server, token):
    answer = handshake(server, *UPGRADE, KEY, VERSION, f"Authorization: Bearer {token}")
    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.headers["upgrade"].lower() == "websocket"
    assert answer.headers["connection"].lower() == "upgrade"
    assert "sec-websocket-protocol" not in answer.headers
    assert "sec-websocket-extensions" not in answer.headers


@pytest.mark.parametrize("headers", [
    ("upgrade: WebSocket", "connection: keep-alive, UPGRADE", KEY, VERSION),
    ("Upgrade: h2c, websocket", "Connection: keep-alive", "Connection: Upgrade", KEY, VERSION),
    (*UPGRADE, KEY, VERSION, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
    (*UPGRADE, KEY, VERSION, "Sec-WebSocket-Extensions: x-unknown; a=1"),
    (*UPGRADE, KEY, VERSION, "Content-Length: 0"),
])
def test_other_spellings_are_as_good(server, token, headers):
    assert handshake(server, *headers, f"Authorization: Bearer {token}").status == 101


@pytest.mark.parametrize("status,headers", [
    (400, (*UPGRADE, VERSION)),
    (400, (*UPGRADE, "Sec-WebSocket-Key:", VERSION)),
    (400, (*UPGRADE, "Sec-WebSocket-Key: AAAA", VERSION)),
    (400, (*UPGRADE, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", VERSION)),
    (400, (*UPGRADE, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXh4", VERSION)),
    (400, (*UPGRADE, "Sec-WebSocket-Key: !!!!IHNhbXBsZSBub25jZQ==", VERSION)),
    (400, (*UPGRADE, KEY)),
    (426, (*UPGRADE, KEY, "Sec-WebSocket-Version: 8")),
    (426, (*UPGRADE, KEY, "Sec-WebSocket-Version: 14")),
    (426, ("Upgrade: websocket", KEY, VERSION)),
    (426, ("Connection: Upgrade", KEY, VERSION)),
    (426, ("Upgrade: h2c", "Connection: Upgrade", KEY, VERSION)),
    (426, (KEY, VERSION)),
    (400, (*UPGRADE, KEY, VERSION, "Content-Length: 5")),
    (400, (*UPGRADE, KEY, VERSION, "Transfer-Encoding: chunked")),
])
def test_a_bad_handshake_is_refused(server, token, status, headers):
    with Raw(server) as raw:
        raw.send(request("GET", "/ws", *headers, f"Authorization: Bearer {token}", "Connection: close"))
        answer = raw.answer()
    assert answer.status == status
    if status == 426:
        assert answer.headers["sec-websocket-version"] == "13"
        assert answer.headers["upgrade"].lower() == "websocket"


def test_two_keys_are_refused(server, token):
    other = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    assert handshake(server, *UPGRADE, KEY, other, VERSION, f"Authorization: Bearer {token}").status == 400


def test_http_1_0_can_not_upgrade(server, token):
    with Raw(server) as raw:
        raw.send(request("GET", "/ws", *UPGRADE, KEY, VERSION, token=token).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert raw.answer().status in (400, 426)


def test_post_can_not_upgrade(server, token):
    answer = handshake(server, *UPGRADE, KEY, VERSION, f"Authorization: Bearer {token}", method="POST")
    assert answer.status == 405 and "GET" in answer.headers["allow"]


def test_nothing_behind_a_refused_upgrade_is_executed(server, http, token):
    body = b'{"topic":"a","type":"t"}'
    with Raw(server) as raw:
        raw.send(request("GET", "/ws", *UPGRADE, KEY, "Sec-WebSocket-Version: 8", token=token) +
                 request("POST", EVENTS, body=body, token=token))
        assert raw.answer().status == 426
        assert raw.rest() == b""
    assert server.events("**") == []


def test_frames_that_come_with_the_handshake_are_read(server, token):
    with Raw(server) as raw:
        raw.send(request("GET", "/ws", *UPGRADE, KEY, VERSION, token=token) +
                 b"\x81\x84\0\0\0\0ping" + b"\x89\x80\0\0\0\0")
        assert raw.answer().status == 101
        raw.until(b"\x81\x04pong")
        raw.until(b"\x8a\x00")


def test_a_handshake_in_single_bytes(server, token):
    with Raw(server) as raw:
        for byte in request("GET", "/ws", *UPGRADE, KEY, VERSION, token=token) + b"\x89\x81\0\0\0\0x":
            raw.send(bytes([byte]))
        assert raw.answer().status == 101
        raw.until(b"\x8a\x01x")


# --- who is it ---


def test_without_a_token_it_is_accepted_and_closed_4001(server):
    for arguments in ({}, {"token": "nonsense"}, {"path": "/ws?token=a.b.c"},
                      {"subprotocols": ["tidings", "bearer.x"]}):
        with Ws(server, **arguments) as ws:
            code, reason = ws.closed()
            assert code == 4001 and reason.startswith("Unauthorized: ")


def test_the_subprotocol_carries_a_token_and_never_comes_back(server, token):
    with Ws(server, subprotocols=["tidings", f"bearer.{token}"]) as ws:
        assert ws.subprotocol == "tidings"
        assert ws.receive()["user"] == "ann"
    assert token not in repr(ws.response.headers)
    with Ws(server, subprotocols=[f"bearer.{token}"]) as ws:
        assert ws.subprotocol is None
        assert ws.receive()["type"] == "connection"
    with Ws(server, token=token, subprotocols=["chat"]) as ws:
        assert ws.subprotocol is None, "only what is spoken and was offered"


def test_the_query_carries_a_token_that_is_never_logged(server, token):
    for name in ("token", "access_token"):
        with Ws(server, path=f"/ws?{name}={token}") as ws:
            assert ws.receive()["user"] == "ann"
    assert token not in server.log()


@pytest.mark.options("--auth.query_token", "false")
def test_the_query_can_be_switched_off(server, token):
    with Ws(server, path=f"/ws?token={token}") as ws:
        assert ws.closed()[0] == 4001


COOKIE = pytest.mark.options("--auth.cookie", "sid", "--origins", "https://app.example.com")


@COOKIE
def test_a_cookie_needs_an_allowed_origin(server, token):
    cookie = [("Cookie", f"other=1; sid={token}")]
    with Ws(server, headers=cookie, origin="https://app.example.com") as ws:
        assert ws.receive()["user"] == "ann"
    for origin in (None, "null", "https://evil.com", "https://app.example.com.evil.com",
                   "http://app.example.com", "https://app.example.com:444", "https://APP.example.com",
                   "https://evilapp.example.com", "https://x@app.example.com", "https://app.example.co",
                   "https://app.example.com/"):
        with Ws(server, headers=cookie, origin=origin) as ws:
            assert ws.closed()[0] == 4001, origin
    with Ws(server, token=token, headers=cookie, origin="https://evil.com") as ws:
        assert ws.receive()["user"] == "ann", "a token of its own needs no cookie"


@COOKIE
def test_the_header_wins_over_the_rest(server, token):
    bob = server.token(sub="bob")
    with Ws(server, token=token, path=f"/ws?token={bob}", headers=[("Cookie", f"sid={bob}")],
            subprotocols=["tidings", f"bearer.{bob}"], origin="https://app.example.com") as ws:
        assert ws.receive()["user"] == "ann"


def test_a_token_that_expires_closes_4001(server):
    with Ws(server, token=server.token(ttl="2s")) as ws:
        assert ws.receive()["token_expires_in"] <= 2
        assert ws.closed()[0] == 4001


def test_what_connection_tells(server, http, token):
    id_ = http.publish("a", 1)
    with Ws(server, token=token) as ws:
        message = ws.receive()
    assert message["type"] == "connection" and message["control"] is True
    assert message["user"] == "ann" and message["position"] == id_
    assert message["connection_id"] and message["message"]
    assert message["heartbeat"] == {"interval": 30, "timeout": 10}
    assert 3500 < message["token_expires_in"] <= 3600


# --- SUBSCRIBE ---


def test_subscribe_and_receive(ws, http):
    answer = ws.subscribe("a/**", "b", ref="r1")
    assert answer["topics"] == ["a/**", "b"] and answer["ref"] == "r1" and answer["control"] is True
    ids = [http.publish(t, t) for t in ("a", "a/1", "b", "c", "b/1", "a/1/2")]
    events = ws.receive_events(4)
    assert [e["topic"] for e in events] == ["a", "a/1", "b", "a/1/2"]
    assert [e["id"] for e in events] == [ids[0], ids[1], ids[2], ids[5]]
    assert set(events[0]) == {"id", "topic", "type", "time", "data", "actor"}


def test_overlapping_subscriptions_bring_each_event_once(ws, http):
    ws.subscribe("a/**", "a/1")
    ws.subscribe("**", "*/1")
    for n in range(10):
        http.publish("a/1", n)
    http.publish("end", "end")
    assert [e["data"] for e in ws.receive_events(11)] == [*range(10), "end"]


@pytest.mark.parametrize("command,topics", [
    ({"topics": ["a/1"]}, ["a/1"]),
    ({"topics": "a/1"}, ["a/1"]),
    ({"scope": "all"}, ["entities/**"]),
    ({"all": True}, ["entities/**"]),
    ({"scope": {"all": True}}, ["entities/**"]),
    ({"scope": "applications"}, ["entities/applications/*"]),
    ({"scope": "applications/app123"}, ["entities/applications/app123"]),
    ({"scope": {"entity_type": "applications"}}, ["entities/applications/*"]),
    ({"scope": {"entity_type": "applications", "entity_id": "app123"}}, ["entities/applications/app123"]),
    ({"scope": "entity_type", "entity_type": "applications"}, ["entities/applications/*"]),
    ({"entity_type": "applications"}, ["entities/applications/*"]),
    ({"entity_type": "applications", "entity_id": "app123"}, ["entities/applications/app123"]),
])
def test_forms_of_subscribe(ws, http, command, topics):
    ws.send("SUBSCRIBE", **command)
    assert ws.until("subscribed")["topics"] == topics
    if topics[0].startswith("entities"):
        http.publish("entities/applications/app123", {"a": 1}, type="ENTITY_CREATED")
        [event] = ws.receive_events(1)
        assert event["type"] == "EVENT_NOTIFICATION" and event["action"] == "created"
        assert (event["entity_type"], event["entity_id"]) == ("applications", "app123")
        assert event["payload"] == {"a": 1}


@pytest.mark.parametrize("type", ["SUBSCRIBE", "subscribe", "Subscribe", "\\u0053UBSCRIBE"])
def test_type_is_read_without_regard_to_case(ws, type):
    ws.text('{"type":"%s","topics":["a"]}' % type)
    assert ws.until("subscribed")["topics"] == ["a"]


def test_ref_comes_back_as_it_was(ws):
    for ref in ("x", "", 7, -1.5, "é\"\\", "x" * 200):
        ws.send("SUBSCRIBE", topics=["a"], ref=ref)
        assert ws.until("subscribed")["ref"] == ref


def test_unsubscribe(ws, http):
    ws.subscribe("a", "b")
    ws.send("UNSUBSCRIBE", topics=["a", "never"], ref=1)
    answer = ws.until("unsubscribed")
    assert (answer["topics"], answer["ref"]) == (["a"], 1)
    http.publish("a", 1)
    http.publish("b", 2)
    assert [e["data"] for e in ws.receive_events(1)] == [2]
    ws.send("UNSUBSCRIBE", topics=["b"])
    ws.until("unsubscribed")
    http.publish("b", 3)
    ws.subscribe("c")
    http.publish("c", 4)
    assert [e["data"] for e in ws.receive_events(1)] == [4]


def test_unsubscribing_one_of_two_that_overlap_keeps_the_other(ws, http):
    ws.subscribe("a/**", "a/1")
    ws.send("UNSUBSCRIBE", topics=["a/1"])
    ws.until("unsubscribed")
    http.publish("a/1", 1)
    assert [e["data"] for e in ws.receive_events(1)] == [1]


@pytest.mark.parametrize("text", [
    "{", "[]", "5", '"SUBSCRIBE"', "null", "", " ", "hello", "{}", '{"type":5}', '{"type":""}',
    '{"type":"DANCE"}', '{"type":"SUBSCRIBE"}', '{"type":"SUBSCRIBE","topics":[]}',
    '{"type":"SUBSCRIBE","topics":[1]}', '{"type":"SUBSCRIBE","topics":["a b"]}',
    '{"type":"SUBSCRIBE","topics":["**/a"]}', '{"type":"SUBSCRIBE","topics":{}}',
    '{"type":"SUBSCRIBE","scope":5}', '{"type":"SUBSCRIBE","scope":"a/b/c"}',
    '{"type":"SUBSCRIBE","entity_type":"a/b"}', '{"type":"SUBSCRIBE","entity_type":"*"}',
    '{"type":"SUBSCRIBE","topics":["a"],"since":"x"}', '{"type":"SUBSCRIBE","topics":["a"],"since":5}',
    '{"type":"UNSUBSCRIBE"}', '{"type":"publish"}', '{"type":"publish","event":5}',
    '{"type":"' + "x" * 1000 + '"}', "[" * 10000])
def test_a_command_that_can_not_be_read_is_answered_and_nothing_else_happens(ws, text):
    ws.text(text)
    error = ws.until("command_error")
    assert error["code"] == "bad_request" and error["message"] and error["suggested_actions"]
    ws.send("ping", ref="still here")
    assert ws.until("pong")["ref"] == "still here"


def test_an_error_carries_the_ref(ws):
    ws.send("SUBSCRIBE", ref="mine", topics=["a b"])
    assert ws.until("command_error")["ref"] == "mine"


@pytest.mark.options("--limits.subscriptions", "10", "--limits.commands_per_second", "1000")
def test_subscriptions_are_limited(ws, http):
    assert len(ws.subscribe(*(f"a/{n}" for n in range(10)))["topics"]) == 10
    ws.send("SUBSCRIBE", topics=["b"], ref=1)
    error = ws.until("command_error")
    assert (error["code"], error["ref"]) == ("too_large", 1)
    assert ws.subscribe("a/3")["topics"] == ["a/3"], "one that it has costs nothing"
    ws.send("UNSUBSCRIBE", topics=["a/3"])
    ws.until("unsubscribed")
    assert ws.subscribe("b")["topics"] == ["b"]


def test_a_subscribe_with_too_many_topics_at_once(ws):
    ws.send("SUBSCRIBE", topics=[f"a/{n}" for n in range(1000)])
    assert ws.until("command_error")["code"] == "too_large"
    ws.send("ping")
    ws.until("pong")


@pytest.mark.options("--limits.commands_per_second", "1000")
def test_subscribe_unsubscribe_churn(ws, http):
    for n in range(300):
        ws.send("SUBSCRIBE", topics=[f"a/{n}", f"b/{n}/**"])
        ws.send("UNSUBSCRIBE", topics=[f"a/{n}", f"b/{n}/**"])
        ws.until("unsubscribed")
    ws.subscribe("c")
    http.publish("c", 1)
    assert len(ws.receive_events(1)) == 1
    text = http.call("GET", "/metrics").text
    lines = [l for l in text.splitlines() if "subscription" in l and not l.startswith("#")]
    assert lines and all(float(l.split()[-1]) < 10 for l in lines), lines


# --- since ---


def test_since_on_the_url_with_topics(server, http, token):
    ids = [http.publish("a", n) for n in range(20)]
    with Ws(server, path=f"{EVENTS}?topic=a&since={ids[4]}", token=token) as ws:
        assert ws.receive()["position"] == ids[4]
        assert [e["id"] for e in ws.receive_events(15)] == ids[5:]
        assert ws.until("caught_up")["position"] == ids[-1]
        id_ = http.publish("a", 20)
        assert [e["id"] for e in ws.receive_events(1)] == [id_]


def test_a_stream_without_since_is_told_where_it_stands(server, http, token):
    id_ = http.publish("a", 1)
    with Ws(server, path=f"{EVENTS}?topic=a", token=token) as ws:
        assert ws.until("caught_up")["position"] == id_
        assert not [m for m in ws.skipped if not m.get("control")]


def test_since_on_ws_serves_the_first_subscribe(server, http, token):
    ids = [http.publish("a", n) for n in range(20)]
    with Ws(server, path=f"/ws?since={ids[9]}", token=token) as ws:
        ws.until("connection")
        assert ws.subscribe("a", ref=1)["position"] == ids[9]
        assert [e["id"] for e in ws.receive_events(10)] == ids[10:]
        assert ws.until("caught_up")["position"] == ids[-1]


def test_since_on_subscribe(ws, http):
    ids = [http.publish("a", n) for n in range(20)]
    assert ws.subscribe("a", since=ids[9], ref="r")["position"] == ids[9]
    assert [e["id"] for e in ws.receive_events(10)] == ids[10:]
    caught_up = ws.until("caught_up")
    assert (caught_up["position"], caught_up["ref"]) == (ids[-1], "r")


def test_since_earliest_and_now_on_subscribe(server, http, token):
    ids = [http.publish("a", n) for n in range(5)]
    with Ws(server, token=token) as ws:
        ws.subscribe("a", since="earliest")
        assert [e["id"] for e in ws.receive_events(5)] == ids
    with Ws(server, token=token) as ws:
        ws.subscribe("a", since="now")
        id_ = http.publish("a", 5)
        assert [e["id"] for e in ws.receive_events(1)] == [id_]


def test_a_second_subscribe_since_where_the_connection_stands(ws, http):
    ws.subscribe("a")
    id_ = http.publish("a", 1)
    ws.receive_events(1)
    assert ws.subscribe("b", since=id_)["topics"] == ["b"]
    http.publish("b", 2)
    assert [e["data"] for e in ws.receive_events(1)] == [2]


def test_a_subscribe_with_an_older_since_brings_history(ws, http):
    """Contract section 5: its events carry `history` and its ref, and caught_up with that ref ends them."""
    ids = [http.publish("a", n) for n in range(5)]
    ws.subscribe("b")
    subscribed = ws.subscribe("a", since=ids[1], ref="h")
    events = ws.receive_events(3)
    assert [e["id"] for e in events] == ids[2:]
    assert all(e["history"] is True and e["ref"] == "h" for e in events)
    assert ws.until("caught_up", ref="h")["position"] == subscribed["position"]
    id_ = http.publish("a", "live")
    event = ws.receive_events(1)[0]
    assert event["id"] == id_ and "history" not in event


def test_history_of_one_topic_does_not_repeat_another(ws, http):
    ids = [http.publish("ab"[n % 2], n) for n in range(6)]
    ws.subscribe("a")
    ws.subscribe("b", since="earliest", ref=1)
    assert [e["id"] for e in ws.receive_events(3)] == ids[1::2]
    ws.until("caught_up", ref=1)


def test_history_of_another_log(ws, http):
    ids = [http.publish("a", n) for n in range(2)]
    ws.subscribe("b")
    ws.send("SUBSCRIBE", topics=["a"], since="00000001.17", ref="x")
    gap = ws.until("gap")
    assert gap["reason"] == "epoch" and gap["ref"] == "x" and gap["history"] is True
    assert [e["id"] for e in ws.receive_events(2)] == ids
    ws.until("caught_up", ref="x")


def test_since_of_another_log_is_a_gap(ws, http):
    ids = [http.publish("a", n) for n in range(3)]
    epoch = "00000001" if not ids[0].startswith("00000001") else "00000002"
    ws.subscribe("a", since=f"{epoch}.17")
    assert ws.until("gap")["reason"] == "epoch"
    assert [e["id"] for e in ws.receive_events(3)] == ids


def test_resuming_over_kills(server, http, token):
    expected, got, position = [], [], "earliest"
    for round_ in range(3):
        with Ws(server, path=f"{EVENTS}?topic=a&since={position}", token=token) as ws:
            expected += [http.publish("a", n) for n in range(20)]
            got += [e["id"] for e in ws.receive_events(10 if round_ == 0 else 20)]
            position = got[-1]
            server.restart()
            assert ws.closed()[0] is None
    with Ws(server, path=f"{EVENTS}?topic=a&since={position}", token=token) as ws:
        got += [e["id"] for e in ws.receive_events(len(expected) - len(got))]
    assert got == expected


# --- ping, publish ---


def test_pings_are_answered_in_kind(ws):
    for text in ("ping", "PING", "Ping"):
        ws.text(text)
        assert ws.receive_text() == "pong"
    for type in ("ping", "PING"):
        ws.send(type, ref=5)
        message = ws.receive()
        assert (message["type"], message["ref"]) == ("pong", 5) and message["time"].endswith("Z")
    for text in ("pong", "PONG", '{"type":"pong"}', '{"type":"PONG"}'):
        ws.text(text)
    ws.frame(Opcode.PING, b"payload")
    frame = ws.event()
    assert (frame.opcode, frame.data) == (Opcode.PONG, b"payload"), "pongs are accepted silently"
    ws.frame(Opcode.PONG, b"unasked")
    ws.text("ping")
    assert ws.receive_text() == "pong"


def test_publish(server, ws, http):
    ws.subscribe("a")
    ws.send("publish", event={"topic": "a", "type": "t", "data": {"x": 1}, "key": "k"}, ref=9)
    answer = ws.until("published")
    assert answer["ref"] == 9 and answer["durable"] is True
    events = [m for m in ws.skipped if not m.get("control")] or ws.receive_events(1)
    assert events[0]["id"] == answer["id"] and events[0]["data"] == {"x": 1}
    assert events[0]["origin"] and events[0]["actor"] == "ann"
    assert len(server.events("**")) == 1


def test_an_event_tells_the_connection_that_it_came_from(server, http, token):
    """So that a page can leave out what it did itself."""
    with Ws(server, token=token) as ws:
        id_ = ws.until("connection")["connection_id"]
        ws.send("publish", event={"topic": "a", "type": "t"})
        ws.until("published")
    http.publish("a", 2)
    assert [e.get("origin") for e in server.events("a")] == [id_, None]


def test_publishing_an_array_in_one_command(server, ws):
    ws.send("publish", event=[{"topic": "a", "type": "t", "data": n} for n in range(3)], ref=1)
    answer = ws.until("published")
    ids = [e["id"] for e in server.events("a")]
    assert len(ids) == 3 and answer["ids"] == ids, "as the answer to a POST"
    ws.send("publish", event=[{"topic": "a", "type": "t"}, {"topic": "audit/x", "type": "t"}])
    assert ws.until("command_error")["code"] == "reserved_topic"
    assert len(server.events("a")) == 3, "all or nothing"


def test_publish_is_refused_with_a_code(server, ws):
    for event, code in (({"topic": "audit/x", "type": "t"}, "reserved_topic"),
                        ({"topic": "a b", "type": "t"}, "bad_request"),
                        ({"type": "t"}, "bad_request"), ([], "bad_request")):
        ws.send("publish", event=event, ref=code)
        error = ws.until("command_error")
        assert (error["code"], error["ref"]) == (code, code)
    assert server.events("**") == []


def test_publish_dedup(server, ws):
    ids = set()
    for _ in range(3):
        ws.send("publish", event={"topic": "a", "type": "t", "dedup": "d"})
        ids.add(ws.until("published")["id"])
    assert len(ids) == 1 and len(server.events("**")) == 1
    ws.send("publish", event={"topic": "a", "type": "u", "dedup": "d"})
    assert ws.until("command_error")["code"] == "idempotency_mismatch"


@pytest.mark.options("--limits.commands_per_second", "10000")
def test_published_answers_come_in_order(server, ws):
    for n in range(200):
        ws.send("publish", event={"topic": "a", "type": "t", "data": n}, ref=n)
    answers = [ws.until("published") for _ in range(200)]
    assert [a["ref"] for a in answers] == list(range(200))
    assert [e["id"] for e in server.events("a")] == [a["id"] for a in answers]


@pytest.mark.options("--limits.commands_per_second", "5")
def test_a_rate_limit_is_told_and_then_enforced(ws):
    for n in range(40):
        ws.text("ping")
    texts = []
    while (text := ws.receive_text()) is not None:
        texts.append(text)
    assert 10 <= texts.count("pong") < 20
    errors = [json.loads(t) for t in texts if t != "pong"]
    assert errors and all(e["code"] == "rate_limited" and e["retry_after"] >= 1 for e in errors)
    assert ws.close_code == 4029 and ws.close_reason.startswith("rate_limited")


def test_a_burst_within_the_limit_is_fine(ws):
    for n in range(20):
        ws.text("ping")
    assert [ws.receive_text() for _ in range(20)] == ["pong"] * 20


# --- RFC 6455 ---


def test_fragmented_messages(ws):
    ws.frame(Opcode.TEXT, b"", fin=False)
    ws.frame(Opcode.PING, b"between")
    for byte in b'{"type":"ping","ref":"\xc3\xa9':
        ws.frame(Opcode.CONT, bytes([byte]), fin=False)
    ws.frame(Opcode.CONT, b'"}')
    pong = ws.event()
    assert (pong.opcode, pong.data) == (Opcode.PONG, b"between")
    assert ws.receive()["ref"] == "é"


def test_a_frame_in_single_bytes(ws):
    for byte in Frame(Opcode.TEXT, b'{"type":"ping","ref":1}').serialize(mask=True):
        ws.socket.sendall(bytes([byte]))
    assert ws.receive()["ref"] == 1


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1012, 3000, 4999])
def test_a_close_is_answered_with_its_code(ws, code):
    ws.frame(Opcode.CLOSE, code.to_bytes(2, "big") + "bye é".encode())
    assert ws.closed()[0] == code
    assert ws.ended, "the server ends TCP"


def test_a_close_without_a_code_is_answered(ws):
    ws.frame(Opcode.CLOSE, b"")
    assert ws.closed()[0] in (None, 1000)
    assert ws.protocol.close_rcvd is not None


MASK = b"\0\0\0\0"


@pytest.mark.parametrize("code,data", [
    (1002, b"\x81\x01x"),                                             # not masked
    (1002, b"\xc1\x81" + MASK + b"x"),                                # RSV1 without an extension
    (1002, b"\xa1\x81" + MASK + b"x"), (1002, b"\x91\x81" + MASK + b"x"),
    (1002, b"\x83\x80" + MASK), (1002, b"\x87\x80" + MASK), (1002, b"\x8b\x80" + MASK),
    (1002, b"\x80\x80" + MASK),                                       # continues nothing
    (1002, b"\x01\x81" + MASK + b"x" + b"\x81\x81" + MASK + b"x"),    # a new one within one
    (1002, b"\x09\x80" + MASK), (1002, b"\x08\x80" + MASK),           # fragmented control frames
    (1002, b"\x89\xfe\x00\x7e" + MASK + b"x" * 126),                  # a long ping
    (1002, b"\x81\xfe\x00\x7d" + MASK + b"x" * 125),                  # longer length than needed
    (1002, b"\x81\xff" + (65535).to_bytes(8, "big") + MASK),
    (1002, b"\x81\xff\x80" + b"\0" * 7 + MASK),                       # the highest bit
    (1009, b"\x81\xff" + (1 << 40).to_bytes(8, "big") + MASK),
    (1009, b"\x81\xff" + ((1 << 63) - 1).to_bytes(8, "big") + MASK),
    (1007, b"\x81\x82" + MASK + b"\xc3("), (1007, b"\x81\x81" + MASK + b"\xff"),
    (1007, b"\x81\x83" + MASK + b"\xed\xa0\x80"), (1007, b"\x81\x84" + MASK + b"\xf4\x90\x80\x80"),
    (1007, b"\x81\x82" + MASK + b"\xc0\xaf"), (1007, b"\x81\x81" + MASK + b"\xc3"),
    (1007, b"\x01\x81" + MASK + b"\xff"),                             # as the bytes come, not at the end
    (1002, b"\x88\x81" + MASK + b"\x03"),                             # half a code
    (1002, b"\x88\x82" + MASK + (999).to_bytes(2, "big")),
    (1002, b"\x88\x82" + MASK + (1004).to_bytes(2, "big")),
    (1002, b"\x88\x82" + MASK + (1005).to_bytes(2, "big")),
    (1002, b"\x88\x82" + MASK + (1006).to_bytes(2, "big")),
    (1002, b"\x88\x82" + MASK + (1015).to_bytes(2, "big")),
    (1002, b"\x88\x82" + MASK + (2999).to_bytes(2, "big")),
    (1002, b"\x88\x82" + MASK + (5000).to_bytes(2, "big")),
    (1007, b"\x88\x83" + MASK + (1000).to_bytes(2, "big") + b"\xff"),
])
def test_what_no_client_may_send(ws, code, data):
    whole = b"\x81\x84" + MASK + b"ping"
    ws.socket.sendall(whole + data)
    assert ws.receive_text() == "pong", "what was whole before it is taken"
    assert ws.closed()[0] == code


def test_a_binary_message_is_no_command(ws):
    ws.frame(Opcode.BINARY, b'{"type":"ping"}')
    assert ws.until("command_error")["code"] == "bad_request"
    ws.send("ping")
    ws.until("pong")


def test_a_message_that_is_too_big_is_1009_also_in_fragments(server, token):
    for fragmented in (False, True):
        with Ws(server, token=token) as ws:
            ws.until("connection")
            piece = b"x" * 65536
            try:
                if not fragmented:
                    ws.frame(Opcode.TEXT, piece * 17)
                else:
                    for n in range(17):
                        ws.frame(Opcode.TEXT if n == 0 else Opcode.CONT, piece, fin=False)
            except OSError:
                pass  # it was closed before all was sent
            assert ws.closed()[0] == 1009
    with Ws(server, token=token) as ws:  # one whose announcement alone is too big
        ws.until("connection")
        ws.socket.sendall(b"\x81\xff" + ((1 << 20) + 1).to_bytes(8, "big") + MASK)
        assert ws.closed()[0] == 1009


def test_a_message_at_the_limit_is_taken(ws):
    body = b'{"type":"ping","ref":7,"x":"' + b"y" * ((1 << 20) - 30) + b'"}'
    assert len(body) == 1 << 20
    ws.text(body)
    assert ws.receive()["ref"] == 7


def test_endless_fragments_are_bounded(ws):
    """Empty frames make no message too big; their number does."""
    try:
        ws.frame(Opcode.TEXT, b"", fin=False)
        for _ in range(100):
            ws.socket.sendall((b"\x00\x80" + MASK) * 200)
    except OSError:
        pass
    assert ws.closed()[0] in (1009, 1008, 1002)


def test_data_behind_a_close_is_not_read(server, ws):
    publish = b'{"type":"publish","event":{"topic":"a","type":"t"}}'
    ws.socket.sendall(b"\x88\x80" + MASK + bytes([0x81, 0x80 | len(publish)]) + MASK + publish)
    ws.closed()
    assert server.events("**") == []


@pytest.mark.options("--heartbeat.interval", "1s", "--heartbeat.timeout", "1s")
def test_heartbeats(server, http, token):
    with Ws(server, token=token) as ws:
        ws.subscribe("a")
        id_ = http.publish("b", 1)
        seen = set()
        while seen != {"ping", "heartbeat"}:
            frame = ws.event()
            if frame.opcode == Opcode.PING:
                seen.add("ping")
            elif frame.opcode == Opcode.TEXT:
                message = json.loads(frame.data)
                assert message["type"] == "heartbeat" and message["position"] == id_, message
                assert message["time"].endswith("Z")
                seen.add("heartbeat")


@pytest.mark.options("--heartbeat.interval", "1s", "--heartbeat.timeout", "1s")
def test_who_does_not_pong_is_closed_4008(server, token):
    with Raw(server) as raw:
        raw.send(request("GET", "/ws", *UPGRADE, KEY, VERSION, token=token))
        assert raw.answer().status == 101
        assert b"\x0f\xa8" in raw.rest(), "the close code 4008"


@pytest.mark.options("--heartbeat.idle", "1s")
def test_who_subscribes_nothing_is_closed_4008(server, token):
    with Ws(server, token=token) as idle, Ws(server, token=token) as busy:
        busy.subscribe("a")
        assert idle.closed()[0] == 4008
        busy.send("ping")
        busy.until("pong")


def test_a_refusal_of_the_url_is_an_answer(server, token):
    with pytest.raises(WsRefused) as refused:
        Ws(server, path=f"{EVENTS}?topic=a%20b", token=token)
    assert refused.value.status == 400


def test_ws_is_only_for_websockets(server, http):
    answer = http.call("GET", "/ws")
    assert problem(answer)[0] == 426 and answer.headers["Sec-WebSocket-Version"] == "13"
