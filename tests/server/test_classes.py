# SPDX-License-Identifier: Apache-2.0
"""Classes: what a reader that is slower than its events is spared, and what it never is."""
import pytest

from clients import EVENTS, Http, Sse, Ws, problem

PAD = "x" * 2000


def fill(http, n, **members):
    """So much that a socket that is not read from is full."""
    for at in range(0, n, 100):
        answer = http.post([{"topic": "a", "type": "t", "data": {"n": i, "pad": PAD}, **members}
                            for i in range(at, min(n, at + 100))])
        assert answer.status_code == 201, answer.text
    return answer.json()["ids"][-1]


def slow(server, token, path=f"{EVENTS}?topic=**&state=0"):
    ws = Ws(server, path=path, token=token, receive_buffer=8192)
    ws.until("caught_up")
    return ws


def events_up_to(ws, id_):
    events = []
    while not events or events[-1]["id"] != id_:
        events += ws.receive_events(1)
    return events


def test_every_class_is_stored_and_delivered(server, http, token):
    with Ws(server, path=f"{EVENTS}?topic=**", token=token) as ws:
        ws.until("caught_up")
        ids = [http.publish("a", {"n": 1}, **{"class": "log"}),
               http.publish("a", {"n": 2}, **{"class": "latest"}),
               http.publish("a", {"n": 3}, key="k", **{"class": "latest"}),
               http.publish("a", {"content": "x", "offset": 0}, key="k", **{"class": "append"})]
        assert [e["id"] for e in ws.receive_events(4)] == ids
    assert [e["id"] for e in http.page("a", since="earliest")["events"]] == ids


@pytest.mark.parametrize("members", [
    {"class": "newest"}, {"class": None}, {"class": ["log"]},
    {"class": "append", "data": {"content": "x", "offset": 0}},  # without a key
    {"class": "append", "key": "k", "data": "x"},
    {"class": "append", "key": "k", "data": {"content": "x"}},
    {"class": "append", "key": "k", "data": {"content": "x", "offset": -1}},
    {"class": "append", "key": "k", "data": {"content": "x", "offset": 0.5}},
    {"class": "append", "key": "k", "data": {"content": "x", "offset": 2**53}},
    {"class": "ephemeral", "dedup": "d"}])
def test_refused(http, members):
    answer = http.post({"topic": "a", "type": "t", "data": None, **members})
    assert problem(answer) == (400, "bad_request")
    assert http.page("**", since="earliest")["events"] == []


def test_a_slow_reader_gets_the_latest(server, http, token):
    with slow(server, token) as ws:
        last = fill(http, 3000, key="progress", **{"class": "latest"})
        events = events_up_to(ws, last)
        assert len(events) < 3000, "nothing was superseded"
        numbers = [e["data"]["n"] for e in events]
        assert numbers == sorted(set(numbers)) and numbers[-1] == 2999
    # A page skips nothing.
    assert len(http.page("a", since="earliest", limit=1000)["events"]) > 100


def test_keys_do_not_supersede_each_other(server, http, token):
    with slow(server, token) as ws:
        for key in ("p", "q", "r"):
            fill(http, 500, key=key, **{"class": "latest"})
        final = http.publish("a", "end")
        last = {e["key"]: e["data"]["n"] for e in events_up_to(ws, final) if "key" in e}
        assert last == {"p": 499, "q": 499, "r": 499}


def test_log_events_are_all_delivered_whatever_is_between(server, http, token):
    with slow(server, token) as ws:
        for n in range(300):
            answer = http.post([{"topic": "a", "type": "l", "data": {"n": n, "pad": PAD}},
                                {"topic": "a", "type": "p", "key": "k", "class": "latest",
                                 "data": {"n": n, "pad": PAD}}])
        last = answer.json()["ids"][-1]
        events = events_up_to(ws, last)
        assert [e["data"]["n"] for e in events if e["type"] == "l"] == list(range(300))
        assert sum(e["type"] == "p" for e in events) < 300


def text_of(events):
    """Puts a text together by its offsets, which must fit exactly."""
    text = b""
    for event in events:
        data = event["data"]
        if data["offset"] == 0:
            text = b""
        assert data["offset"] == len(text), "a hole or an overlap in the text"
        text += data["content"].encode()
    return text.decode()


def chunks(n):
    """Of all lengths, with what needs escapes."""
    at = 0
    for i in range(n):
        content = ("é\n\"\\\U0001f4a1" * (i % 3) + f"word{i} ") * (1 + i % 7)
        yield {"topic": "a", "type": "token", "key": "text", "class": "append",
               "data": {"content": content, "offset": at, "n": i}}
        at += len(content.encode())


def test_a_slow_reader_gets_a_text_in_fewer_pieces(server, http, token):
    with slow(server, token) as ws:
        fill(http, 100)
        every = list(chunks(2000))
        for at in range(0, len(every), 100):
            answer = http.post(every[at:at + 100])
        last = answer.json()["ids"][-1]
        events = [e for e in events_up_to(ws, last) if e["type"] == "token"]
        assert len(events) < 2000, "nothing was joined"
        assert text_of(events) == "".join(c["data"]["content"] for c in every)
        assert events[-1]["data"]["n"] == 1999
    whole = http.page("a", since="earliest", type="token", limit=1000)["events"]
    assert all(e["data"]["n"] == n for n, e in enumerate(whole)), "a page joins nothing"


def test_a_resuming_reader_goes_on_in_the_middle_of_a_text(server, http, token):
    every = list(chunks(60))
    ids = http.post(every).json()["ids"]
    for cut in (0, 1, 17, 58):
        with Ws(server, path=f"{EVENTS}?topic=a&since={ids[cut]}", token=token) as ws:
            events = events_up_to(ws, ids[-1])
        assert events[0]["data"]["offset"] == every[cut + 1]["data"]["offset"]
        assert "".join(e["data"]["content"] for e in events) == \
            "".join(c["data"]["content"] for c in every[cut + 1:])


def test_what_lies_between_chunks_keeps_its_place(server, http, token):
    body = []
    for n, chunk in enumerate(chunks(20)):
        body += [chunk] + ([{"topic": "a", "type": "mark", "data": n}] if n % 5 == 4 else [])
    ids = http.post(body).json()["ids"]
    with Sse(server, "topic=a&since=earliest", token) as sse:
        events = sse.receive_events(8)
    assert [e["type"] for e in events] == ["token", "mark"] * 4
    assert events[-1]["id"] == ids[-1]


# --- ephemeral ---


def test_ephemeral_events_reach_who_is_there(server, http, token):
    with Ws(server, path=f"{EVENTS}?topic=a", token=token) as ws, \
            Sse(server, "topic=a&format=flat", token) as sse, Ws(server, token=token) as ws2:
        ws.until("caught_up"), sse.until("caught_up")
        answer = http.post({"topic": "a", "type": "typing", "data": {"who": "ann"}, "class": "ephemeral"})
        assert answer.status_code == 201
        said = answer.json()
        assert said["id"] is None and said["durable"] is False
        event = ws.receive_events(1)[0]
        assert "id" not in event and event["type"] == "typing" and event["data"] == {"who": "ann"}
        name, event, id_ = sse.message()
        assert name == "typing" and id_ is None and event["who"] == "ann" and "event_id" not in event
        ws2.subscribe("a")
        ws2.send("publish", event={"topic": "a", "type": "typing", "class": "ephemeral"}, ref=1)
        published = ws2.until("published", ref=1)
        assert published["id"] is None
        assert ws.receive_events(1)[0]["origin"]
    page = http.page("**", since="earliest")
    assert page["events"] == [] and page["position"] == said["position"]


def test_an_array_with_ephemeral_events_keeps_its_order_of_ids(server, http, token):
    with Ws(server, path=f"{EVENTS}?topic=**", token=token) as ws:
        ws.until("caught_up")
        answer = http.post([{"topic": "a", "type": "t", "data": 1, "class": "ephemeral"},
                            {"topic": "a", "type": "t", "data": 2},
                            {"topic": "a", "type": "t", "data": 3, "class": "ephemeral"}]).json()
        assert answer["ids"][0] is None and answer["ids"][2] is None
        assert answer["position"] == answer["ids"][1] and answer["durable"] is True
        # An ephemeral event does not overtake what was stored before it.
        assert [e["data"] for e in ws.receive_events(3)] == [2, 1, 3]


def test_ephemeral_events_are_granted_like_others(server):
    http = Http(server, server.token("bob", publish=["a/**"], subscribe=["a/**"]))
    event = {"topic": "b", "type": "t", "class": "ephemeral"}
    assert problem(http.post(event)) == (403, "forbidden")
    with Ws(server, path=f"{EVENTS}?topic=**", token=server.token("eve", subscribe=["b/**"])) as ws:
        ws.until("caught_up")
        http.post({**event, "topic": "a"})
        Http(server).publish("b", "end")
        assert ws.receive_events(1)[0]["data"] == "end"


def test_an_idempotent_request_is_not_ephemeral(http):
    answer = http.post({"topic": "a", "type": "t", "class": "ephemeral"}, Idempotency_Key="k")
    assert problem(answer) == (400, "bad_request")


def test_ephemeral_events_cost_a_slow_reader_nothing(server, http, token):
    with slow(server, token) as ws:
        last = fill(http, 1000)
        for _ in range(50):
            http.post([{"topic": "a", "type": "e", "data": PAD, "class": "ephemeral"}] * 20)
        events = events_up_to(ws, last)
        assert [e["data"]["n"] for e in events if e["type"] == "t"] == list(range(1000))
        assert sum(e["type"] == "e" for e in events) < 1000


# --- pace ---


@pytest.mark.options("--limits.sends_per_second", "5")
def test_a_paced_connection_gets_the_last_and_all_of_the_log(server, http, token):
    with Ws(server, path=f"{EVENTS}?topic=**", token=token) as ws:
        ws.until("caught_up")
        for n in range(40):
            http.post([{"topic": "a", "type": "l", "data": n},
                       {"topic": "a", "type": "p", "key": "k", "class": "latest", "data": n}])
        last = http.publish("a", "end")
        events = events_up_to(ws, last)
        assert [e["data"] for e in events if e["type"] == "l"] == list(range(40))
        latest = [e["data"] for e in events if e["type"] == "p"]
        assert latest == sorted(latest) and latest[-1] == 39 and len(latest) < 40
