# SPDX-License-Identifier: Apache-2.0
"""Server-Sent Events, as curl, httpx and a parser by the WHATWG standard see them."""
import json
import subprocess

import httpx
import pytest

from clients import EVENTS, Http, Raw, Sse, problem, request
from conftest import until


def test_the_answer_is_a_stream(server, token):
    with Sse(server, "topic=**", token) as stream:
        assert stream.response.status == 200
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["cache-control"] == "no-store"
        assert stream.response.headers["x-accel-buffering"] == "no"
        assert "content-length" not in stream.response.headers
        assert stream.response.headers["tidings-position"]


def test_id_event_and_data(server, http, token):
    with Sse(server, "topic=a/**", token) as stream:
        name, caught_up, id_ = stream.message()
        assert (name, caught_up["type"], caught_up["control"]) == ("tidings", "caught_up", True)
        assert id_ == caught_up["position"]
        http.publish("b", "not for it")
        published = http.publish("a/1", {"x": "é\u2028"}, type="greeting", key="k")
        name, event, id_ = stream.message()
        assert (name, id_) == ("greeting", published)
        assert event == {"id": published, "topic": "a/1", "type": "greeting", "key": "k",
                         "time": event["time"], "actor": "ann", "data": {"x": "é\u2028"}}


def test_since_comes_before_caught_up(server, http, token):
    ids = [http.publish("a", n) for n in range(300)]
    with Sse(server, f"topic=a&since={ids[99]}", token) as stream:
        events = []
        while True:
            name, message, id_ = stream.message()
            if name == "tidings":
                break
            events.append(id_)
        assert message["type"] == "caught_up" and message["position"] == ids[-1]
        assert events == ids[100:]
    with Sse(server, "topic=a&since=earliest", token) as stream:
        assert [e["id"] for e in stream.receive_events(300)] == ids
    with Sse(server, "topic=a&since=now", token) as stream:
        assert stream.message()[1]["type"] == "caught_up"


def test_last_event_id_resumes_and_wins_over_since(server, http, token):
    ids = [http.publish("a", n) for n in range(5)]
    with Sse(server, "topic=a&since=earliest", token, f"Last-Event-ID: {ids[2]}") as stream:
        assert [e["id"] for e in stream.receive_events(2)] == ids[3:]
        assert stream.until("caught_up")
        id_ = http.publish("a", 5)
        assert stream.receive_events(1)[0]["id"] == id_


def test_a_last_event_id_that_is_no_position_is_refused(server, token):
    with Raw(server) as raw:
        raw.send(request("GET", f"{EVENTS}?topic=a", "Accept: text/event-stream",
                         "Last-Event-ID: evil", token=token))
        assert raw.answer().status == 400


def test_a_position_of_another_log_is_told(server, http, token):
    ids = [http.publish("a", n) for n in range(3)]
    epoch = "00000001" if not ids[0].startswith("00000001") else "00000002"
    with Sse(server, "topic=a", token, f"Last-Event-ID: {epoch}.17") as stream:
        name, gap, _ = stream.message()
        assert (name, gap["type"], gap["reason"]) == ("tidings", "gap", "epoch")
        assert gap["from"] == f"{epoch}.17" and gap["topics"] == ["a"] and gap["to"]
        assert [e["id"] for e in stream.receive_events(3)] == ids


def test_several_topics_and_types(server, http, token):
    with Sse(server, "topic=a/*&topic=b&topic=a/1&type=t&type=u", token) as stream:
        stream.until("caught_up")
        for topic, type in (("a/1", "t"), ("b", "u"), ("c", "t"), ("a/1", "x"), ("b/c", "t"), ("b", "t")):
            http.publish(topic, topic, type=type)
        assert [(e["topic"], e["type"]) for e in stream.receive_events(3)] == [
            ("a/1", "t"), ("b", "u"), ("b", "t")]


def test_flat(server, http, token):
    with Sse(server, "topic=a&format=flat", token) as stream:
        stream.until("caught_up")
        id_ = http.publish("a", {"line": "x"}, type="output")
        name, event, _ = stream.message()
        assert name == "output"
        assert (event["type"], event["line"], event["event_id"]) == ("output", "x", id_)


def test_names_that_browsers_take_for_their_own(server, http, token):
    """An EventSource has its own `error` and `open`, and `tidings` is the server's."""
    with Sse(server, "topic=a", token) as stream:
        stream.until("caught_up")
        for type, event in (("error", "job_error"), ("open", "job_open"), ("message", "message")):
            http.publish("a", 1, type=type)
            name, message, _ = stream.message()
            assert (name, message["type"]) == (event, type)
        http.publish("a", {"control": True}, type="tidings")
        name, message, _ = stream.message()
        assert "control" not in message, "no event can pass for a control message"


def test_no_data_can_forge_an_event(server, http, token):
    evil = "x\n\nevent: tidings\ndata: {}\r\r\nid: 1\x00\u2028\u2029"
    with Sse(server, "topic=a", token) as stream:
        stream.until("caught_up")
        raw = b'{"topic":"a","type":"t","data":{\n\n"x":\r\r1\n}}'
        assert http.post(raw).status_code == 201
        http.publish("a", evil)
        http.publish("a", "last")
        assert [e["data"] for e in stream.receive_events(3)] == [{"x": 1}, evil, "last"]
        assert stream.last_id.count(".") == 1, "the last id is a position"


@pytest.mark.options("--heartbeat.stream", "1s")
def test_a_quiet_stream_moves_its_position(server, http, token):
    with Sse(server, "topic=a", token) as stream:
        stream.until("caught_up")
        id_ = http.publish("other", 1)
        while stream.last_id != id_:
            block = stream.block()
            assert block is not None and block[0] is None, "an id alone is not dispatched"
        again = stream.block()
        assert again == (None, None, id_), "and goes on to be told"


def test_accept_decides(server, http, token):
    http.publish("a", 1)
    for accept, kind in (("text/event-stream", "text/event-stream"), ("application/json", "application/json"),
                         ("*/*", "application/json"), ("TEXT/Event-Stream;q=0.9", "text/event-stream"),
                         ("application/json, text/event-stream", "text/event-stream")):
        with Raw(server) as raw:
            raw.send(request("GET", f"{EVENTS}?topic=a", f"Accept: {accept}", token=token))
            assert raw.answer().headers["content-type"].startswith(kind), accept


def test_refusals_are_plain_answers(server, http):
    headers = {"Accept": "text/event-stream"}
    assert http.call("GET", headers=headers).status_code == 400
    nobody = httpx.get(f"{server.url}{EVENTS}?topic=a", headers=headers, trust_env=False)
    assert problem(nobody) == (401, "unauthorized")
    bob = Http(server, server.token(sub="bob", subscribe=["b/**"]))
    assert problem(bob.call("GET", params={"topic": "a"}, headers=headers)) == (403, "forbidden")


def test_curl(server, http, token):
    curl = server.spawn_other(
        ["curl", "-sN", "--noproxy", "*", "-H", f"Authorization: Bearer {token}",
         "-H", "Accept: text/event-stream", f"{server.url}{EVENTS}?topic=a"], name="curl", token=token)
    until(lambda: "caught_up" in curl.out(), "curl is connected")
    ids = [http.publish("a", {"n": n}, type="t") for n in range(3)]
    until(lambda: curl.out().count("event: t\n") == 3, "they have come")
    blocks = [b for b in curl.out().split("\n\n") if "event: t\n" in b]
    for block, id_, n in zip(blocks, ids, range(3)):
        lines = block.split("\n")
        assert f"id: {id_}" in lines and len(lines) == 3
        assert json.loads(next(l for l in lines if l.startswith("data: "))[6:])["data"] == {"n": n}


def test_httpx(server, http, token):
    ids = [http.publish("a", n) for n in range(3)]
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    with httpx.Client(trust_env=False, timeout=20) as client:
        with client.stream("GET", f"{server.url}{EVENTS}", headers=headers,
                           params={"topic": "a", "since": "earliest"}) as answer:
            assert answer.status_code == 200
            seen = []
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    seen.append(line.strip()[4:])
                if len(seen) == 3:
                    break
    assert seen == ids


def test_resuming_over_kills(server, http, token):
    expected, got, position = [], [], None
    for round_ in range(3):
        headers = [f"Last-Event-ID: {position}"] if position else []
        with Sse(server, "topic=a" + ("" if position else "&since=earliest"), token, *headers) as stream:
            for n in range(20):
                expected.append(http.publish("a", (round_, n)))
                if n == 9:
                    got += [e["id"] for e in stream.receive_events(len(expected) - len(got))]
                    position = stream.last_id
            server.restart()
    with Sse(server, "topic=a", token, f"Last-Event-ID: {position}") as stream:
        got += [e["id"] for e in stream.receive_events(len(expected) - len(got))]
        assert stream.until("caught_up")[1]["position"] == expected[-1]
    assert got == expected


def test_a_token_that_expires_ends_the_stream(server):
    with Sse(server, "topic=a", server.token(ttl="2s")) as stream:
        stream.until("caught_up")
        assert stream.message() is None


def test_the_page_at_the_root_is_html(server):
    answer = subprocess.run(["curl", "-s", "--noproxy", "*", "-i", server.url + "/"], check=True,
                            capture_output=True, text=True, timeout=20).stdout
    assert answer.startswith("HTTP/1.1 200") and "text/html" in answer.partition("\r\n\r\n")[0]
