# SPDX-License-Identifier: Apache-2.0
"""Presence: who follows a topic, over all workers; coming and going are told once."""
import threading

import pytest
from conftest import until

from clients import Http, Sse, Ws, problem

TOPIC = "projects/42"
PATH = "/api/v1/presence"
ENDPOINT = "/ws/projects/42"


def here(http, topic=TOPIC, **query):
    answer = http.call("GET", PATH, params={"topic": topic, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def users(http, topic=TOPIC):
    return [entry["user"] for entry in here(http, topic)["users"]]


def until_users(http, wanted, topic=TOPIC):
    until(lambda: users(http, topic) == wanted, f"{wanted} are there")


class Watch:
    """What a WebSocket is told of coming and going."""

    def __init__(self, server, sub="watch"):
        self.ws = Ws(server, token=server.token(sub))
        self.ws.subscribe("projects/42/*", "projects/*")  # neither makes it present on the topic

    def next(self):
        while True:
            event = self.ws.receive_events(1, presence=True)[0]
            if event["type"] in ("presence_joined", "presence_left"):
                return event["type"], event["data"]["user"], event["data"]["connection_id"], event["topic"]


def test_nobody_is_there(http):
    assert here(http) == {"topic": TOPIC, "count": 0, "users": []}


def test_coming_and_going(server, http):
    watch = Watch(server)
    with Ws(server, token=server.token("bob")) as ws:
        connection = ws.until("connection")["connection_id"]
        ws.subscribe(TOPIC)
        assert watch.next() == ("presence_joined", "bob", connection, TOPIC)
        [entry] = here(http)["users"]
        assert (entry["user"], entry["connection_id"]) == ("bob", connection) and entry["since"].endswith("Z")
        ws.subscribe(f"{TOPIC}/**")  # the same topic: nothing is new
        ws.send("UNSUBSCRIBE", topics=[TOPIC])
        ws.until("unsubscribed")
        assert users(http) == ["bob"]
        ws.send("UNSUBSCRIBE", topics=[f"{TOPIC}/**"])
        ws.until("unsubscribed")
        assert watch.next() == ("presence_left", "bob", connection, TOPIC)
        assert users(http) == []
        ws.subscribe(TOPIC, "projects/43")
        assert [watch.next()[:2] + watch.next()[3:], users(http, "projects/43")] == [
            ("presence_joined", "bob", "projects/43"), ["bob"]]
    assert {watch.next()[3], watch.next()[3]} == {TOPIC, "projects/43"}
    until_users(http, [])
    assert http.page(f"{TOPIC}", since="earliest")["events"] == []  # ephemeral: not in the log


def test_by_an_endpoint_and_by_a_stream(server, http):
    with Ws(server, ENDPOINT, token=server.token("bob")) as ws, \
            Sse(server, f"topic={TOPIC}/**", server.token("carl")) as sse:
        ws.until("caught_up")
        sse.until("caught_up")
        until(lambda: sorted(users(http)) == ["bob", "carl"], "both are there")
        assert here(http)["count"] == 2
    until_users(http, [])


def test_nobody_is_told_of_itself(server, http):
    with Ws(server, ENDPOINT, token=server.token("bob")) as one, Ws(server, token=server.token("carl")) as two:
        one.until("caught_up")
        two.subscribe(f"{TOPIC}/**", "projects/43")
        assert one.receive_events(1, presence=True)[0]["user"] == "carl"
        http.publish(f"{TOPIC}/chat", "hello", **{"class": "ephemeral"})
        assert two.receive_events(1, presence=True)[0]["data"] == "hello"
        assert one.receive_events(1, presence=True)[0]["data"] == "hello"


def test_a_page_makes_nobody_present(server, http):
    watch = Watch(server)
    http.page(TOPIC, since="earliest")
    http.page(TOPIC, since="now", wait=0)
    with Ws(server, token=server.token("bob")) as ws:
        ws.subscribe(TOPIC)
        assert watch.next()[1] == "bob"


def test_several_of_one_user(server, http):
    with Ws(server, token=server.token("bob")) as one, Ws(server, token=server.token("bob")) as two:
        one.subscribe(TOPIC)
        two.subscribe(TOPIC)
        entries = here(http)["users"]
        assert [entry["user"] for entry in entries] == ["bob", "bob"]
        assert len({entry["connection_id"] for entry in entries}) == 2
        assert here(http, limit=1)["count"] == 2 and len(here(http, limit=1)["users"]) == 1


def test_patterns_that_are_no_place(server, http):
    with Ws(server, token=server.token("bob")) as ws:
        ws.subscribe("projects/*", "**", "projects/**", "projects/42/*", "rooms/1", "projects/42/chat")
        assert users(http) == []


def test_who_may_ask(server, http):
    assert problem(http.call("GET", PATH)) == (400, "bad_request")
    for query in ("topic=projects/*", "topic=a%20b", f"topic={TOPIC}&limit=0", f"topic={TOPIC}&limit=1001"):
        assert problem(http.call("GET", f"{PATH}?{query}")) == (400, "bad_request")
    assert problem(http.call("GET", f"{PATH}?topic=rooms/1")) == (404, "not_found")
    other = Http(server, server.token("bob", subscribe=["projects/43/**"], publish=["a"]))
    assert problem(other.call("GET", f"{PATH}?topic={TOPIC}")) == (403, "forbidden")
    assert here(other, "projects/43")["count"] == 0
    assert problem(Http(server, "none").call("GET", f"{PATH}?topic={TOPIC}")) == (401, "unauthorized")


def test_it_is_told_only_to_who_may_see_the_topic(server):
    outsider = Ws(server, token=server.token("eve", subscribe=["projects/43", "rooms/1"], publish=["rooms/1"]))
    outsider.subscribe("projects/*", "rooms/1")
    with Ws(server, token=server.token("bob")) as ws:
        ws.subscribe(TOPIC)
        ws.subscribe("projects/43")
        assert [e["topic"] for e in outsider.receive_events(1, presence=True)] == ["projects/43"]


def test_a_grant_that_is_lost_ends_it(server, http):
    watch = Watch(server)
    with Ws(server, token=server.token("bob")) as ws:
        ws.subscribe(TOPIC, "rooms/1")
        assert watch.next()[0] == "presence_joined"
        ws.send("auth", token=server.token("bob", subscribe=["rooms/1"], publish=["a"]))
        assert ws.until("authenticated")["lost"] == [TOPIC]
        assert watch.next()[:2] == ("presence_left", "bob")
        assert users(http) == []
    with Ws(server, token=server.token("carl")) as ws:
        ws.subscribe(TOPIC)
        assert watch.next()[:2] == ("presence_joined", "carl")  # bob's going was told once


@pytest.mark.parametrize("what", [{"subscribe": ["projects/**"]}, {"before": 4_000_000_000}])
def test_a_subject_that_is_revoked_is_gone(server, http, what):
    watch, root = Watch(server), Http(server, server.token("root", roles=["admin"]))
    with Ws(server, token=server.token("bob")) as ws:
        ws.subscribe(TOPIC)
        assert watch.next()[:2] == ("presence_joined", "bob")
        assert root.call("POST", "/api/v1/subjects/bob/revoke", json=what).status_code == 200
        assert watch.next()[:2] == ("presence_left", "bob")
        assert users(http) == []
    with Ws(server, token=server.token("carl")) as ws:
        ws.subscribe(TOPIC)
        assert watch.next()[:2] == ("presence_joined", "carl")


@pytest.mark.options("--presence.announce", "2", "--presence.entries", "4", "--workers", "2")
def test_limits(server, http):
    watch = Watch(server)
    crowd = [Ws(server, token=server.token(f"u{n}")) for n in range(5)]
    for ws in crowd:
        ws.subscribe(TOPIC)
    assert here(http)["count"] == 4
    assert users(http) == ["u0", "u1", "u2", "u3"]
    for ws in reversed(crowd):
        ws.socket.close()
        ws.ended = True
    until_users(http, [])
    told = [watch.next()[:2] for _ in range(4)]
    assert told[:2] == [("presence_joined", "u0"), ("presence_joined", "u1")]
    assert sorted(told[2:]) == [("presence_left", "u0"), ("presence_left", "u1")]
    with Ws(server, token=server.token("last")) as ws:
        ws.subscribe(TOPIC)
        assert watch.next()[:2] == ("presence_joined", "last")


@pytest.mark.options("--presence.topics", "")
def test_it_can_be_off(server, http):
    with Ws(server, token=server.token("bob")) as ws:
        ws.subscribe(TOPIC)
        assert problem(http.call("GET", f"{PATH}?topic={TOPIC}")) == (404, "not_found")


@pytest.mark.options("--workers", "2")
def test_each_is_told_once_over_all_workers(server, http):
    """Many that come and go at once, from several threads: as many left as joined, and nobody stays."""
    watch = Watch(server)
    failures = []

    def work(i):
        try:
            token = server.token(f"u{i}")
            for _ in range(5):
                with Ws(server, token=token) as ws:
                    ws.subscribe(TOPIC, f"{TOPIC}/**")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    until_users(http, [])
    told = {}
    for _ in range(60):
        type, user, connection, _ = watch.next()
        told.setdefault(connection, []).append(type)
    assert len(told) == 30 and all(types == ["presence_joined", "presence_left"] for types in told.values())
