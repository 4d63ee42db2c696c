# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: what may change is changed, a bad configuration changes nothing, and no connection is dropped."""
import json
import signal
import subprocess

import pytest
import requests

from clients import EVENTS, Http, Raw, Sse, Ws, request
from conftest import BINARY, DEADLINE_S, Server, until

SECRETS = ["a secret that is long enough for HS256 one", "a secret that is long enough for HS256 two"]


class Configured(Server):
    """A server whose configuration is a file that the test writes."""

    def __init__(self, directory):
        self.config = directory / "tidings.yaml"
        super().__init__(directory, ["--config", str(self.config), "--log.format", "json"])
        self.reloads = 0

    def write(self, text):
        self.config.write_text(text)

    def lines(self, event="reload"):
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def reload(self, text):
        """Returns the lines of the log that this reload wrote."""
        self.write(text)
        before = len(self.lines())
        self.process.send_signal(signal.SIGHUP)
        until(lambda: any(last in line["message"] for line in self.lines()[before:]
                          for last in ("is in use", "nothing was changed")), "it is reloaded")
        return self.lines()[before:]

    def token_of(self, config, sub="ann"):
        path = self.directory / "signer.yaml"
        path.write_text(config)
        return subprocess.run([BINARY, "token", "--config", str(path), "--sub", sub], check=True,
                              capture_output=True, text=True, timeout=DEADLINE_S).stdout.strip()


@pytest.fixture
def configured(tmp_path):
    server = Configured(tmp_path)
    server.write("")
    yield server
    if server.process and server.process.poll() is None:
        server.kill9()


def status(server, token):
    return requests.get(f"{server.url}{EVENTS}", params={"topic": "a"}, timeout=DEADLINE_S,
                        headers={"Authorization": f"Bearer {token}"}).status_code


def key(secret, more=""):
    return f"auth:\n  secret: {secret}\n  default_grants:\n    subscribe: ['**']\n    publish: ['**']\n{more}"


def test_a_limit_counts_at_once_and_no_connection_is_dropped(configured):
    configured.start()
    token = configured.token()
    with Ws(configured, token=token) as ws, Sse(configured, "topic=a", token) as stream:
        ws.subscribe("a")
        stream.until("caught_up")
        said = configured.reload("limits:\n  subscriptions: 1\n")
        assert [line["level"] for line in said] == ["info"]
        ws.send("SUBSCRIBE", topics=["b"], ref=1)
        assert ws.until("command_error", ref=1)["code"] == "too_large"
        published = Http(configured, token).publish("a")
        assert ws.receive_events(1)[0]["id"] == published
        assert stream.receive_events(1)[0]["id"] == published


def test_a_key_is_replaced_and_open_connections_stay(configured):
    configured.write(key(SECRETS[0]))
    configured.start()
    old, new = (configured.token_of(key(secret)) for secret in SECRETS)
    assert (status(configured, old), status(configured, new)) == (200, 401)
    with Ws(configured, token=old) as ws:
        ws.subscribe("a")
        configured.reload(key(SECRETS[1]))
        # The old token was verified before: that it was is forgotten with the key.
        until(lambda: (status(configured, old), status(configured, new)) == (401, 200), "the keys are swapped")
        published = Http(configured, new).publish("a")
        assert ws.receive_events(1)[0]["id"] == published


def test_origins_are_replaced(configured):
    configured.write("origins: ['https://one.example']\n")
    configured.start()

    def allowed(origin):
        answer = requests.get(f"{configured.url}/healthz", headers={"Origin": origin}, timeout=DEADLINE_S)
        return answer.headers.get("Access-Control-Allow-Origin") == origin

    assert allowed("https://one.example") and not allowed("https://two.example")
    configured.reload("origins: ['https://two.example']\n")
    until(lambda: allowed("https://two.example"), "the new origin counts")
    assert not allowed("https://one.example")


def test_a_bad_configuration_changes_nothing_and_is_told_line_by_line(configured):
    configured.write("limits:\n  subscriptions: 1\n")
    configured.start()
    said = configured.reload("limits:\n  subscriptions: many\n  bodybytes: 1\norigins: [nonsense]\n")
    assert {line["level"] for line in said} == {"error"} and len(said) == 4
    check = subprocess.run([BINARY, "check", "--config", str(configured.config)], capture_output=True,
                           text=True, timeout=DEADLINE_S, check=False)
    errors = [line for line in (check.stdout + check.stderr).splitlines() if str(configured.config) + ":" in line]
    assert [line["message"] for line in said[:3]] == [e for e in errors if "no key" not in e]
    assert said[-1]["message"] == "the configuration is not valid: nothing was changed"
    with Ws(configured, token=configured.token()) as ws:
        ws.subscribe("a")
        ws.send("SUBSCRIBE", topics=["b"], ref=1)
        assert ws.until("command_error", ref=1)["code"] == "too_large"
    configured.reload("")
    with Ws(configured, token=configured.token()) as ws:
        ws.subscribe("a")
        ws.subscribe("b")


def test_a_secret_is_not_in_what_is_told_of_a_bad_configuration(configured):
    configured.start()
    configured.reload("auth:\n  secret: tooshort123\n")
    assert "tooshort123" not in configured.log()


def test_a_file_that_is_gone_changes_nothing(configured):
    configured.start()
    configured.config.unlink()
    configured.process.send_signal(signal.SIGHUP)
    until(lambda: any("nothing was changed" in line["message"] for line in configured.lines()), "it is told")
    assert "cannot be read" in configured.lines()[0]["message"]
    assert status(configured, configured.token()) == 200


def test_what_only_a_restart_changes_is_named(configured, monkeypatch):
    monkeypatch.delenv("TIDINGS_WORKERS", raising=False)  # it would win over the file
    configured.start()
    for _ in range(2):  # it is still another than the one in use
        said = configured.reload("workers: 3\nsegment_bytes: 32MiB\nlimits:\n  subscriptions: 1\n")
        warned = [line["message"] for line in said if line["level"] == "warn"]
        assert warned == ["workers is changed only by a restart", "segment_bytes is changed only by a restart"]
    with Ws(configured, token=configured.token()) as ws:
        ws.subscribe("a")
        ws.send("SUBSCRIBE", topics=["b"], ref=1)
        assert ws.until("command_error", ref=1)["code"] == "too_large"


def test_the_log_level_is_changed(configured):
    configured.start()
    assert not configured.lines("accept")
    configured.reload("log:\n  level: debug\n")
    assert status(configured, configured.token()) == 200
    until(lambda: configured.lines("accept"), "connections are told at debug")


def test_how_many_connections_and_how_long_a_drain_may_be(configured):
    configured.options += ["--workers", "1"]  # each worker has its share of the connections
    configured.start()
    token = configured.token()
    with Ws(configured, token=token) as ws, Ws(configured, token=token) as other:
        for each in (ws, other):
            each.subscribe("a")
        configured.reload("limits:\n  connections: 1\ndrain: 3s\n")
        with Raw(configured) as raw:  # those that are there stay, another is one too many
            raw.send(request("GET", f"{EVENTS}?topic=a", token=token))
            answer = raw.answer()
            assert (answer.status, answer.json()["code"]) == (503, "too_many_connections")
        for each in (ws, other):
            each.send("ping")
            each.until("pong")
        assert configured.stop() == 0
        assert ws.closed()[0] == other.closed()[0] == 1001
    assert "draining, at most 3 s" in configured.log()


def test_many_reloads_under_load(configured):
    configured.options += ["--workers", "4"]
    configured.start()
    token = configured.token()
    http = Http(configured, token)
    with Ws(configured, token=token) as ws:
        ws.subscribe("a")
        ids = []
        for n in range(100):
            configured.process.send_signal(signal.SIGHUP)
            ids.append(http.publish("a", n))
        assert [e["id"] for e in ws.receive_events(100)] == ids
    assert not [line for line in configured.lines() if line["level"] != "info"]
    assert configured.stop() == 0


def granting(*patterns):
    return f"auth:\n  default_grants:\n    subscribe: {json.dumps(patterns)}\n    publish: ['**']\n"


def test_a_grant_that_is_lost_ends_the_delivery(configured):
    configured.write(granting("a/**", "b", "c"))
    configured.start()
    token, publisher = configured.token(), Http(configured, configured.token("root", roles=["admin"]))
    with Ws(configured, token=token) as ws, Sse(configured, "topic=b&topic=c", token) as stream:
        ws.subscribe("**", "b")
        ws.subscribe("a/x")
        stream.until("caught_up")
        configured.reload(granting("a/x", "c"))
        lost = ws.until("access_lost")
        assert sorted(lost["topics"]) == ["a/**", "b", "b"] and lost["reason"] and lost["control"] is True
        assert stream.until("access_lost")[1]["topics"] == ["b"]
        publisher.post([{"topic": topic, "type": "t"} for topic in ("b", "a/y", "a/x", "c")])
        assert [e["topic"] for e in ws.receive_events(2)] == ["a/x", "c"]
        assert [e["topic"] for e in stream.receive_events(1)] == ["c"]
        ws.send("SUBSCRIBE", topics=["b"], ref=1)
        assert ws.until("command_error", ref=1)["code"] == "forbidden"


def test_a_grant_that_is_gained_counts_on_open_connections(configured):
    configured.write(granting("a"))
    configured.start()
    token, publisher = configured.token(), Http(configured, configured.token("root", roles=["admin"]))
    with Ws(configured, token=token) as ws:
        ws.subscribe("*")
        configured.reload(granting("a", "b"))
        # Its subscription is widened within a second; until then what comes on b is not for it.
        until(lambda: publisher.publish("b") and heard(ws, "b"), "b is delivered")


def heard(ws, topic):
    try:
        return ws.receive(0.1)["topic"] == topic
    except TimeoutError:
        return False


def test_a_slow_reader_is_not_sent_what_it_may_not_see_any_more(configured):
    configured.write(granting("a", "b"))
    configured.start()
    token, publisher = configured.token(), Http(configured, configured.token("root", roles=["admin"]))
    with Ws(configured, token=token, receive_buffer=4096) as ws:
        ws.subscribe("a", "b")
        for _ in range(20):
            publisher.post([{"topic": "a", "type": "t", "data": "x" * 1000}] * 1000)
        last = publisher.post([{"topic": "a", "type": "last"}, {"topic": "b", "type": "last"}])
        configured.reload(granting("b"))
        ws.send("SUBSCRIBE", topics=["b"])  # it is behind; a command meets the new grants at once
        events, told = [], None
        while not events or events[-1]["topic"] != "b":
            message = ws.receive()
            if message["type"] == "access_lost":
                told = len(events)
                assert message["topics"] == ["a"]
            elif not message.get("control"):
                events.append(message)
        assert events[-1]["id"] == last.json()["ids"][1]
        assert told is not None and len(events) == told + 1 < 20000


def test_who_has_nothing_left_is_let_go(configured):
    configured.write(granting("a"))
    configured.start()
    token = configured.token()
    http = Http(configured, token)
    since = requests.get(f"{configured.url}{EVENTS}?topic=a&since=now", timeout=DEADLINE_S,
                         headers={"Authorization": f"Bearer {token}"}).json()["position"]
    with Sse(configured, "topic=a", token) as stream, Raw(configured) as poll, Ws(configured, token=token) as ws:
        stream.until("caught_up")
        ws.subscribe("a")
        poll.send(request("GET", f"{EVENTS}?topic=a&since={since}&wait=60", token=token))
        until(lambda: metric(configured, 'tidings_connections{transport="longpoll"}') == 1, "the poll waits")
        configured.reload(granting("b"))
        assert stream.until("access_lost")[1]["topics"] == ["a"]
        assert stream.message() is None
        assert ws.until("access_lost")["topics"] == ["a"]
        assert ws.subscribe("b")["topics"] == ["b"]
        assert poll.answer().json()["events"] == []
    assert http.call("GET", params={"topic": "a"}).status_code == 403


def test_grants_of_the_token_itself_are_not_the_configurations(configured):
    configured.write(granting("a"))
    configured.start()
    publisher = Http(configured, configured.token("root", roles=["admin"]))
    with Ws(configured, token=configured.token(subscribe=["a"])) as ws, \
            Ws(configured, token=configured.token("root", roles=["admin"])) as admin, \
            Ws(configured, token=configured.token()) as other:
        for each in (ws, admin, other):
            each.subscribe("a")
        configured.reload(granting())
        other.until("access_lost")
        published = publisher.publish("a")
        for each in (ws, admin):
            each.skipped = []
            assert each.receive()["id"] == published


def metric(server, name):
    text = requests.get(f"{server.url}/metrics", timeout=DEADLINE_S).text
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name + " "))
