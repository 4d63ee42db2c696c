# SPDX-License-Identifier: Apache-2.0
"""Endpoints are configuration: what ships, what a file adds, who is let in, and what each is subscribed to."""
import json
import subprocess
import urllib.parse

import httpx
import pytest
from websockets.frames import Opcode

from clients import Http, Sse, Ws, WsRefused, problem
from conftest import BINARY, DEADLINE_S, until
from test_reload import SECRETS, Configured, configured  # noqa: F401 (a fixture)


@pytest.fixture
def root(server):
    """Who may publish everywhere."""
    return Http(server, server.token(sub="root", roles=["admin"]))


def token(server, sub, *subscribe, **more):
    """A token that grants these patterns and no other."""
    return server.token(sub=sub, subscribe=subscribe or ["none/x"], **more)


def plain(events):
    """Events in `flat`, without what differs from run to run."""
    return [{k: v for k, v in event.items() if k not in ("event_id", "timestamp")} for event in events]


# ---- the ones that ship ----

def test_a_project_brings_its_topics_and_the_users_own(server, root):
    with Ws(server, "/ws/projects/42", token(server, "ann", "projects/42/**")) as ws:
        hello = ws.until("connection")
        assert (hello["project_id"], hello["user"]) == ("42", "ann")
        assert hello["heartbeat"] == {"interval": 30, "timeout": 10}
        assert 0 < hello["token_expires_in"] <= 3600
        ws.until("caught_up")
        root.publish("projects/42/proposals/7", {"line": "ok"}, type="output")
        root.publish("projects/43/proposals/7", {"line": "no"}, type="output")
        root.publish("users/bob/inbox", {"text": "no"})
        root.publish("users/ann/inbox", {"text": "yes"}, type="comment_created")
        assert plain(ws.receive_events(2)) == [
            {"type": "output", "line": "ok", "topic": "projects/42/proposals/7"},
            {"type": "comment_created", "text": "yes", "topic": "users/ann/inbox"}]


@pytest.mark.parametrize("path", ["/ws/projects/42", "/api/ws/projects/42"])
def test_a_project_is_for_who_may_subscribe_something_of_it(server, path):
    for grants in (["projects/42/**"], ["projects/*/news"], ["projects/42/proposals/*"], ["**"]):
        with Ws(server, path, token(server, "ann", *grants)) as ws:
            ws.until("caught_up")
    for grants in (["projects/43/**"], ["projects"], []):
        with Ws(server, path, token(server, "ann", *grants)) as ws:
            assert ws.closed() == (4003, "forbidden: nothing of its topics is granted to you")
    with Ws(server, path) as ws:
        assert ws.closed() == (4001, "Unauthorized: no token was sent")
    with Ws(server, path, "nonsense") as ws:
        assert ws.closed()[0] == 4001
    with Ws(server, path, server.token(ttl="1s")) as ws:
        assert ws.closed() == (4001, "Unauthorized: the token has expired")


def test_part_of_a_project_is_part_of_its_events(server, root):
    with Ws(server, "/ws/projects/42", token(server, "ann", "projects/*/news")) as ws:
        ws.until("caught_up")
        root.publish("projects/42/proposals/7", 1)
        root.publish("projects/42/news", 2)
        assert [e["data"] for e in ws.receive_events(1)] == [2]


def test_state_and_since_on_an_endpoint(server, root):
    ann = server.token()
    first = root.publish("projects/42/p", {"n": 1}, key="k")
    root.publish("projects/42/p", {"n": 2}, key="k")
    with Ws(server, "/ws/projects/42", ann) as ws:
        ws.until("caught_up")
        assert [(m["n"], m["state"]) for m in ws.skipped if not m.get("control")] == [(2, True)]
    with Ws(server, "/ws/projects/42?state=0", ann) as ws:
        ws.until("caught_up")
        assert [m["type"] for m in ws.skipped] == ["connection"]
    with Ws(server, f"/ws/projects/42?since={first}", ann) as ws:
        ws.until("caught_up")
        assert [m["n"] for m in ws.skipped if not m.get("control")] == [2]


def test_a_job_is_its_viewers(server):
    """Whether another one exists is not told."""
    for who in (token(server, "ann", "jobs/7/**"), token(server, "ann", "jobs/7"), token(server, "ann", "jobs/*"),
                server.token(sub="root", roles=["admin"])):
        with Ws(server, "/ws/job/7", who) as ws:
            assert ws.until("connection")["job_id"] == "7"
            ws.until("caught_up")
    for who in (token(server, "ann", "**"), token(server, "ann", "*/7"), token(server, "ann", "jobs/8"),
                server.token(sub="ann")):
        with Ws(server, "/ws/job/7", who) as ws:
            assert ws.closed() == (4004, "not_found: there is no such job, or it is not yours")


def test_an_enhancement_has_a_session(server):
    ann = server.token(subscribe=["none/x"])
    sessions = set()
    for _ in range(2):
        with Ws(server, "/ws/enhance", ann) as ws:
            sessions.add(ws.until("connection")["session"])
            ws.until("caught_up")
    assert len(sessions) == 2 and all(len(s) == 32 for s in sessions)
    session = sessions.pop()
    with Ws(server, f"/ws/enhance?session={session}", ann) as ws:
        assert ws.until("connection")["session"] == session
    for bad in ("", "*", "a/b", "x" * 65):
        with pytest.raises(WsRefused) as refused:
            Ws(server, f"/ws/enhance?session={urllib.parse.quote(bad, safe='')}", ann)
        assert refused.value.status == 400


def test_the_audit_is_for_admins(server):
    with Ws(server, "/ws/audit?action=x&topic=a/**", server.token(roles=["Admin"])) as ws:
        ws.until("caught_up")
    for who in (server.token(), token(server, "ann", "audit/**", "**")):
        with Ws(server, "/ws/audit", who) as ws:
            assert ws.closed() == (4003, "forbidden: this endpoint is for a role that you do not have")
    with pytest.raises(WsRefused) as refused:
        Ws(server, "/ws/audit?topic=a//b", server.token(roles=["admin"]))
    assert refused.value.status == 400


PROPOSAL = "/api/v1/proposals/7/events"


def say(root):
    """What happens around proposal 7; returns the positions by number."""
    return [root.publish(topic, data) for topic, data in [
        ("projects/1/proposals/7", {"n": 0}),
        ("projects/1/proposals/8", {"n": 1}),
        ("projects/2/proposals/7/llm", {"n": 2}),
        ("users/ann/inbox", {"n": 3, "proposal_id": "7"}),
        ("users/ann/inbox", {"n": 4, "proposal_id": "8"}),
        ("users/ann/inbox", {"n": 5}),
        ("users/ann/inbox", {"n": 6, "proposal_id": 7}),
        ("users/bob/inbox", {"n": 7, "proposal_id": "7"}),
        ("users/ann/x/y", {"n": 8, "proposal_id": "7"}),
    ]]


def test_a_proposal_live_and_resumed(server, root):
    ann = token(server, "ann", "projects/*/proposals/**")
    with Sse(server, "", ann, path=PROPOSAL) as stream:
        stream.until("caught_up")
        positions = say(root)
        live = stream.receive_events(5)
        assert [e["n"] for e in live] == [0, 2, 3, 6, 8]
        assert live[0] == {"type": "t", "n": 0, "event_id": positions[0], "topic": "projects/1/proposals/7",
                           "timestamp": live[0]["timestamp"]}
    with Sse(server, f"since={positions[0]}", ann, path=PROPOSAL) as stream:
        assert [e["n"] for e in stream.receive_events(4)] == [2, 3, 6, 8]
        stream.until("caught_up")
    with Sse(server, "", ann, f"Last-Event-ID: {positions[2]}", path=PROPOSAL) as stream:
        assert [e["n"] for e in stream.receive_events(3)] == [3, 6, 8]


def test_a_proposal_page_by_page(server, root):
    ann = token(server, "ann", "projects/1/**")
    positions = say(root)
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {ann}"}, trust_env=False,
                      timeout=DEADLINE_S) as http:
        page = http.get(PROPOSAL, params={"since": "earliest"}).json()
        assert [e["n"] for e in page["events"]] == [0, 3, 6, 8]
        waited = http.get(PROPOSAL, params={"since": positions[6], "wait": 20}).json()
        assert [e["n"] for e in waited["events"]] == [8]
        # The same connection serves other resources afterwards, without anything of this.
        other = http.get("/api/v1/events", params={"topic": "users/ann/**", "since": "earliest"}).json()
        assert [e["data"]["n"] for e in other["events"]] == [3, 4, 5, 6, 8]
        again = http.get(PROPOSAL, params={"since": "earliest", "format": "event"}).json()
        assert [e["data"]["n"] for e in again["events"]] == [0, 3, 6, 8]
        head = http.head(PROPOSAL)
        assert head.status_code == 200 and head.headers["Tidings-Position"]


def test_a_proposal_in_a_long_poll(server, root):
    ann = Http(server, token(server, "ann", "projects/1/**"))
    now = ann.call("GET", PROPOSAL, params={"wait": 1}).json()["position"]
    poll = subprocess.Popen(["curl", "-s", "-H", ann.session.headers["Authorization"].join(["Authorization: ", ""]),
                             f"{server.url}{PROPOSAL}?wait=25&since={now}"], stdout=subprocess.PIPE)
    until(lambda: "longpoll\"} 1" in ann.call("GET", "/metrics").text, "it waits")
    root.publish("users/ann/inbox", {"n": 1, "proposal_id": "8"})
    root.publish("users/ann/inbox", {"n": 2, "proposal_id": "7"})
    out, _ = poll.communicate(timeout=DEADLINE_S)
    assert [e["n"] for e in json.loads(out)["events"]] == [2]


def test_a_proposal_is_refused_by_http(server):
    for who, expected in ((None, (401, "unauthorized")), ("nonsense", (401, "unauthorized")),
                          (token(server, "ann", "projects/1/news"), (403, "forbidden"))):
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        for accept in ("application/json", "text/event-stream"):
            answer = httpx.get(server.url + PROPOSAL, headers={**headers, "Accept": accept}, trust_env=False)
            assert problem(answer) == expected
    http = Http(server)
    for method in ("POST", "PUT", "DELETE"):
        answer = http.call(method, PROPOSAL)
        assert problem(answer) == (405, "bad_request") and answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    with pytest.raises(WsRefused) as refused:
        Ws(server, PROPOSAL, http.session.headers["Authorization"][7:])
    assert refused.value.status == 400
    assert problem(http.call("GET", "/ws/projects/42"))[0] == 426


@pytest.mark.parametrize("path", ["/ws/projects/", "/ws/projects/*", "/ws/projects/%2A", "/ws/projects/a%2Fb", "/ws/projects/a/b",
                                  "/ws/projects/%00", "/ws/projects/a%20b", "/ws/projects/" + "a" * 65, "/ws/jobs/1",
                                  "/api/v1/proposals/**/events"])
def test_what_is_no_legal_segment_is_no_path(server, path):
    with pytest.raises(WsRefused) as refused:
        Ws(server, path, server.token())
    assert refused.value.status == 404
    assert problem(Http(server).call("GET", path))[0] == 404 or "%00" in path


def test_a_value_is_decoded(server, root):
    with Ws(server, "/ws/projects/a%40b.c", server.token()) as ws:
        assert ws.until("connection")["project_id"] == "a@b.c"
        ws.until("caught_up")
        root.publish("projects/a@b.c/x", 1)
        assert ws.receive_events(1)[0]["topic"] == "projects/a@b.c/x"


def test_a_development_server_does_not_show_private_topics(server):
    """Everything is granted there, but not what belongs to somebody."""
    http = Http(server)
    for topic in ("jobs/1", "jobs/**", "enhance/bob/**"):
        assert problem(http.call("GET", params={"topic": topic})) == (403, "forbidden")
    assert http.page("enhance/**")["events"] == []


# ---- how many ----

def opened(server, path, who):
    ws = Ws(server, path, who)
    ws.until("caught_up")
    return ws


@pytest.mark.parametrize("path,most", [("/ws/projects/42", 5), ("/api/ws/projects/42", 20)])
@pytest.mark.options("--workers", "2")
def test_one_more_of_a_user_closes_his_oldest(server, root, path, most):
    """On whichever worker it lives."""
    ann, bob = server.token(sub="ann"), server.token(sub="bob")
    others = [opened(server, path, bob) for _ in range(2)]
    tabs = [opened(server, path, ann) for _ in range(most)]
    for n in range(3):
        tabs.append(opened(server, path, ann))
        assert tabs[n].closed() == (4009, "replaced: by a newer connection of the same user")
    left = tabs[3:]
    left.pop(1).socket.close()  # who goes by himself makes room too
    until(lambda: f'websocket"}} {most + 1}' in root.call("GET", "/metrics").text, "it is gone")
    left.append(opened(server, path, ann))
    root.publish("projects/42/x", {"n": 1})
    for ws in left + others:
        assert ws.receive_events(1)[0]["n"] == 1


def test_who_has_said_goodbye_needs_no_room(server):
    """Before its TCP connection is gone: a page that is loaded again must not close another tab."""
    ann = server.token()
    tabs = [opened(server, "/ws/projects/42", ann) for _ in range(5)]
    tabs[3].frame(Opcode.CLOSE, b"\x03\xe9")
    assert tabs[3].closed()[0] == 1001
    opened(server, "/ws/projects/42", ann)
    tabs[0].send("ping", ref=1)
    tabs[0].until("pong")


def test_a_users_limit_is_over_all_projects(server):
    ann = server.token()
    tabs = [opened(server, f"/ws/projects/{n}", ann) for n in range(6)]
    assert tabs[0].closed()[0] == 4009
    assert opened(server, "/api/ws/projects/1", ann), "another endpoint counts for itself"
    tabs[1].send("ping", ref=1)
    tabs[1].until("pong")


def test_tabs_do_not_replace_each_other_for_ever(server):
    ann = server.token()
    tabs = [opened(server, "/ws/projects/42", ann) for _ in range(5)]
    for n in range(10):
        tabs.append(opened(server, "/ws/projects/42", ann))
        assert tabs[n].closed()[0] == 4009
    for _ in range(3):
        with Ws(server, "/ws/projects/42", ann) as ws:
            assert ws.closed() == (4029, "rate_limited: too many connections of yours have replaced each other")
    for ws in tabs[10:]:
        ws.send("ping", ref=1)
        ws.until("pong")
    opened(server, "/ws/projects/42", server.token(sub="bob"))


@pytest.mark.options("--workers", "2")
def test_a_project_has_so_many_connections(server, root):
    users = [server.token(sub=f"user{n}") for n in range(10)]
    tabs = [opened(server, "/ws/projects/42", users[n // 5]) for n in range(50)]
    with pytest.raises(WsRefused) as refused:
        Ws(server, "/ws/projects/42", server.token(sub="late"))
    assert refused.value.status == 503 and refused.value.headers["Retry-After"] == "1"
    assert json.loads(refused.value.body)["code"] == "too_many_connections"
    # Replacing one's own is never refused; another project is another path.
    tabs.append(opened(server, "/ws/projects/42", users[0]))
    assert tabs[0].closed()[0] == 4009
    opened(server, "/ws/projects/43", server.token(sub="late"))
    tabs[10].socket.close()

    def may_come():
        try:
            return opened(server, "/ws/projects/42", server.token(sub="late"))
        except WsRefused:
            return None

    assert until(may_come, "there is room again")
    root.publish("projects/42/x", {"n": 1})
    for ws in tabs[1:10] + tabs[11:]:
        assert ws.receive_events(1)[0]["n"] == 1


# ---- those of a file ----

def configure(configured, endpoints, more=""):
    configured.write(f"auth:\n  secret: {SECRETS[0]}\n  default_grants:\n    subscribe: ['**']\n    publish: ['**']\n"
                     f"{more}endpoints:\n{endpoints}")


BOARD = """
  board:
    path: /boards/{team}/{board}
    topics: ["boards/{team}/{board}/**", "people/{sub} where board={board}"]
    transports: [websocket, http]
    filters: [kind, author]
    topic_filters: [about]
"""


@pytest.fixture
def board(configured):  # noqa: F811
    configure(configured, BOARD)
    configured.start()
    return configured


def ann_of(configured):  # noqa: F811
    return configured.token_of(f"auth: {{secret: {SECRETS[0]}}}")


def test_an_endpoint_of_a_file(board):
    ann = Http(board, ann_of(board))
    with Ws(board, "/boards/red/1", ann_of(board)) as ws:
        hello = ws.until("connection")
        assert (hello["team"], hello["board"]) == ("red", "1")
        ws.until("caught_up")
        for topic, data in (("boards/red/1", 1), ("boards/red/2", 2), ("people/ann", {"board": "2"}),
                            ("people/ann", {"board": "1"}), ("people/bob", {"board": "1"})):
            ann.publish(topic, data)
        assert [e["data"] for e in ws.receive_events(2)] == [1, {"board": "1"}]
        # What the client subscribes besides comes without the condition, …
        ws.subscribe("people/bob", "boards/red/2")
        ann.publish("people/bob", 3)
        ann.publish("boards/red/2", 4)
        ann.publish("people/ann", {"board": "2"})
        assert [e["data"] for e in ws.receive_events(2)] == [3, 4]
        # … also when it brings the topic that has one.
        ws.subscribe("people/*")
        ann.publish("people/ann", {"board": "2", "n": 5})
        assert ws.receive_events(1)[0]["data"] == {"board": "2", "n": 5}
    page = ann.call("GET", "/boards/red/1", params={"since": "earliest"}).json()
    assert [e["data"] for e in page["events"]] == [1, {"board": "1"}]


FILTERED = [
    ("", [0, 1, 2, 3, 4, 5, 6]),
    ("kind=note", [0, 1]),
    ("kind=note&kind=task", [0, 1, 2]),
    ("kind=note&author=ann", [0]),
    ("author=7", [3]),
    ("author=true", [4]),
    ("kind=no%74e&author=an%6E", [0]),
    ("about=projects/*", [5]),
    ("about=projects/**", [5, 6]),
    ("about=projects/**&about=x", [5, 6]),
    ("about=y", []),
    ("kind=", []),
]


@pytest.mark.parametrize("query,expected", FILTERED)
def test_filters_live_and_on_replay(board, query, expected):
    ann, token = Http(board, ann_of(board)), ann_of(board)
    events = [{"kind": "note", "author": "ann"}, {"kind": "n\u006fte", "author": "bob"}, {"kind": "task"}, {"author": 7},
              {"author": True}, {"about": "projects/1"}, {"about": "projects/1/x"}]
    with Ws(board, f"/boards/red/1?{query}", token) as ws, Sse(board, query, token, path="/boards/red/1") as stream:
        ws.until("caught_up")
        stream.until("caught_up")
        for n, event in enumerate(events):
            ann.publish("boards/red/1", {"n": n, **event})
        # The end is one that passes whatever is asked for.
        end = ann.publish("boards/red/1", {"n": 9, "kind": "note", "author": "ann", "about": "projects/1"})
        if expected and "author=7" not in query and "author=true" not in query:
            assert [e["data"]["n"] for e in ws.receive_events(len(expected) + 1)] == [*expected, 9]
            assert [e["data"]["n"] for e in stream.receive_events(len(expected) + 1)] == [*expected, 9]
        else:
            assert [e["data"]["n"] for e in ws.receive_events(len(expected))] == expected
            assert [e["data"]["n"] for e in stream.receive_events(len(expected))] == expected
    page = ann.call("GET", f"/boards/red/1?{query}", params={"since": "earliest"}).json()
    assert [e["data"]["n"] for e in page["events"] if e["id"] != end] == expected
    with Ws(board, f"/boards/red/1?since=earliest&{query}", token) as ws:
        ws.until("caught_up")
        assert [m["data"]["n"] for m in ws.skipped if not m.get("control") and m["id"] != end] == expected


def test_too_many_filters(board):
    query = "&".join(f"kind={n}" for n in range(65))
    assert problem(Http(board, ann_of(board)).call("GET", f"/boards/red/1?{query}")) == (400, "bad_request")
    assert problem(Http(board, ann_of(board)).call("GET", "/boards/red/1?about=a//b")) == (400, "bad_request")


def test_limits_of_streams(configured):  # noqa: F811
    configure(configured, """
  feed:
    path: /feed/{name}
    topics: ["feed/{name}"]
    transports: [http]
    connections_per_user: 1
    replacements_per_minute: 1
""")
    configured.start()
    ann = ann_of(configured)
    with Sse(configured, "", ann, path="/feed/1") as first:
        first.until("caught_up")
        with Sse(configured, "", ann, path="/feed/1") as second:
            second.until("caught_up")
            assert first.block() is None, "the first one is ended"
            third = Sse(configured, "", ann, path="/feed/1")
            assert (third.response.status, third.response.json()["code"]) == (429, "rate_limited")
            assert third.response.headers["retry-after"]
            # A page is no connection that stays.
            Http(configured, ann).publish("feed/1", "x")
            assert second.receive_events(1)[0]["data"] == "x"
            assert Http(configured, ann).call("GET", "/feed/1").json()["events"][0]["data"] == "x"


def test_limits_go_on_over_a_reload(configured):  # noqa: F811
    limited = "  feed: {path: /feed, topics: [feed], connections_per_user: 2}\n"
    configure(configured, limited)
    configured.start()
    ann = ann_of(configured)
    tabs = [opened(configured, "/feed", ann) for _ in range(2)]
    configure(configured, limited.replace("2}", "1}"))
    configured.reload(configured.config.read_text())
    opened(configured, "/feed", ann)
    assert tabs[0].closed()[0] == 4009


PUBLIC = """
  status:
    path: /status/{site}
    topics: ["status/{site}/**"]
    transports: [websocket, http]
    rule: public
"""


def test_a_public_endpoint_needs_no_token_and_shows_its_topics_only(configured):  # noqa: F811
    configure(configured, PUBLIC)
    configured.start()
    ann = Http(configured, ann_of(configured))
    ann.publish("status/a/web", "before")
    for token in (None, "nonsense"):
        with Ws(configured, "/status/a", token) as ws:
            assert ws.until("connection")["user"] is None
            ws.until("caught_up")
            ws.send("SUBSCRIBE", topics=["status/b/**"], ref=1)
            assert ws.until("command_error")["code"] == "forbidden"
            ws.send("SUBSCRIBE", topics=["users/**"], ref=2)
            assert ws.until("command_error")["code"] == "forbidden"
            ws.send("publish", event={"topic": "status/a/web", "type": "t"})
            assert ws.until("command_error")["code"] == "forbidden"
            ws.send("auth", token=ann_of(configured))
            assert ws.until("command_error")["code"] == "forbidden"
            ann.publish("status/b/web", "no")
            ann.publish("status/a/web", "yes")
            assert ws.receive_events(1)[0]["data"] == "yes"
    answer = httpx.get(f"{configured.url}/status/a?since=earliest", trust_env=False)
    assert [e["data"] for e in answer.json()["events"]] == ["before", "yes", "yes"]
    # What nobody needs a token for opens nothing else.
    assert httpx.get(f"{configured.url}/api/v1/events?topic=status/a/web", trust_env=False).status_code == 401
    with Ws(configured, "/status/a") as ws, Ws(configured, "/ws", ann_of(configured)) as other:
        ws.until("caught_up")
        configure(configured, PUBLIC.replace("rule: public", "rule: any"))
        configured.reload(configured.config.read_text())
        assert ws.closed() == (4001, "Unauthorized: this is not public any more")
        other.send("ping", ref=1)
        other.until("pong")


def test_an_address_has_so_many_connections_at_an_endpoint(configured):  # noqa: F811
    """Where nobody is known it is all that there is to go by; another one is refused, and nobody is replaced."""
    configure(configured, PUBLIC + "    connections_per_address: 3\n", more="workers: 2\n")
    configured.start()
    viewers = [opened(configured, f"/status/{site}", None) for site in "aab"]
    with pytest.raises(WsRefused) as refused:
        Ws(configured, "/status/c")
    assert refused.value.status == 503 and refused.value.headers["Retry-After"]
    assert json.loads(refused.value.body)["code"] == "too_many_connections"
    with httpx.stream("GET", f"{configured.url}/status/a", headers={"Accept": "text/event-stream"}, trust_env=False) as stream:
        assert stream.status_code == 503
    assert httpx.get(f"{configured.url}/status/a?since=earliest", trust_env=False).status_code == 200, "a page is no stream"
    opened(configured, "/ws/projects/1", ann_of(configured)).socket.close()
    viewers.pop().socket.close()

    def may_come():
        try:
            return opened(configured, "/status/c", None)
        except WsRefused:
            return None
    viewers.append(until(may_come, "there is room again"))
    for ws in viewers:
        ws.send("ping", ref=1)
        ws.until("pong")


def test_the_file_replaces_what_ships(configured):  # noqa: F811
    configure(configured, """
  mine:
    path: /ws/projects/{p}
    topics: ["work/{p}"]
  audit: {enabled: false}
""")
    configured.start()
    ann = ann_of(configured)
    with Ws(configured, "/ws/projects/1", ann) as ws:
        assert ws.until("connection")["p"] == "1"
        ws.until("caught_up")
        Http(configured, ann).publish("work/1", "mine")
        assert ws.receive_events(1)[0]["data"] == "mine"
    with pytest.raises(WsRefused) as refused:
        Ws(configured, "/ws/audit", ann)
    assert refused.value.status == 404
    with Ws(configured, "/api/ws/projects/1", ann) as ws:
        ws.until("caught_up")


def test_a_reload_brings_and_takes_endpoints_and_keeps_connections(configured):  # noqa: F811
    configure(configured, BOARD)
    configured.start()
    ann = ann_of(configured)
    with Ws(configured, "/boards/red/1", ann) as ws:
        ws.until("caught_up")
        for endpoints in (BOARD + "    subscriptions: 3\n", "  x: {path: /x, topics: [x]}\n", BOARD):
            configure(configured, endpoints)
            assert [line["level"] for line in configured.reload(configured.config.read_text())] == ["info"]
            if "x:" in endpoints:
                with pytest.raises(WsRefused):
                    Ws(configured, "/boards/red/1", ann)
                Ws(configured, "/x", ann).until("caught_up")
            elif "subscriptions" in endpoints:
                ws.subscribe("a")
                ws.send("SUBSCRIBE", topics=["b"])
                assert ws.until("command_error")["code"] == "too_large"
            Http(configured, ann).publish("boards/red/1", endpoints)
            assert ws.receive_events(1)[0]["data"] == endpoints


def test_numbers_of_an_endpoint(configured):  # noqa: F811
    configure(configured, """
  quick:
    path: /quick
    topics: [quick]
    ping_interval: 1s
    pong_timeout: 2s
    idle_timeout: 1s
    commands_per_second: 1
  quiet: {path: /quiet, idle_timeout: 1s}
""")
    configured.start()
    ann = ann_of(configured)
    with Ws(configured, "/quick", ann) as ws:
        assert ws.until("connection")["heartbeat"] == {"interval": 1, "timeout": 2}
        ws.until("heartbeat")
        for _ in range(3):
            ws.send("ping")
        ws.until("command_error", code="rate_limited")
    with Ws(configured, "/quiet", ann) as ws:
        assert ws.until("connection")["heartbeat"] == {"interval": 30, "timeout": 10}
        assert ws.closed() == (4008, "idle timeout: nothing is subscribed")


# ---- the command line ----

def check(path):
    return subprocess.run([BINARY, "check", "--config", str(path)], capture_output=True, text=True, timeout=DEADLINE_S)


def test_what_ships_can_be_printed_and_loaded(tmp_path):
    printed = subprocess.run([BINARY, "check", "--print-endpoints"], capture_output=True, text=True, check=True,
                             timeout=DEADLINE_S).stdout
    path = tmp_path / "t.yaml"
    path.write_text(f"auth: {{secret: {SECRETS[0]}}}\n{printed}")
    assert check(path).returncode == 0
    for shipped in ("/ws", "/ws/projects/{project_id}", "/api/ws/projects/{project_id}", "/ws/job/{job_id}", "/ws/enhance",
                    "/ws/audit", "/api/v1/proposals/{id}/events"):
        assert f"path: {shipped}\n" in printed


WRONG = [
    ("  a: {topics: [x]}", "3: endpoints.a.path: name one, such as /ws/projects/{project_id}"),
    ("  a: {path: ws}", "3: endpoints.a.path must be a path such as /ws/projects/{project_id}, in which a variable is a "
                        "whole segment, not 'ws'"),
    ("  a:\n    path: /x\n    topics: ['a/{b']", "5: endpoints.a.topics must be a list, each a pattern such as "
     "projects/{project_id}/** or users/{sub}/**, perhaps with ` where MEMBER={variable}` behind it, not 'a/{b'"),
    ("\n  a: {path: /x, topics: ['{b}']}", "4: endpoints.a.topics: {b} is no variable of the path, and not {sub} or {session}"),
    ("  a: {path: /x, rule: everyone}", "3: endpoints.a.rule must be any, subscribe, job, role:NAME or public, not 'everyone'"),
    ("  a: {path: /x, topic: [x]}", "3: endpoints.a.topic is not an option; did you mean topics?"),
    ("  a: {path: /metrics}", "3: endpoints.a.path: the server itself answers there; choose another"),
    ("  a: {path: '/x/{a}'}\n  b: {path: '/x/{b}'}", "4: endpoints.b.path: an entry above has the same; keep one of them"),
    ("  a: {path: /x, transports: [sse]}", "3: endpoints.a.transports must be a list, each websocket or http, not 'sse'"),
    ("  a: {path: /x, filters: [since]}", "3: endpoints.a.filters must be a list, each a name of letters, digits and . _ ~ @ : - "
     "that no other parameter has (since, state, type, format, limit, wait, session, token), not 'since'"),
]


@pytest.mark.parametrize("text,expected", WRONG)
def test_a_wrong_endpoint_is_explained(tmp_path, text, expected):
    path = tmp_path / "t.yaml"
    path.write_text(f"auth: {{secret: {SECRETS[0]}}}\nendpoints:\n{text}\n")
    checked = check(path)
    assert (checked.returncode, checked.stderr) == (1, f"{path}:{expected}\n")
