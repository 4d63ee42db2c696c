# SPDX-License-Identifier: Apache-2.0
"""What operators look at and do: connections, topics, the journal, revocations, and why."""
import time

import pytest

from clients import Http, Sse, Ws, problem
from conftest import until

pytestmark = pytest.mark.options("--audit.events", "true", "--workers", "2")
ADMIN = "/api/v1/admin"


@pytest.fixture
def admin(server):
    return Http(server, server.token("root", roles=["admin"]))


def get(http, path, **query):
    answer = http.call("GET", ADMIN + path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def revoke(admin, subject, body):
    return admin.call("POST", f"/api/v1/subjects/{subject}/revoke", json=body)


@pytest.mark.parametrize("method,path", [
    ("GET", "/connections"), ("DELETE", "/connections/0123456789abcdef"), ("GET", "/topics"), ("GET", "/journal"),
    ("GET", "/why?sub=a&topic=b"), ("POST", "/../subjects/ann/revoke")])
def test_nobody_but_an_admin(server, method, path):
    path = "/api/v1/subjects/ann/revoke" if "revoke" in path else ADMIN + path
    body = "{}" if method == "POST" else None
    assert problem(Http(server).call(method, path, data=body)) == (403, "forbidden")
    nobody = Http(server, "x.y.z")
    assert problem(nobody.call(method, path, data=body)) == (401, "unauthorized")


def test_connections_of_all_workers_are_listed(server, admin):
    readers = [Ws(server, "/ws", token=server.token(f"u{i}")) for i in range(20)]
    readers[0].subscribe("a/*", "b")
    until(lambda: get(admin, "/connections")["count"] == 20, "all are counted")
    page = get(admin, "/connections")
    assert {c["user"] for c in page["connections"]} == {f"u{i}" for i in range(20)} and not page["more"]
    [one] = get(admin, "/connections", user="u0")["connections"]
    assert one["subscriptions"] == 2 and one["transport"] == "websocket" and one["behind"] == 0
    page = get(admin, "/connections", limit=5)
    assert len(page["connections"]) == 5 and page["more"]


def test_a_connection_is_closed(server, admin):
    ws = Ws(server, "/ws", token=server.token("ann"))
    until(lambda: get(admin, "/connections", user="ann")["connections"], "it is listed")
    [one] = get(admin, "/connections", user="ann")["connections"]
    assert admin.call("DELETE", f"{ADMIN}/connections/{one['id']}").status_code == 204
    assert ws.closed()[0] == 4003
    assert problem(admin.call("DELETE", f"{ADMIN}/connections/{one['id']}")) == (404, "not_found")
    until(lambda: [e for e in admin.page("audit/admin", since="earliest")["events"]
                   if e["type"] == "connection_ended"], "it is noted")


def test_topics_and_the_journal(server, admin):
    ws = Ws(server, "/ws", token=server.token("ann"))
    ws.subscribe("a/*")
    for _ in range(3):
        admin.publish("a/1", "x" * 100)
    admin.publish("b")
    page = get(admin, "/topics")
    rows = {row["topic"]: row["events"] for row in page["topics"]}
    assert rows["a/1"] == 3 and rows["b"] == 1
    assert {"pattern": "a/*", "subscribers": 1} in page["patterns"]
    journal = get(admin, "/journal")
    assert journal["writable"] and journal["head"] >= 4 and journal["durable"] <= journal["head"]
    assert [group["name"] for group in journal["groups"]][0] == ""


def test_a_pattern_is_taken_from_who_is_connected(server, admin):
    ann = server.token("ann", subscribe=["a/**", "b"], publish=["**"])
    ws, sse = Ws(server, "/ws", token=ann), Sse(server, "topic=a/**", ann)
    ws.subscribe("a/**", "b")
    sse.until("caught_up")
    admin.publish("a/secret/1", "before")
    ws.receive_events(1)
    answer = revoke(admin, "ann", {"subscribe": ["a/secret/**"]})
    assert answer.status_code == 200 and answer.json() == {"subscribe": ["a/secret/**"]}
    assert ws.until("access_lost")["topics"] == ["a/secret/**"]
    assert sse.until("access_lost")[1]["topics"] == ["a/secret/**"]
    admin.publish("a/secret/1", "after")
    admin.publish("a/open", "seen")
    assert [e["data"] for e in ws.receive_events(1)] == ["seen"]
    late = Http(server, ann)
    assert [e["data"] for e in late.page("a/**", since="earliest")["events"]] == ["seen"]
    assert problem(late.call("GET", "/api/v1/events", params={"topic": "a/secret/1"})) == (403, "forbidden")


def test_tokens_are_revoked_and_new_ones_are_not(server, admin):
    old = server.token("ann")
    ws = Ws(server, "/ws", token=old)
    other = Ws(server, "/ws", token=server.token("bob"))
    ws.subscribe("a")
    assert revoke(admin, "ann", {"before": int(time.time()) + 1}).status_code == 200
    assert ws.closed()[0] == 4001
    assert problem(Http(server, old).call("GET", "/api/v1/events", params={"topic": "a"})) == (401, "unauthorized")
    # iat has seconds: a token of the next one is new
    until(lambda: Http(server, server.token("ann")).call("GET", "/api/v1/events",
                                                         params={"topic": "a"}).status_code == 200,
          "a new token is taken")
    other.subscribe("a")
    server.restart()
    assert problem(Http(server, old).call("GET", "/api/v1/events", params={"topic": "a"})) == (401, "unauthorized")


def test_what_was_taken_is_given_back(server, admin):
    ann = Http(server, server.token("ann"))
    assert revoke(admin, "ann", {"subscribe": ["a"], "before": 1}).json() == {"before": 1000, "subscribe": ["a"]}
    assert problem(ann.call("GET", "/api/v1/events", params={"topic": "a"})) == (403, "forbidden")
    assert revoke(admin, "ann", {"subscribe": None}).json() == {"before": 1000}
    until(lambda: ann.call("GET", "/api/v1/events", params={"topic": "a"}).status_code == 200, "it is back")
    assert revoke(admin, "ann", {"before": None}).json() == {}


@pytest.mark.parametrize("body", [{}, [], {"before": "soon"}, {"before": -1}, {"subscribe": "a"}, {"subscribe": ["a//b"]},
                                  {"subscribe": [1]}, {"other": 1}, {"subscribe": ["a"] * 65}])
def test_a_bad_revocation_changes_nothing(server, admin, body):
    assert problem(revoke(admin, "ann", body)) == (400, "bad_request")
    assert Http(server, server.token("ann")).call("GET", "/api/v1/events", params={"topic": "a"}).status_code == 200


def test_why(server, admin):
    ws = Ws(server, "/ws", token=server.token("ann", subscribe=["a/*"]))
    ws.subscribe("a/*")
    admin.publish("a/1")
    why = get(admin, "/why", sub="ann", topic="a/1", subscribe="b")
    assert not why["may_subscribe"] and why["reason"] == "no grant matches the topic"
    [conn] = why["connections"]
    assert conn["may_subscribe"] and conn["pattern"] == "a/*" and conn["subscribed_as"] == ["a/*"]
    assert why["newest"]["id"] and why["trimmed"] is False
    assert get(admin, "/why", sub="ann", topic="audit/x")["may_subscribe"] is False
    assert get(admin, "/why", sub="ann", topic="audit/x", role="admin")["may_subscribe"] is True
    assert "wildcard" in get(admin, "/why", sub="ann", topic="jobs/1", subscribe="**")["reason"]
    revoke(admin, "ann", {"subscribe": ["a/1"]})
    why = get(admin, "/why", sub="ann", topic="a/1", subscribe="a/*")
    assert not why["may_subscribe"] and why["pattern"] == "a/1" and "revocation" in why["reason"]
    assert problem(admin.call("GET", ADMIN + "/why", params={"sub": "ann"})) == (400, "bad_request")
