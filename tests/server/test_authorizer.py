# SPDX-License-Identifier: Apache-2.0
"""The authorizer: a server of the test is asked what the tokens do not grant."""
import http.server
import json
import subprocess
import threading

import pytest

from clients import EVENTS, Http, Sse, Ws, problem
from conftest import BINARY, DEADLINE_S, until
from test_reload import Configured, configured  # noqa: F401 (a fixture)


class Authorizer:
    """Answers as the test says, and keeps what it was asked."""

    def __init__(self):
        self.asked, self.headers = [], []
        self.answer = {"allow": True}
        self.status = 200
        self.gate = threading.Event()  # answers wait for it
        self.gate.set()
        authorizer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                authorizer.asked.append(question)
                authorizer.headers.append(dict(self.headers))
                authorizer.gate.wait(DEADLINE_S)
                answer = authorizer.answer
                if callable(answer):
                    answer = answer(question)
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                try:
                    self.send_response(authorizer.status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # who asked has given up

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/may"

    def topics(self):
        return [question["topic"] for question in self.asked]

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(DEADLINE_S)


@pytest.fixture
def authorizer():
    made = Authorizer()
    yield made
    made.close()


def file(authorizer, **more):
    lines = [f"  {name}: {value}\n" for name, value in {"url": authorizer.url, **more}.items()]
    return "authorizer:\n" + "".join(lines)


@pytest.fixture
def asking(configured, authorizer):  # noqa: F811
    configured.write(file(authorizer))
    configured.start()
    return configured


def ann(server, *subscribe, **more):
    """A token that grants nothing of what the tests ask for."""
    return server.token(sub="ann", subscribe=subscribe or ["none/x"], **more)


def root(server):
    return Http(server, server.token(sub="root", roles=["admin"]))


def refused(ws, topic, code):
    ws.send("SUBSCRIBE", topics=[topic], ref=topic)
    answer = ws.until("command_error", ref=topic)
    assert answer["code"] == code, answer
    return answer


def test_what_is_not_granted_is_asked_for_once(asking, authorizer):
    token = ann(asking, "a/granted", roles=["dev"])
    with Ws(asking, token=token) as ws:
        ws.subscribe("a/granted")
        ws.subscribe("b/**", ref=1)
        published = root(asking).publish("b/c", 1)
        assert ws.receive_events(1)[0]["id"] == published
    assert len(authorizer.asked) == 1
    question = authorizer.asked[0]
    assert question.pop("address").startswith("127.0.0.1:")
    assert question == {"subject": "ann", "roles": ["dev"], "action": "subscribe", "topic": "b/**", "endpoint": "ws"}
    with Ws(asking, token=token) as ws:
        ws.subscribe("b/**")
    assert Http(asking, token).page("b/**", since="earliest")["events"][0]["id"] == published
    with Sse(asking, "topic=b/**&since=earliest", token) as stream:
        assert stream.receive_events(1)[0]["id"] == published
    with Ws(asking, f"{EVENTS}?topic=b/**", token) as ws:
        ws.until("caught_up")
    assert len(authorizer.asked) == 1


def test_why_names_what_the_authorizer_permits(asking, authorizer):
    authorizer.answer = {"allow": True, "ttl": 60}

    def why(topic):
        answer = root(asking).call("GET", "/api/v1/admin/why", params={"sub": "ann", "topic": topic, "subscribe": "none/x"})
        assert answer.status_code == 200, answer.text
        return answer.json()
    with Ws(asking, token=ann(asking)) as ws:
        ws.subscribe("b/**")
        answer = why("b/c")
        assert (answer["may_subscribe"], answer["reason"], answer["asks_authorizer"]) == (False, "no grant matches the topic", True)
        [conn] = answer["connections"]
        assert conn["may_subscribe"] and conn["reason"] == "the authorizer permits it" and conn["pattern"] == "b/**"
        assert 0 < conn["expires_in"] <= 60 and conn["subscribed_as"] == ["b/**"]
        [conn] = why("c/d")["connections"]
        assert not conn["may_subscribe"] and "expires_in" not in conn
        assert not why("jobs/x")["asks_authorizer"] and not why("none/x")["asks_authorizer"]
        told = asking.run("why", "--sub", "ann", "--topic", "b/c", "--subscribe", "none/x", token=root(asking).session.headers["Authorization"][7:])
        assert told.returncode == 0, told.stderr
        assert "the authorizer is asked" in told.stdout and "the authorizer permits it by b/**, for seconds: " in told.stdout


def test_a_refusal_is_forbidden_and_remembered(asking, authorizer):
    authorizer.answer = {"allow": False, "ttl": 60}
    token = ann(asking)
    with Ws(asking, token=token) as ws:
        refused(ws, "b/c", "forbidden")
        refused(ws, "b/c", "forbidden")
    assert problem(Http(asking, token).call("GET", params={"topic": "b/c"})) == (403, "forbidden")
    with Ws(asking, "/ws/projects/42", token) as ws:
        assert ws.closed() == (4003, "forbidden: nothing of its topics is granted to you")
    assert authorizer.topics() == ["b/c", "projects/42/**"]
    assert authorizer.asked[1]["endpoint"] == "project"


def test_an_endpoint_lets_in_whom_the_authorizer_does(asking, authorizer):
    with Ws(asking, "/ws/projects/42", ann(asking)) as ws:
        ws.until("caught_up")
        root(asking).publish("projects/42/p", {"n": 1})
        assert ws.receive_events(1)[0]["n"] == 1
    assert authorizer.topics() == ["projects/42/**"]


def test_what_is_private_is_never_asked_for(asking, authorizer):
    token = ann(asking)
    with Ws(asking, token=token) as ws:
        for topic in ("audit/**", "jobs/1/**", "enhance/bob/**"):
            refused(ws, topic, "forbidden")
        assert authorizer.asked == []
        ws.subscribe("*/subjects/bob")  # a wildcard does not reach what is private
        answer = root(asking).call("POST", "/api/v1/subjects/bob/revoke", json={"subscribe": ["q"]})
        assert answer.status_code < 300, answer.text
        seen = root(asking).publish("z/subjects/bob")
        assert [event["id"] for event in ws.receive_events(1)] == [seen]
    assert authorizer.topics() == ["*/subjects/bob"]


def test_one_question_for_all_who_want_to_know(asking, authorizer):
    authorizer.gate.clear()
    token = ann(asking)
    sockets = [Ws(asking, token=token) for _ in range(100)]
    for ws in sockets:
        ws.send("SUBSCRIBE", topics=["b/**"], ref=1)
    until(lambda: authorizer.asked, "it is asked")
    sockets[0].send("ping")  # others go on
    sockets[0].until("pong")
    authorizer.gate.set()
    for ws in sockets:
        ws.until("subscribed", ref=1)
        ws.__exit__()
    assert len(authorizer.asked) == 1


def test_no_answer_is_no_permission_and_holds_nobody_up(configured, authorizer):  # noqa: F811
    configured.write(file(authorizer, timeout="300ms"))
    configured.start()
    authorizer.gate.clear()
    token = ann(configured)
    with Ws(configured, token=token) as ws, Ws(configured, token=ann(configured, "g")) as other:
        ws.send("SUBSCRIBE", topics=["b/c"], ref=1)
        until(lambda: authorizer.asked, "it is asked")
        other.subscribe("g")
        published = root(configured).publish("g")
        assert other.receive_events(1)[0]["id"] == published
        answer = ws.until("command_error", ref=1)
        assert (answer["code"], answer["retry_after"]) == ("unavailable", 1)
    got = Http(configured, token).call("GET", params={"topic": "b/d"})
    assert problem(got) == (503, "unavailable") and got.headers["Retry-After"] == "1"
    with Ws(configured, "/ws/projects/42", token) as ws:
        code, reason = ws.closed()
        assert code == 1013 and reason.startswith("unavailable")


@pytest.mark.parametrize("status, body", [
    (500, {"allow": True}), (204, b""), (302, {"allow": True}), (403, {"allow": True}), (200, b""), (200, b"yes"),
    (200, [True]), (200, {"allow": "true"}), (200, {"allow": 1}), (200, {}), (200, {"allow": True, "ttl": -1}),
    (200, {"allow": True, "ttl": "30"}), (200, {"allow": True, "ttl": 86401}),
    (200, {"allow": True, "more": "x" * 5000})])
def test_what_is_no_answer_fails_closed(asking, authorizer, status, body):
    authorizer.status, authorizer.answer = status, body
    with Ws(asking, token=ann(asking)) as ws:
        refused(ws, "b/c", "unavailable")
        ws.send("ping")
        ws.until("pong")
    assert [line["level"] for line in asking.lines("authorizer")] == ["warn"]


def test_nobody_there(configured, authorizer):  # noqa: F811
    configured.write(file(authorizer))
    authorizer.server.server_close()
    configured.start()
    with Ws(configured, token=ann(configured)) as ws:
        refused(ws, "b/c", "unavailable")


def test_a_permission_is_renewed_and_its_end_is_told(asking, authorizer):
    authorizer.answer = {"allow": True, "ttl": 1}
    with Ws(asking, token=ann(asking)) as ws, Sse(asking, "topic=b/c", ann(asking)) as stream:
        stream.until("caught_up")
        ws.subscribe("b/c", "users/ann/x")
        until(lambda: len(authorizer.asked) >= 4, "it is asked again")
        published = root(asking).publish("b/c")
        assert ws.receive_events(1)[0]["id"] == published
        authorizer.answer = {"allow": False}
        lost = ws.until("access_lost")
        assert (lost["topics"], lost["reason"]) == (["b/c"], "the authorizer permits it no more")
        stream.until("access_lost")
        assert stream.message() is None
        root(asking).publish("b/c")
        mine = root(asking).publish("users/ann/x")
        assert [event["id"] for event in ws.receive_events(1)] == [mine]


def test_without_an_answer_it_ends_after_a_grace(configured, authorizer):  # noqa: F811
    configured.write(file(authorizer, grace="1s"))
    configured.start()
    authorizer.answer = {"allow": True, "ttl": 1}
    with Ws(configured, token=ann(configured)) as ws:
        ws.subscribe("b/c")
        authorizer.status = 500
        assert ws.until("access_lost")["reason"] == "the authorizer gives no answer"


def test_unsubscribing_gives_a_permission_back(asking, authorizer):
    authorizer.answer = lambda question: {"allow": question["topic"] == "b/**", "ttl": 60}
    with Ws(asking, token=ann(asking)) as ws:
        ws.subscribe("b/**")
        refused(ws, "b/c", "forbidden")  # each name is asked for
        ws.send("UNSUBSCRIBE", topics=["b/**"])
        ws.until("unsubscribed")
        root(asking).publish("b/c")
        refused(ws, "b/c", "forbidden")
        assert not [m for m in ws.skipped if not m.get("control")]


def test_a_revoked_pattern_is_not_opened_again(asking, authorizer):
    with Ws(asking, token=ann(asking)) as ws:
        ws.subscribe("b/**")
        answer = root(asking).call("POST", "/api/v1/subjects/ann/revoke", json={"subscribe": ["b/secret"]})
        assert answer.status_code < 300, answer.text
        ws.until("access_lost")
        root(asking).publish("b/secret")
        seen = root(asking).publish("b/c")
        assert [event["id"] for event in ws.receive_events(1)] == [seen]
        refused(ws, "b/secret", "forbidden")
    assert authorizer.topics() == ["b/**"]


def test_a_reload_takes_it_away_and_brings_another(asking, authorizer):
    with Ws(asking, token=ann(asking)) as ws:
        ws.subscribe("b/c")
        asking.reload(file(authorizer, cache="40s"))
        until(lambda: len(authorizer.asked) == 2, "it is asked by the new settings")
        asking.reload("")
        lost = ws.until("access_lost")
        assert (lost["topics"], lost["reason"]) == (["b/c"], "there is no authorizer any more")
        refused(ws, "b/c", "forbidden")
        asking.reload(file(authorizer))
        ws.subscribe("b/c")
    assert len(authorizer.asked) == 3


def test_the_memory_of_it_is_bounded_and_counted(configured, authorizer):  # noqa: F811
    configured.write(file(authorizer, cache_entries=2))
    configured.start()
    token = ann(configured)
    with Ws(configured, token=token) as ws:
        for topic in ("a", "b", "c"):
            ws.subscribe(topic)
    with Ws(configured, token=token) as ws:
        ws.subscribe("c")
        ws.subscribe("a")
    assert authorizer.topics() == ["a", "b", "c", "a"]
    metrics = configured_metrics(configured)
    assert metrics['tidings_authorizer_requests_total{result="allowed"}'] == 4
    assert metrics["tidings_authorizer_cache_hits_total"] == 1
    assert metrics["tidings_authorizer_cache_entries"] == 2


def configured_metrics(server):
    text = Http(server).call("GET", "/metrics").text
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in text.splitlines() if line and not line.startswith("#")}


def test_the_secret_is_sent_and_what_is_wrong_is_told(configured, authorizer):  # noqa: F811
    secret = configured.directory / "secret"
    secret.write_text("s3cret\n")
    configured.write(file(authorizer, secret_file=secret))
    configured.start()
    with Ws(configured, token=ann(configured)) as ws:
        ws.subscribe("a")
    assert authorizer.headers[0]["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in configured.log()
    for text, said in (("authorizer:\n  url: ftp://x/\n", "authorizer.url"),
                       ("authorizer:\n  url: http://u:p@x/\n", "authorizer.url"),
                       (f"authorizer:\n  secret_file: {secret}\n", "authorizer.url: must be set"),
                       ("authorizer:\n  url: http://x/\n  concurrency: 0\n", "authorizer.concurrency")):
        path = configured.directory / "bad.yaml"
        path.write_text("auth:\n  secret: a secret that is long enough for HS256\n" + text)
        answer = subprocess.run([BINARY, "check", "--config", str(path)], capture_output=True, text=True,
                                timeout=DEADLINE_S)
        assert answer.returncode == 1 and said in answer.stderr + answer.stdout
