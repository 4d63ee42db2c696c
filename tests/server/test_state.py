# SPDX-License-Identifier: Apache-2.0
"""State: the latest event of each topic and key, shown first to who comes new, kept as long as it is the latest."""
import pytest

from clients import EVENTS, Http, Sse, Ws, problem
from conftest import Server, until


def before_caught_up(ws):
    """What comes before it, and it."""
    events = []
    while True:
        message = ws.receive()
        if message.get("type") == "caught_up" and message.get("control"):
            return events, message
        if not message.get("control"):
            events.append(message)


def shown(events):
    return {(e["topic"], e["key"]): e["data"] for e in events}


def test_a_newcomer_is_shown_the_state_then_what_comes(server, http, token):
    for n in range(3):
        http.publish("a/1", n, key="x")
        http.publish("a/2", n * 10, key="x")
    http.publish("a/1", "other", key="y")
    http.publish("a/1", "no key")
    http.publish("b", 1, key="x")
    with Ws(server, path=f"{EVENTS}?topic=a/*", token=token) as ws:
        events, caught_up = before_caught_up(ws)
        assert all(e["state"] is True for e in events)
        assert shown(events) == {("a/1", "x"): 2, ("a/2", "x"): 20, ("a/1", "y"): "other"}
        id_ = http.publish("a/1", 3, key="x")
        event = ws.receive_events(1)[0]
        assert event["id"] == id_ and "state" not in event


def test_state_on_sse_has_no_id(server, http, token):
    id_ = http.publish("a", 1, key="x")
    with Sse(server, "topic=a", token) as sse:
        name, event, sse_id = sse.message()
        assert sse_id is None and event["state"] is True and event["id"] == id_
        assert sse.message()[1]["type"] == "caught_up"


def test_flat_state(server, http, token):
    http.publish("a", {"state": "mine", "n": 1}, key="x")
    with Sse(server, "topic=a&format=flat", token) as sse:
        assert sse.message()[1].items() >= {"state": True, "n": 1}.items()


@pytest.mark.parametrize("query, expected", [
    ("topic=a&state=0", []), ("topic=a&since=now", []), ("topic=a&state=1", [1]),
    ("topic=a&since=now&state=1", [1])])
def test_who_wants_it(server, http, token, query, expected):
    http.publish("a", 1, key="x")
    with Ws(server, path=f"{EVENTS}?{query}", token=token) as ws:
        assert [e["data"] for e in before_caught_up(ws)[0]] == expected


def test_subscribe_with_state(server, http, token):
    http.publish("a", 1, key="x")
    http.publish("b", 2, key="x")
    with Ws(server, token=token) as ws:
        ws.subscribe("a")
        ws.subscribe("b", state=True, ref="s")
        events, caught_up = before_caught_up(ws)
        assert [(e["topic"], e["data"], e["state"]) for e in events] == [("b", 2, True)]
        assert caught_up["ref"] == "s"
        ws.send("SUBSCRIBE", topics=["c"], state="yes", ref=1)
        assert ws.until("command_error", ref=1)["code"] == "bad_request"


def test_null_removes(server, http, token):
    http.publish("a", 1, key="x")
    http.publish("a", 2, key="y")
    http.publish("a", None, key="x")
    with Ws(server, path=f"{EVENTS}?topic=a", token=token) as ws:
        assert shown(before_caught_up(ws)[0]) == {("a", "y"): 2}


def test_a_late_viewer_gets_the_text_so_far_and_then_the_tail(server, http, token):
    at, text = 0, ""
    for n in range(500):
        content = f"wörd {n} "
        http.post({"topic": "a", "type": "token", "key": "t", "class": "append",
                   "data": {"content": content, "offset": at}})
        at, text = at + len(content.encode()), text + content
        if n == 100:
            at, text = 0, ""  # another text
        if n % 50 == 0:
            http.publish("a", n, key="other")  # lies between the chunks
    with Ws(server, path=f"{EVENTS}?topic=a", token=token) as ws:
        events, _ = before_caught_up(ws)
        chunks = [e for e in events if e["type"] == "token"]
        assert len(chunks) < 5 and "".join(c["data"]["content"] for c in chunks) == text
        assert chunks[0]["data"]["offset"] == 0
        http.post({"topic": "a", "type": "token", "key": "t", "class": "append",
                   "data": {"content": "tail", "offset": at}})
        assert ws.receive_events(1)[0]["data"] == {"content": "tail", "offset": at}


def test_what_is_not_granted_is_not_shown(server, http):
    http.publish("a/1", 1, key="x")
    http.publish("b/1", 2, key="x")
    token = server.token("eve", subscribe=["b/**"])
    with Ws(server, path=f"{EVENTS}?topic=**", token=token) as ws:
        assert shown(before_caught_up(ws)[0]) == {("b/1", "x"): 2}


def test_state_survives_a_kill(server, http, token):
    for n in range(50):
        http.publish(f"a/{n % 5}", n, key="x")
    http.publish("a/0", None, key="x")
    for _ in range(2):
        server.restart()
        with Ws(server, path=f"{EVENTS}?topic=a/*", token=token) as ws:
            assert shown(before_caught_up(ws)[0]) == {(f"a/{n}", "x"): 45 + n for n in range(1, 5)}
    server.stop()
    server.start()
    with Ws(server, path=f"{EVENTS}?topic=a/*", token=token) as ws:
        assert len(before_caught_up(ws)[0]) == 4


def test_a_page_with_state_and_a_stream_from_there(server, http, token):
    http.publish("a", 1, key="x")
    http.publish("a", 2, key="y")
    page = http.page("a", since="now", state=1)
    assert page["events"] == [] and [e["data"] for e in page["state"]] == [1, 2]
    assert all(e["state"] is True for e in page["state"])
    id_ = http.publish("a", 3, key="x")
    with Ws(server, path=f"{EVENTS}?topic=a&since={page['position']}", token=token) as ws:
        assert [e["id"] for e in ws.receive_events(1)] == [id_]
    assert "state" not in http.page("a", since="earliest")


SMALL = ("--retention.bytes", "2MiB", "--segment_bytes", "1MiB", "--limits.body_bytes", "512KiB",
         "--limits.message_bytes", "256KiB")


def trim(http, topic="bulk"):
    """Publishes until the log has dropped its beginning."""
    first = http.page("**", since="earliest", limit=1)["events"][0]["id"]

    def dropped():
        for _ in range(4):
            http.post([{"topic": topic, "type": "t", "data": "x" * 10000}] * 30)
        return http.page("**", since="earliest", limit=1)["events"][0]["id"] != first
    until(dropped, "retention has dropped the first events")


@pytest.mark.options(*SMALL)
def test_state_outlives_its_segment(server, http, token):
    first = http.publish("a", "kept", key="x")
    http.publish("a", {"content": "te", "offset": 0}, key="t", type="c", **{"class": "append"})
    http.publish("a", {"content": "xt", "offset": 2}, key="t", type="c", **{"class": "append"})
    http.publish("a", "old")
    trim(http)
    for _ in range(2):
        with Ws(server, path=f"{EVENTS}?topic=a", token=token) as ws:
            events, _ = before_caught_up(ws)
            assert [(e["key"], e["data"]) for e in events] == [
                ("x", "kept"), ("t", {"content": "text", "offset": 0})]
            assert events[0]["id"] == first
        assert http.page("a", since="earliest")["events"] == [], "it is no history any more"
        trim(http)
        server.restart()


@pytest.mark.options(*SMALL)
def test_a_gap_is_followed_by_the_state(server, http, token):
    position = http.page("a")["position"]
    http.publish("a", "kept", key="x")
    http.publish("a", "gone")
    trim(http)
    last = http.publish("a", "there")
    with Ws(server, path=f"{EVENTS}?topic=a&since={position}", token=token) as ws:
        gap = ws.until("gap")
        assert gap["reason"] == "retention" and gap["from"] == position
        events, _ = before_caught_up(ws)
        assert [(e["data"], e.get("state")) for e in events] == [("kept", True), ("there", None)]
    page = http.page("a", since=position)
    assert page["gap"]["reason"] == "retention"
    assert [e["data"] for e in page["state"]] == ["kept"]
    assert [e["id"] for e in page["events"]] == [last]
    assert "state" not in http.page("a", since=position, state=0)


@pytest.fixture
def grouped(tmp_path):
    """A server on which what is published below bulk is dropped, and nothing else."""
    config = tmp_path / "tidings.yaml"
    config.write_text("retention:\n  groups:\n    bulk: {topics: [bulk/**], bytes: 1MiB}\n")
    server = Server(tmp_path, ["--config", str(config), *SMALL[2:]])
    server.start()
    yield server
    server.kill9()


def test_what_is_kept_in_a_gap_goes_before_the_state(grouped):
    token = grouped.token()
    http = Http(grouped, token)
    position = http.publish("kept/a", 0, key="k")
    http.publish("bulk/a", "dropped", key="k")
    for n in range(1, 4):
        http.publish("kept/a", n, key="k")
    http.publish("bulk/a", "dropped")

    def dropped():
        http.post([{"topic": "bulk/b", "type": "t", "data": "x" * 9000}] * 40)
        page = http.page("bulk/a", since=position)
        return "gap" in page and not page["events"]  # what goes is told a moment before it has gone
    until(dropped, "retention has dropped the beginning")
    http.publish("kept/b", 4, key="k")
    query = f"topic=kept/*&topic=bulk/a&since={position}"
    with Ws(grouped, path=f"{EVENTS}?{query}", token=token) as ws:
        gap = ws.until("gap")
        assert gap["reason"] == "retention" and gap["from"] == position
        events, _ = before_caught_up(ws)
    assert [(e["data"], e.get("state", False)) for e in events] == [
        (1, False), (2, False), (3, False), ("dropped", True), (3, True), (4, False)]
    # Who leaves in the gap is told it again.
    with Ws(grouped, path=f"{EVENTS}?topic=kept/*&topic=bulk/a&since={events[1]['id']}", token=token) as ws:
        again = ws.until("gap")
        assert (again["from"], again["to"]) == (events[1]["id"], gap["to"])
        assert before_caught_up(ws)[0] == events[2:]


@pytest.mark.options("--limits.topic_keys", "10")
def test_keys_of_a_topic_are_bounded(server, http):
    for n in range(10):
        http.publish("a", n, key=f"k{n}")
    answer = http.post({"topic": "a", "type": "t", "data": 1, "key": "k10"})
    assert problem(answer) == (413, "too_large")
    http.publish("a", 1, key="k3")
    http.publish("a", None, key="k3")
    http.publish("a", 1, key="k10")
