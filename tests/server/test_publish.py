# SPDX-License-Identifier: Apache-2.0
"""Publishing: what a 201 says, what is refused, and that what is refused leaves nothing behind."""
import json
import socket
import time

import pytest
import requests

from clients import EVENTS, Http, Raw, Ws, problem, request
from conftest import Server

ONE = {"topic": "a/1", "type": "t", "data": {"n": 1}}


def data_of(server):
    return [e["data"] for e in server.events("**")]


# --- what is answered ---


def test_one_event(server, http):
    answer = http.post(ONE)
    body = answer.json()
    assert answer.status_code == 201
    assert set(body) == {"id", "position", "durable"}
    assert body["durable"] is True and body["id"] == body["position"]
    assert answer.headers["Tidings-Position"] == body["position"]
    [event] = server.events("a/1")
    assert event["id"] == body["id"]
    assert (event["topic"], event["type"], event["data"]) == ("a/1", "t", {"n": 1})
    assert event["actor"] == "ann"
    time.strptime(event["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert len(event["time"]) == len("2026-01-01T00:00:00.000Z")


def test_an_array_is_answered_with_ids_in_order(server, http):
    answer = http.post([{**ONE, "data": n} for n in range(1000)])
    body = answer.json()
    assert answer.status_code == 201
    assert set(body) == {"ids", "position", "durable"}
    events = server.events("a/1")
    assert [e["data"] for e in events] == list(range(1000))
    assert [e["id"] for e in events] == body["ids"]
    assert body["position"] == body["ids"][-1]


def test_ndjson(server, http):
    lines = b"".join(json.dumps({**ONE, "data": n}).encode() + b"\r\n" for n in range(3)) + b"\n"
    answer = http.post(lines, Content_Type="application/x-ndjson; charset=utf-8")
    assert answer.status_code == 201 and len(answer.json()["ids"]) == 3
    assert data_of(server) == [0, 1, 2]


def test_one_event_to_several_topics(server, http):
    answer = http.post({"topics": ["a/1", "b", "c/2"], "type": "t", "data": 1, "key": "k"})
    assert answer.status_code == 201
    events = server.events("**")
    assert [(e["topic"], e["key"], e["data"]) for e in events] == [
        ("a/1", "k", 1), ("b", "k", 1), ("c/2", "k", 1)]
    assert [e["id"] for e in events] == answer.json()["ids"]


def test_data_is_delivered_byte_for_byte(server, http):
    texts = ['{"a" : 1.0e+02,\t"b":"\\u00e9\\/"}', "-0.0", '"\u2028 \U0001f600"', "[ ]",
             "123456789012345678901234567890", "null", '{"a":1,"a":2}']
    for text in texts:
        answer = http.post(('{"topic":"a","type":"t","data":%s}' % text).encode())
        assert answer.status_code == 201, answer.text
    page = http.call("GET", params={"topic": "a", "since": "earliest"}).content.decode()
    for text in texts:
        assert f'"data":{text}}}' in page or f'"data":{text},' in page, text


def test_line_ends_between_tokens_become_spaces(http):
    http.post(b'{"topic":"a","type":"t","data":{\r\n"x":\n1}}')
    page = http.call("GET", params={"topic": "a", "since": "earliest"}).content
    assert b'{  "x": 1}' in page


def test_members_that_are_absent(server, http):
    assert http.post({"topic": "a", "type": "t"}).status_code == 201
    [event] = server.events("a")
    assert event["data"] is None and "key" not in event and "origin" not in event


def test_positions_increase(http):
    ids = [http.publish("a", n) for n in range(20)]
    numbers = [int(i.split(".")[1]) for i in ids]
    assert numbers == sorted(set(numbers)) and len({i.split(".")[0] for i in ids}) == 1


def test_a_reader_gets_what_was_answered_from_the_position_of_any_answer(http):
    before = http.call("GET", params={"topic": "**"}).headers["Tidings-Position"]
    id_ = http.publish("a", 1)
    page = http.page("**", since=before)
    assert [e["id"] for e in page["events"]] == [id_]


# --- idempotency ---


def test_a_repeat_is_answered_with_the_first_position(server, http):
    first = http.post(ONE, Idempotency_Key="k1")
    second = http.post(ONE, Idempotency_Key="k1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert len(server.events("**")) == 1


def test_a_repeated_array_is_answered_with_the_first_positions(server, http):
    batch = [{**ONE, "data": n} for n in range(5)]
    first, second = (http.post(batch, Idempotency_Key="k") for _ in range(2))
    assert second.status_code == 201 and first.json() == second.json()
    assert len(server.events("**")) == 5


def test_the_same_key_with_other_content_is_a_mismatch(server, http):
    http.post(ONE, Idempotency_Key="k")
    for other in ({**ONE, "data": 2}, {**ONE, "topic": "b"}, {**ONE, "type": "u"}, [ONE, ONE]):
        assert problem(http.post(other, Idempotency_Key="k")) == (422, "idempotency_mismatch")
    assert len(server.events("**")) == 1


def test_keys_are_scoped_by_subject(server, http):
    bob = Http(server, server.token(sub="bob"))
    assert http.post(ONE, Idempotency_Key="k").json() != bob.post(ONE, Idempotency_Key="k").json()
    assert len(server.events("**")) == 2


def test_keys_outlive_kills(server, http):
    first = http.post(ONE, Idempotency_Key="k")
    dedup = http.post({**ONE, "dedup": "d"})
    server.restart()
    assert http.post(ONE, Idempotency_Key="k").json() == first.json()
    assert http.post({**ONE, "dedup": "d"}).json()["id"] == dedup.json()["id"]
    assert problem(http.post({**ONE, "data": 9}, Idempotency_Key="k"))[0] == 422
    assert len(server.events("**")) == 2


def test_dedup_of_an_event(server, http):
    first = http.post({**ONE, "dedup": "d"}).json()
    answer = http.post([{**ONE, "data": 0}, {**ONE, "dedup": "d"}, {**ONE, "data": 2}])
    assert answer.status_code == 201
    assert answer.json()["ids"][1] == first["id"]
    assert data_of(server) == [{"n": 1}, 0, 2]
    answer = http.post({**ONE, "data": 3, "dedup": "d"})
    assert problem(answer) == (422, "idempotency_mismatch")


def test_dedup_within_one_request(server, http):
    answer = http.post([{**ONE, "dedup": "d"}, {**ONE, "dedup": "d"}])
    assert answer.status_code == 201
    assert len(set(answer.json()["ids"])) == 1
    assert len(server.events("**")) == 1


# --- what is refused ---

BAD_EVENTS = [
    ("no topic", {"type": "t", "data": 1}, 400, "bad_request"),
    ("no type", {"topic": "a", "data": 1}, 400, "bad_request"),
    ("empty topic", {**ONE, "topic": ""}, 400, "bad_request"),
    ("pattern for a topic", {**ONE, "topic": "a/*"}, 400, "bad_request"),
    ("pattern for a topic, deep", {**ONE, "topic": "a/**"}, 400, "bad_request"),
    ("empty segment", {**ONE, "topic": "a//b"}, 400, "bad_request"),
    ("slash at the end", {**ONE, "topic": "a/"}, 400, "bad_request"),
    ("a blank", {**ONE, "topic": "a b"}, 400, "bad_request"),
    ("17 segments", {**ONE, "topic": "/".join("a" * 17)}, 400, "bad_request"),
    ("segment of 65", {**ONE, "topic": "x" * 65}, 400, "bad_request"),
    ("topic of 256", {**ONE, "topic": "/".join(["x" * 63] * 4) + "x"}, 400, "bad_request"),
    ("CR and LF in a topic", {**ONE, "topic": "a\r\nb"}, 400, "bad_request"),
    ("CR and LF in a type", {**ONE, "type": "t\r\ndata: x"}, 400, "bad_request"),
    ("NUL in a type", {**ONE, "type": "t\0"}, 400, "bad_request"),
    ("topic a number", {**ONE, "topic": 1}, 400, "bad_request"),
    ("topic and topics", {**ONE, "topics": ["b"]}, 400, "bad_request"),
    ("no topics", {"topics": [], "type": "t"}, 400, "bad_request"),
    ("a topic among topics", {"topics": ["a", "b c"], "type": "t"}, 400, "bad_request"),
    ("unknown member", {**ONE, "tpoic": "a"}, 400, "bad_request"),
    ("class unknown", {**ONE, "class": "best"}, 400, "bad_request"),
    ("empty dedup", {**ONE, "dedup": ""}, 400, "bad_request"),
    ("long dedup", {**ONE, "dedup": "x" * 256}, 400, "bad_request"),
    ("a number", 5, 400, "bad_request"),
    ("a string", "event", 400, "bad_request"),
    ("nothing in the array", [], 400, "bad_request"),
    ("audit", {**ONE, "topic": "audit/x"}, 403, "reserved_topic"),
    ("jobs", {**ONE, "topic": "jobs/1"}, 403, "reserved_topic"),
    ("locks", {**ONE, "topic": "locks/1"}, 403, "reserved_topic"),
    ("enhance", {**ONE, "topic": "enhance/a/b"}, 403, "reserved_topic"),
    ("entity of another type", {**ONE, "topic": "entities/applications/1"}, 400, "bad_request"),
]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """One server for all refusals: nothing may ever be in its log."""
    server = Server(tmp_path_factory.mktemp("quiet"))
    server.start()
    yield server
    server.kill9()


@pytest.mark.parametrize("body,status,code", [b[1:] for b in BAD_EVENTS], ids=[b[0] for b in BAD_EVENTS])
def test_a_bad_event_is_refused_and_leaves_nothing(quiet, body, status, code):
    http = Http(quiet)
    assert problem(http.post(body)) == (status, code)
    if isinstance(body, dict):  # nor does what stands before and behind it
        assert problem(http.post([ONE, body, ONE])) == (status, code)
        lines = "\n".join(json.dumps(e) for e in (ONE, body, ONE)).encode()
        assert problem(http.post(lines, Content_Type="application/x-ndjson")) == (status, code)
    assert quiet.events("**") == []
    assert http.call("GET", params={"topic": "**"}).headers["Tidings-Position"].endswith(".0")


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b'{"topic":"a","type":"t","data":}', b'{"topic":"a","type":"t","data":01}',
    b'{"topic":"a","type":"t"}x', b'{"topic":"a","type":"t"},', b'{"topic":"a","topic":"a","type":"t"}',
    b'\xef\xbb\xbf{"topic":"a","type":"t"}', b'{"topic":"a","type":"t","data":"\xff"}',
    b'{"topic":"a","type":"t","data":"\xed\xa0\x80"}', b'{"topic":"a","type":"t","data":"\x01"}',
    b'{"topic":"a","type":"t","data":"\\ud800"}', b"[" * 100000, b'{"topic":"a","type":"t","data":NaN}',
    b'[{"topic":"a","type":"t"},]', b"topic=a&type=t", b"\0" * 10])
def test_what_is_not_json_is_refused(quiet, body):
    assert problem(Http(quiet).post(body)) == (400, "bad_request")
    assert quiet.events("**") == []


def test_limits(quiet):
    http = Http(quiet)
    assert problem(http.post([ONE] * 1001)) == (413, "too_large")
    assert problem(http.post({"topics": [f"a/{n}" for n in range(1001)], "type": "t"})) == (
        413, "too_large")
    assert problem(http.post({**ONE, "data": "x" * (1 << 20)})) == (413, "too_large")
    assert problem(http.post(ONE, Idempotency_Key="x" * 256)) == (400, "bad_request")
    lines = json.dumps(ONE).encode() + b"\n"
    assert problem(http.post(lines * 1001, Content_Type="application/x-ndjson")) == (413, "too_large")
    assert quiet.events("**") == []


@pytest.mark.parametrize("type", ["text/html", "multipart/form-data; boundary=x", "image/png",
                                  "application/jsonx"])
def test_other_media_types_are_refused(quiet, type):
    assert Http(quiet).post(ONE, Content_Type=type).status_code == 415
    assert quiet.events("**") == []


def test_what_is_at_the_limits_is_taken(server, http):
    topic = "/".join(["x" * 63] * 4)
    assert len(topic) == 255
    assert http.post({"topic": topic, "type": "x" * 64, "data": "y" * 100000,
                      "dedup": "d" * 255}, Idempotency_Key="k" * 255).status_code == 201
    assert http.post({**ONE, "topic": "/".join("a" * 16)}).status_code == 201
    assert http.post(ONE, Content_Type="application/json; charset=utf-8").status_code == 201
    assert len(server.events("**")) == 3


def test_a_version_without_other_classes_says_so_or_serves_them(server, http):
    for class_ in ("log", "latest", "append", "ephemeral"):
        data = {"content": "x", "offset": 0}
        answer = http.post({"topic": "a", "type": "t", "data": data, "class": class_, "key": "k"})
        assert answer.status_code == 201 or (class_ != "log" and problem(answer)[0] == 400)


def test_without_a_token(quiet):
    answer = requests.post(quiet.url + EVENTS, json=ONE, timeout=10)
    assert problem(answer) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "Tidings-Position" not in answer.headers
    assert quiet.events("**") == []


# --- on the wire ---


def publish_bytes(server, n, token, *headers):
    body = json.dumps({**ONE, "data": n}).encode()
    return request("POST", EVENTS, "Content-Type: application/json", *headers, body=body, token=token)


def test_64_pipelined_requests_are_answered_in_order(server):
    token = server.token()
    with Raw(server) as raw:
        raw.send(b"".join(publish_bytes(server, n, token) for n in range(64)))
        ids = [raw.answer().json()["id"] for _ in range(64)]
    events = server.events("**")
    assert [e["data"] for e in events] == list(range(64))
    assert [e["id"] for e in events] == ids


def test_answers_of_a_mixed_pipeline_keep_their_order(server):
    token = server.token()
    bad = request("POST", EVENTS, "Content-Type: application/json", body=b"{}", token=token)
    read = request("GET", f"{EVENTS}?topic=**&since=earliest", "Accept: application/json", token=token)
    with Raw(server) as raw:
        raw.send(publish_bytes(server, 0, token) + bad + read + publish_bytes(server, 1, token) +
                 request("HEAD", "/healthz") + read)
        first, refused, page, second = (raw.answer() for _ in range(4))
        head, last = raw.answer(head_only=True), raw.answer()
    assert [a.status for a in (first, refused, page, second, head, last)] == [201, 400, 200, 201, 200, 200]
    assert [e["id"] for e in page.json()["events"]] == [first.json()["id"]]
    assert [e["data"] for e in last.json()["events"]] == [0, 1]


def test_a_pipeline_cut_at_every_byte(server):
    token = server.token()
    two = publish_bytes(server, 1, token) + publish_bytes(server, 2, token)
    with Raw(server) as raw:
        for at in range(1, len(two), 7):
            raw.send(two[:at])
            raw.send(two[at:])
            assert [raw.answer().status for _ in range(2)] == [201, 201]
        for byte in two:
            raw.send(bytes([byte]))
        assert [raw.answer().status for _ in range(2)] == [201, 201]
    data = data_of(server)
    assert data == [1, 2] * (len(data) // 2)


def test_chunked_bodies(server):
    token = server.token()
    body = json.dumps(ONE).encode()
    head = request("POST", EVENTS, "Content-Type: application/json", "Transfer-Encoding: chunked",
                   token=token)
    whole = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    bytewise = b"".join(b"1;ext=\"a;b\"\r\n%c\r\n" % c for c in body) + b"0\r\nTrailer: x\r\n\r\n"
    with Raw(server) as raw:
        raw.send(head + whole + head + bytewise + publish_bytes(server, 3, token))
        assert [raw.answer().status for _ in range(3)] == [201, 201, 201]
    assert data_of(server) == [{"n": 1}, {"n": 1}, 3]


def test_expect_100_continue(server):
    token = server.token()
    body = json.dumps(ONE).encode()
    head = request("POST", EVENTS, "Content-Type: application/json", "Expect: 100-continue",
                   f"Content-Length: {len(body)}", token=token)
    with Raw(server) as raw:
        raw.send(head)
        assert raw.answer().status == 100
        raw.send(body)
        assert raw.answer().status == 201
        raw.send(head + body)  # who does not wait may be spared the 100
        answer = raw.answer()
        assert (raw.answer() if answer.status == 100 else answer).status == 201
    assert len(server.events("**")) == 2


def test_expect_is_refused_before_the_body_when_it_would_be_too_large(server):
    with Raw(server) as raw:
        raw.send(request("POST", EVENTS, "Expect: 100-continue", "Content-Length: 999999999",
                         token=server.token()))
        assert raw.answer().status == 413
        assert raw.rest() == b""


def test_a_body_that_never_ends_is_not_published(server):
    whole = publish_bytes(server, 1, server.token())
    with Raw(server) as raw:
        raw.send(whole[:-1])
    assert server.events("**") == []


def test_a_client_that_ends_its_side_is_still_answered(server):
    with Raw(server) as raw:
        raw.send(publish_bytes(server, 1, server.token()))
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.answer().status == 201
        assert raw.rest() == b""


def test_http_1_0_and_connection_close(server):
    token = server.token()
    with Raw(server) as raw:
        raw.send(publish_bytes(server, 1, token).replace(b"HTTP/1.1", b"HTTP/1.0"))
        answer = raw.answer()
        assert answer.status == 201 and raw.rest() == b""
    with Raw(server) as raw:
        raw.send(publish_bytes(server, 2, token, "Connection: close") + publish_bytes(server, 3, token))
        answer = raw.answer()
        assert (answer.status, answer.headers["connection"]) == (201, "close")
        assert raw.rest() == b""
    assert data_of(server) == [1, 2]


# --- what a 201 means ---


def test_what_was_answered_survives_a_kill(server, http):
    ids = [http.publish("a", n) for n in range(50)]
    server.restart()
    assert [e["id"] for e in server.events("a")] == ids


@pytest.mark.options("--durability", "fast")
def test_fast_says_so_and_survives_a_kill(server, http):
    answer = http.post(ONE)
    assert answer.json()["durable"] is False
    http.post([ONE] * 10)
    server.restart()
    assert len(server.events("**")) == 11


def test_nobody_sees_an_event_that_is_not_on_disk(server, http):
    """While the disk holds back a sync neither the answer comes nor a reader gets the event."""
    before = http.page("**")["position"]
    with Ws(server, token=server.token()) as ws, Raw(server) as raw:
        ws.subscribe("**")
        with server.failing("fdatasync:delay_enter=1000000"):
            began = time.monotonic()
            raw.send(publish_bytes(server, 1, server.token()))
            page = http.page("**", since=before)
            if time.monotonic() - began < 0.9:  # the sync takes a second
                assert (page["events"], page["position"]) == ([], before)
            answer = raw.answer()
            assert answer.status == 201 and time.monotonic() - began >= 1
        assert [e["id"] for e in ws.receive_events(1)] == [answer.json()["id"]]
