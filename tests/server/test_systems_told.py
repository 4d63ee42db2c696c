# SPDX-License-Identifier: Apache-2.0
"""On the endpoints that ship: each message reaches exactly those it concerns, as long as their token is good."""
import pytest

from clients import Http, Sse, Ws, problem
from conftest import until

EVENTS = "/api/v1/proposals/{}/events"


@pytest.fixture
def backend(server):
    """The application's own server: it publishes everywhere."""
    return Http(server, server.token(sub="backend", roles=["admin"]))


def on_project(server, project, sub, *subscribe, path="/ws"):
    viewer = Ws(server, f"{path}/projects/{project}", server.token(sub=sub, subscribe=subscribe or ["none/x"]))
    viewer.until("caught_up")
    return viewer


def on_proposal(server, proposal, sub, *subscribe):
    viewer = Sse(server, "", server.token(sub=sub, subscribe=subscribe or ["none/x"]), path=EVENTS.format(proposal))
    viewer.until("caught_up")
    return viewer


def seen(viewer):
    """Types of what has come up to the mark."""
    types = []
    while not types or types[-1] != "mark":
        types += [event["type"] for event in viewer.receive_events(1)]
    return types[:-1]


def mark(backend, *topics):
    """The last event for everybody: whoever gets it has got what came before it."""
    answer = backend.post({"topics": list(topics), "type": "mark", "data": {"proposal_id": "7"}})
    assert answer.status_code == 201, answer.text


# --- whom it concerns ----------------------------------------------------------------------------------------------


def test_a_status_is_told_to_all_who_view_the_proposal_and_to_nobody_else(server, backend):
    told = {"project": on_project(server, "demo", "ann", "projects/demo/**"),
            "viewers": on_project(server, "demo", "bob", "projects/demo/**", path="/api/ws"),
            "part": on_project(server, "demo", "carl", "projects/demo/proposals/7"),
            "proposal": on_proposal(server, "7", "dora", "projects/demo/proposals/*")}
    others = {"another project": on_project(server, "other", "eve", "projects/**"),
              "another part": on_project(server, "demo", "fred", "projects/demo/news"),
              "another proposal": on_proposal(server, "8", "gina", "projects/demo/**"),
              "another grant": on_proposal(server, "7", "hans", "projects/other/**")}
    said = {"proposal_id": "7", "status": "in_review", "previous": "draft", "actor": "ann"}
    assert backend.post({"topic": "projects/demo/proposals/7", "type": "proposal_status", "data": said}).status_code == 201
    mark(backend, "projects/demo/proposals/7", "projects/demo/proposals/8", "projects/demo/news",
         "projects/other/proposals/7")
    for name, viewer in told.items():
        status = viewer.receive_events(1)[0]
        assert {key: status[key] for key in said} == said, name
        assert status["type"] == "proposal_status" and status["event_id"] and status["timestamp"], name
        assert status["topic"] == "projects/demo/proposals/7" and seen(viewer) == [], name
    for name, viewer in others.items():
        assert seen(viewer) == [], name


def test_a_comment_is_told_to_its_reviewers_and_author_alone(server, backend):
    told = {"author": on_project(server, "demo", "ann", "projects/demo/**"),
            "reviewer": on_project(server, "other", "bob", "projects/other/**"),
            "on the proposal": on_proposal(server, "7", "bob", "projects/demo/**")}
    others = {"in the project": on_project(server, "demo", "carl", "projects/demo/**"),
              "with all granted": on_project(server, "demo", "dora", "**"),
              "on another proposal": on_proposal(server, "8", "bob", "projects/demo/**"),
              "on the same": on_proposal(server, "7", "eve", "projects/demo/**")}
    comment = {"project_id": "demo", "proposal_id": "7", "comment": {"text": "Why?"}, "author": "ann"}
    answer = backend.post({"topics": ["users/ann", "users/bob/comments"], "type": "comment_created", "data": comment})
    assert answer.status_code == 201 and len(set(answer.json()["ids"])) == 2, answer.text
    mark(backend, "projects/demo/proposals/7", "projects/demo/proposals/8", "projects/other/x")
    for name, viewer in told.items():
        event = viewer.receive_events(1)[0]
        assert event["type"] == "comment_created" and {key: event[key] for key in comment} == comment, name
        assert seen(viewer) == [], name
    for name, viewer in others.items():
        assert seen(viewer) == [], name


def test_people_talk_and_a_file_grows_for_who_comes_late_too(server, backend):
    ann = Http(server, server.token(sub="ann", subscribe=["projects/demo/**"], publish=["projects/demo/chat", "projects/demo/files"]))
    early = on_project(server, "demo", "bob", "projects/demo/**")
    with Ws(server, "/ws/projects/demo", ann.session.headers["Authorization"][7:]) as talks:
        talks.until("caught_up")
        talks.send("publish", event={"topic": "projects/demo/chat", "type": "chat_message", "data": {"from": "ann", "text": "Hi"}}, ref=1)
        assert talks.until("published")["ref"] == 1
    pieces, offset = ["caf\u00e9 ", "{\"a\": 1}", "\n"], 0
    for piece in pieces:
        ann.publish("projects/demo/files", {"path": "src/a.py", "content": piece, "offset": offset}, type="file_update",
                    key="a.py", **{"class": "append"})
        offset += len(piece.encode())
    said = early.receive_events(1)[0]
    assert (said["type"], said["from"], said["text"], said["topic"]) == ("chat_message", "ann", "Hi", "projects/demo/chat")
    late = Ws(server, "/ws/projects/demo", server.token(sub="carl", subscribe=["projects/demo/**"]))
    late.until("caught_up")
    state = [event for event in late.skipped if event["type"] == "file_update"]
    ann.publish("projects/demo/files", {"path": "src/a.py", "content": "end", "offset": offset}, type="file_update",
                key="a.py", **{"class": "append"})
    for viewer, before in ((early, []), (late, state)):
        text = b""
        while not text.endswith(b"end"):
            event = before.pop(0) if before else viewer.receive_events(1)[0]
            assert event["path"] == "src/a.py" and event["offset"] == len(text), "each piece goes on where the last has ended"
            text += event["content"].encode()
        assert text.decode() == "".join(pieces) + "end"
    stranger = on_project(server, "demo", "dora", "projects/demo/news")
    mark(backend, "projects/demo/news")
    assert seen(stranger) == []


def test_a_lock_is_told_to_all_in_the_project_and_its_end_too(server, backend):
    ann = Http(server, server.token(sub="ann"))
    told = [on_project(server, "demo", "ann", "projects/demo/**"), on_project(server, "demo", "bob", "projects/demo", path="/api/ws")]
    other = on_project(server, "other", "carl", "projects/**")
    assert ann.call("PUT", "/api/v1/locks/projects/demo", json={"ttl": 1}).status_code == 201
    for viewer in told:
        taken, freed = viewer.receive_events(2)
        assert (taken["type"], taken["project_id"], taken["locked"], taken["holder"]) == ("lock_changed", "demo", True, "ann")
        assert (freed["type"], freed["locked"], freed["holder"], freed["until"]) == ("lock_changed", False, None, None)
    mark(backend, "projects/other")
    assert seen(other) == []


# --- how long ------------------------------------------------------------------------------------------------------

PATHS = ["/ws", "/ws/projects/demo", "/api/ws/projects/demo", "/ws/enhance", "/ws/audit"]


@pytest.mark.parametrize("path", PATHS)
def test_a_token_that_ends_closes_4001_unless_it_is_renewed_in_place(server, path):
    short, long = (server.token(sub="ann", roles=["admin"], ttl=ttl) for ttl in ("3s", "1h"))
    with Ws(server, path, short) as ended, Ws(server, path, short) as renewed:
        for ws in (ended, renewed):
            assert 0 < ws.until("connection")["token_expires_in"] <= 3
        renewed.send("auth", token=long, ref="a")
        told = renewed.until("authenticated")
        assert told["ref"] == "a" and told["user"] == "ann" and told["expires_in"] > 60 and not told["lost"]
        assert ended.closed() == (4001, "Unauthorized: the token has expired")
        renewed.send("ping", ref="there")
        assert renewed.until("pong", ref="there")
    with Ws(server, path, short) as again:
        assert again.closed() == (4001, "Unauthorized: the token has expired")


@pytest.mark.parametrize("path", ["/ws/projects/demo", "/api/ws/projects/demo"])
def test_who_comes_back_with_a_new_token_has_missed_nothing(server, backend, path):
    with Ws(server, path, server.token(sub="ann", ttl="3s")) as ended:
        position = ended.until("caught_up")["position"]
        assert ended.closed()[0] == 4001
    missed = [backend.publish("projects/demo/x", {"n": n}) for n in range(3)]
    with Ws(server, f"{path}?since={position}", server.token(sub="ann")) as again:
        assert [event["event_id"] for event in again.receive_events(3)] == missed
        again.until("caught_up")


def test_a_stream_of_a_proposal_ends_with_its_token_and_goes_on_from_its_last_event(server, backend):
    with Sse(server, "", server.token(sub="ann", ttl="3s"), path=EVENTS.format(7)) as stream:
        stream.until("caught_up")
        first = backend.publish("projects/demo/proposals/7", {"n": 1}, type="output")
        assert stream.receive_events(1)[0]["event_id"] == first == stream.last_id
        while stream.message():
            pass
    answer = Http(server, server.token(sub="ann", ttl="1s"))
    until(lambda: answer.call("GET", EVENTS.format(7)).status_code == 401, "the next one has ended")
    assert problem(answer.call("GET", EVENTS.format(7))) == (401, "token_expired")
    backend.publish("projects/demo/proposals/7", {"n": 2}, type="output")
    with Sse(server, "", server.token(sub="ann"), f"Last-Event-ID: {stream.last_id}", path=EVENTS.format(7)) as again:
        assert [event["n"] for event in again.receive_events(1)] == [2]
        again.until("caught_up")


# --- who did what --------------------------------------------------------------------------------------------------


@pytest.mark.options("--audit.events", "true")
def test_the_audit_is_filtered_by_who_did_what_to_what(server):
    ann, bob = (Http(server, server.token(sub=sub)) for sub in ("ann", "bob"))
    admin = server.token(sub="root", roles=["admin"])
    asked = {"action=entity_created": 3, "actor=bob&action=entity_created&action=lock_taken": 2,
             "topic=entities/applications/*": 2, "topic=entities/*/a1&actor=ann": 1, "topic=projects/**": 1}
    watchers = {query: Ws(server, f"/ws/audit?{query}", admin) for query in asked}
    begin = {query: ws.until("caught_up")["position"] for query, ws in watchers.items()}
    for http, path in ((ann, "applications/a1"), (bob, "applications/a2"), (ann, "notes/n1")):
        assert http.call("PUT", f"/api/v1/entities/{path}", json={}).status_code == 201
    assert bob.call("PUT", "/api/v1/locks/projects/demo", json={"ttl": 60}).status_code == 201
    for query, n in asked.items():
        live = watchers[query].receive_events(n)
        assert all(event["data"]["outcome"] == "done" and event["data"]["address"] for event in live), query
        names = {(event["data"]["actor"], event["data"]["topic"]) for event in live}
        assert names == {("ann", "entities/applications/a1"), ("bob", "entities/applications/a2"), ("ann", "entities/notes/n1"),
                         ("bob", "projects/demo")} & names and len(names) == n, query
        with Ws(server, f"/ws/audit?{query}&since={begin[query]}", admin) as again:
            assert again.receive_events(n) == live, "what was missed is filtered as well"
        watchers[query].send("ping", ref="end")
        assert watchers[query].until("pong", ref="end") and not [m for m in watchers[query].skipped if not m.get("control")], query
    for who in (ann, bob):
        with Ws(server, "/ws/audit?actor=ann", who.session.headers["Authorization"][7:]) as refused:
            assert refused.closed()[0] == 4003
