# SPDX-License-Identifier: Apache-2.0
"""What a subject may not see is not sent, live or replayed, whichever pattern it asks for."""
import pytest
import requests

from clients import EVENTS, Http, Sse, Ws, problem
from conftest import until

TOPICS = ["a/1", "a/2", "b/1", "a/1/x", "users/bob/inbox", "users/ann/inbox", "c"]


@pytest.fixture
def admin(server):
    """Who may publish everywhere."""
    return Http(server, server.token(sub="root", roles=["admin"]))


def publish_all(admin):
    return {topic: admin.publish(topic, topic) for topic in TOPICS}


# grants of bob → pattern asked for → the topics that come
CASES = [
    (["a/*"], "**", ["a/1", "a/2", "users/bob/inbox"]),
    (["a/*"], "*/1", ["a/1"]),
    (["a/**"], "a/1/**", ["a/1", "a/1/x"]),
    (["a/**"], "*/*", ["a/1", "a/2"]),
    (["*/1"], "a/**", ["a/1"]),
    (["*/1", "a/*"], "**", ["a/1", "a/2", "b/1", "users/bob/inbox"]),
    (["**"], "users/**", ["users/bob/inbox", "users/ann/inbox"]),
    (["c"], "*", ["c"]),
    (["a/1"], "a/1", ["a/1"]),
    ([], "users/*/inbox", ["users/bob/inbox"]),
]


def bob_token(server, grants):
    """A token with these grants and no other; `none/*` where there are none, as a claim needs one."""
    return server.token(sub="bob", subscribe=grants or ["none/x"])


@pytest.mark.parametrize("grants,pattern,expected", CASES)
def test_pattern_and_grants_intersect_on_every_path(server, admin, grants, pattern, expected):
    token = bob_token(server, grants)
    with Ws(server, token=token) as ws, Sse(server, f"topic={pattern}", token) as stream:
        ws.subscribe(pattern)
        stream.until("caught_up")
        publish_all(admin)
        live = [e["topic"] for e in ws.receive_events(len(expected))]
        streamed = [e["topic"] for e in stream.receive_events(len(expected))]
        admin.publish("users/bob/end", 1)  # had there been more, it would come before this
        ws.send("SUBSCRIBE", topics=["users/bob/end"], since=admin.page("**")["position"])
        ws.send("ping")
        ws.until("pong")
        assert not [m for m in ws.skipped if not m.get("control") and m["topic"] != "users/bob/end"]
    assert live == streamed == expected
    page = Http(server, token).page(pattern, since="earliest")
    assert [e["topic"] for e in page["events"] if e["topic"] != "users/bob/end"] == expected
    with Sse(server, f"topic={pattern}&since=earliest", token) as stream:
        replayed = []
        while (message := stream.message())[0] != "tidings":
            replayed.append(message[1]["topic"])
    assert [t for t in replayed if t != "users/bob/end"] == expected
    with Ws(server, path=f"{EVENTS}?topic={pattern}&since=earliest", token=token) as ws:
        ws.until("caught_up")
        assert [m["topic"] for m in ws.skipped
                if not m.get("control") and m["topic"] != "users/bob/end"] == expected


def test_what_is_not_granted_at_all_is_forbidden(server):
    token = server.token(sub="bob", subscribe=["b/**"])
    http = Http(server, token)
    for topic in ("a", "a/**", "users/ann/**", "bb/1"):
        assert problem(http.call("GET", params={"topic": topic})) == (403, "forbidden")
        answer = http.call("GET", params={"topic": topic}, headers={"Accept": "text/event-stream"})
        assert problem(answer) == (403, "forbidden")
    with Ws(server, token=token) as ws:
        ws.send("SUBSCRIBE", topics=["a/**"], ref=1)
        error = ws.until("command_error")
        assert (error["code"], error["ref"]) == ("forbidden", 1)
        ws.send("SUBSCRIBE", topics=["a/**", "b/**"], ref=2)
        assert ws.until("subscribed")["topics"] == ["b/**"]
        assert ws.skipped[0]["code"] == "forbidden", "told of the one"
    with Ws(server, path=f"{EVENTS}?topic=a", token=token) as ws:
        assert ws.closed()[0] == 4003


def test_publishing_needs_a_grant(server, admin):
    http = Http(server, server.token(sub="bob", publish=["b/*"], subscribe=["**"]))
    one = {"topic": "b/1", "type": "t"}
    assert http.post(one).status_code == 201
    for topic in ("a", "b", "b/1/2", "users/bob/x"):
        assert problem(http.post({"topic": topic, "type": "t"})) == (403, "forbidden"), topic
        assert problem(http.post([one, {"topic": topic, "type": "t"}])) == (403, "forbidden")
        assert problem(http.post({"topics": ["b/1", topic], "type": "t"})) == (403, "forbidden")
    with Ws(server, token=server.token(sub="bob", publish=["b/*"])) as ws:
        ws.send("publish", event={"topic": "a", "type": "t"})
        assert ws.until("command_error")["code"] == "forbidden"
    assert len(admin.page("**", since="earliest")["events"]) == 1


def test_a_reader_may_not_publish_and_a_publisher_may_not_read(server):
    reader = Http(server, server.token(sub="bob", subscribe=["a"]))
    assert problem(reader.post({"topic": "a", "type": "t"})) == (403, "forbidden")
    writer = Http(server, server.token(sub="eve", publish=["a"]))
    assert writer.post({"topic": "a", "type": "t"}).status_code == 201
    assert problem(writer.call("GET", params={"topic": "a"})) == (403, "forbidden")


@pytest.mark.parametrize("topic", ["audit/x", "jobs/1", "locks/a", "enhance/ann/s"])
def test_reserved_topics_are_the_servers_also_for_an_admin(server, admin, topic):
    assert problem(admin.post({"topic": topic, "type": "t"})) == (403, "reserved_topic")


def test_the_audit_is_for_admins(server, admin):
    ann = Http(server)  # all that `tidings dev` gives
    assert problem(ann.call("GET", params={"topic": "audit/**"})) == (403, "forbidden")
    granted = Http(server, server.token(sub="bob", subscribe=["**", "audit/**"]))
    assert problem(granted.call("GET", params={"topic": "audit/**"})) == (403, "forbidden")
    assert admin.call("GET", params={"topic": "audit/**"}).status_code == 200


def test_everyone_has_its_own_users_topic(server, admin):
    token = server.token(sub="bob@example.com", subscribe=["x"])
    with Ws(server, token=token) as ws:
        ws.subscribe("users/**")
        admin.publish("users/bob/inbox", 1)
        admin.publish("users/bob@example.com/inbox", 2)
        assert [e["data"] for e in ws.receive_events(1)] == [2]


def test_a_subject_in_a_topic_is_escaped(server, admin):
    """A slash or a star in a subject must not become structure."""
    for sub, segment in (("a/b", "a~2Fb"), ("*", "~2A"), ("**", "~2A~2A"), ("x~y", "x~7Ey"), ("é", "~C3~A9")):
        http = Http(server, server.token(sub=sub, subscribe=["none/x"]))
        admin.publish(f"users/{segment}/inbox", sub)
        admin.publish("users/other/inbox", "not yours")
        events = http.page("users/**", since="earliest")["events"]
        assert [e["data"] for e in events] == [sub]
        assert problem(http.call("GET", params={"topic": "users/other/**"})) == (403, "forbidden")


def test_another_key_or_a_changed_token_is_nobody(server, tmp_path):
    token = server.token()
    head, claims, signature = token.split(".")
    other = server.token(sub="root", roles=["admin"]).split(".")
    for bad in (f"{head}.{other[1]}.{signature}", f"{head}.{claims}.", f"{head}.{claims}",
                token[:-2], token + "x", "eyJhbGciOiJub25lIn0." + claims + ".",
                "eyJhbGciOiJub25lIn0." + claims + "." + signature, "x" * 9000):
        answer = requests.get(f"{server.url}{EVENTS}?topic=a", timeout=10,
                              headers={"Authorization": f"Bearer {bad}"})
        assert problem(answer) == (401, "unauthorized"), bad
    assert requests.get(f"{server.url}{EVENTS}?topic=a", timeout=10,
                        headers={"Authorization": f"bearer  {token}"}).status_code == 200


def test_an_expired_token_says_so(server):
    http = Http(server, server.token(ttl="1s"))
    until(lambda: http.call("GET", params={"topic": "a"}).status_code == 401, "it expires")
    assert problem(http.call("GET", params={"topic": "a"})) == (401, "token_expired")
    assert problem(http.post({"topic": "a", "type": "t"})) == (401, "token_expired")
