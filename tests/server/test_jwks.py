# SPDX-License-Identifier: Apache-2.0
"""Keys that issuers publish at a URL: fetched, kept, renewed, and never because a token says where from."""
import signal
import threading

import pytest
import requests

from clients import EVENTS, Ws, problem
from conftest import DEADLINE_S, Server, until
from issuer import Key, KeyServer

LOGIN = "https://login.example.com"


class Trusting(Server):
    """A server with these entries of auth.issuers: (name, URL, algorithms)."""

    def __init__(self, directory, *issuers):
        self.config = directory / "tidings.yaml"
        self.write(*issuers)
        super().__init__(directory, ["--config", str(self.config), "--log.format", "json", "--log.level", "debug"])

    def write(self, *issuers):
        entries = "".join(f"    - {{issuer: '{name}', algorithms: [{algs}], jwks_url: '{url}'}}\n"
                          for name, url, algs in issuers)
        self.config.write_text(f"auth:\n  issuers:\n{entries}")

    def ask(self, token):
        return requests.get(f"{self.url}{EVENTS}", params={"topic": "a"}, timeout=DEADLINE_S,
                            headers={"Authorization": f"Bearer {token}"})

    def status(self, token):
        return self.ask(token).status_code


@pytest.fixture
def trusting(tmp_path):
    """Starts servers by their issuers, and ends them."""
    started = []

    def start(*issuers):
        directory = tmp_path / str(len(started))
        directory.mkdir()
        server = Trusting(directory, *issuers)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        if server.process and server.process.poll() is None:
            server.kill9()


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"])
def test_a_token_of_each_kind_is_verified_with_a_fetched_key(trusting, alg):
    key = Key(alg, "k1")
    with KeyServer(key) as published:
        server = trusting((LOGIN, published.url, alg))
        until(lambda: server.status(key.sign(iss=LOGIN)) == 200, "the keys are loaded")
        with Ws(server, token=key.sign(iss=LOGIN, sub="bob")) as ws:
            assert ws.until("connection")["user"] == "bob"
        assert problem(server.ask(Key(alg, "k1").sign(iss=LOGIN))) == (401, "unauthorized")
        assert problem(server.ask(key.sign(iss="other"))) == (401, "unauthorized")


def test_until_the_keys_are_loaded_the_answer_is_to_try_later(trusting):
    key, release = Key("ES256", "k1"), threading.Event()
    with KeyServer(key) as published:
        answer_keys = published.answer
        published.answer = lambda served, handler: (release.wait(DEADLINE_S), answer_keys(served, handler))
        server = trusting((LOGIN, published.url, "ES256"))
        token = key.sign(iss=LOGIN)
        answer = server.ask(token)
        assert problem(answer) == (503, "unavailable") and answer.headers["Retry-After"]
        with Ws(server, token=token) as ws:
            code, reason = ws.closed()
            assert code == 1013 and reason.startswith("unavailable: ")
        assert server.status(server.token()) == 200, "others are served"
        release.set()
        until(lambda: server.status(token) == 200, "the keys are loaded")


def test_an_unknown_kid_asks_again_once(trusting):
    old, new = Key("RS256", "old"), Key("RS256", "new")
    with KeyServer(old) as published:
        server = trusting((LOGIN, published.url, "RS256"))
        until(lambda: server.status(old.sign(iss=LOGIN)) == 200, "the keys are loaded")
        published.keys = [old, new]  # both, as who rotates keys does
        until(lambda: server.status(new.sign(iss=LOGIN)) == 200, "the new key has been asked for")
        assert server.status(old.sign(iss=LOGIN)) == 200
        assert published.requests == 2
        for n in range(50):
            assert server.status(Key("RS256", f"made up {n}").sign(iss=LOGIN) if n < 2 else
                                 new.sign({"kid": f"made up {n}"}, iss=LOGIN)) == 401
        assert published.requests == 2, "at most once in 30 s"


def test_a_connection_outlives_its_key_and_new_ones_do_not(trusting):
    old, new = Key("RS256", "old"), Key("RS256", "new")
    with KeyServer(old) as published:
        server = trusting((LOGIN, published.url, "RS256"))
        until(lambda: server.status(old.sign(iss=LOGIN)) == 200, "the keys are loaded")
        with Ws(server, token=old.sign(iss=LOGIN)) as ws:
            ws.subscribe("a")
            published.keys = [new]
            until(lambda: server.status(new.sign(iss=LOGIN)) == 200, "the new key has been asked for")
            until(lambda: server.status(old.sign(iss=LOGIN)) == 401, "the old one is gone, from the cache too")
            ws.send("publish", event={"topic": "a", "type": "t"})
            assert ws.receive_events(1)[0]["topic"] == "a"


def hang_up(published, handler):
    handler.connection.close()


BAD_ANSWERS = {
    "an error": lambda published, handler: published.send(handler, 500, b"{}"),
    "not found": lambda published, handler: published.send(handler, 404, b"{}"),
    "a redirect": lambda published, handler: published.send(handler, 302, b"", Location=published.elsewhere),
    "no JSON": lambda published, handler: published.send(handler, 200, b"<html>"),
    "no keys": lambda published, handler: published.send(handler, 200, b'{"keys":[]}'),
    "only a secret": lambda published, handler: published.send(
        handler, 200, b'{"keys":[{"kty":"oct","alg":"HS256","kid":"new","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}'),
    "a mebibyte": lambda published, handler: published.send(handler, 200, b" " * 1048576 + b'{"keys":[]}'),
    "half of it": lambda published, handler: published.send(handler, 200, b'{"keys":[', Content_Length="1000"),
    "nothing": hang_up,
}


@pytest.mark.parametrize("what", BAD_ANSWERS)
def test_a_bad_answer_leaves_the_keys_in_use(trusting, what):
    key, new = Key("ES256", "k1"), Key("ES256", "new")
    with KeyServer(key) as published, KeyServer(new) as elsewhere:
        published.elsewhere = elsewhere.url
        server = trusting((LOGIN, published.url, "ES256, HS256"))
        until(lambda: server.status(key.sign(iss=LOGIN)) == 200, "the keys are loaded")
        published.answer = BAD_ANSWERS[what]
        assert server.status(new.sign(iss=LOGIN)) == 401
        until(lambda: '"event":"jwks"' in "".join(
            line for line in server.log().splitlines() if '"warn"' in line), "the failure is told")
        assert published.requests >= 2 and elsewhere.requests == 0
        assert server.status(key.sign(iss=LOGIN)) == 200
        assert server.status(new.sign(iss=LOGIN)) == 401
        published.answer = KeyServer.answer_keys
        published.keys = [key, new]
        until(lambda: server.status(new.sign(iss=LOGIN)) == 200, "it is tried again")


def test_keys_of_two_issuers_do_not_cross(trusting):
    keys = {"https://a": Key("RS256", "same"), "https://b": Key("RS256", "same")}
    with KeyServer(keys["https://a"]) as a, KeyServer(keys["https://b"]) as b:
        server = trusting(("https://a", a.url, "RS256"), ("https://b", b.url, "RS256"))
        for name, key in keys.items():
            until(lambda: server.status(key.sign(iss=name)) == 200, "the keys are loaded")
        assert server.status(keys["https://a"].sign(iss="https://b")) == 401
        assert server.status(keys["https://b"].sign(iss="https://a")) == 401
        for key in keys.values():
            for odd in ("https://c", "https://a/", "HTTPS://A", None, ["https://a"], 1, ""):
                assert server.status(key.sign(iss=odd)) == 401, odd
        assert server.status(server.token()) == 200, "the short form is beside them"
        assert server.status(Key("HS256", "same", secret=keys["https://a"].pem()).sign(iss="https://a")) == 401


def test_nothing_is_fetched_from_where_a_token_says(trusting):
    key, evil = Key("RS256", "k1"), Key("RS256", "evil")
    with KeyServer(key) as published, KeyServer(evil) as trap:
        server = trusting((LOGIN, published.url, "RS256"))
        until(lambda: server.status(key.sign(iss=LOGIN)) == 200, "the keys are loaded")
        for header in ({"jku": trap.url}, {"x5u": trap.url}, {"jwk": evil.jwk()}, {"kid": trap.url},
                       {"kid": "../../../etc/passwd"}, {"kid": "' OR 1=1 --"}):
            for iss in (LOGIN, trap.url, trap.url.removesuffix("/keys.json")):
                assert server.status(evil.sign(header, iss=iss)) == 401
        assert trap.requests == 0
        assert server.status(key.sign({"jku": trap.url}, iss=LOGIN)) == 200, "it is not even looked at"
        assert trap.requests == 0


def test_a_reload_keeps_what_was_fetched_and_drops_who_is_gone(trusting):
    keys = {"https://a": Key("ES256", "k"), "https://b": Key("ES256", "k")}
    with KeyServer(keys["https://a"]) as a, KeyServer(keys["https://b"]) as b:
        server = trusting(("https://a", a.url, "ES256"), ("https://b", b.url, "ES256"))
        for name, key in keys.items():
            until(lambda: server.status(key.sign(iss=name)) == 200, "the keys are loaded")
        a.answer = hang_up  # what is there has to do
        server.write(("https://a", a.url, "ES256"))
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.status(keys["https://b"].sign(iss="https://b")) == 401, "b is gone")
        assert server.status(keys["https://a"].sign(iss="https://a")) == 200
        server.write(("https://a", b.url, "ES256"))  # another URL: the keys of the old one are not its own
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.status(keys["https://a"].sign(iss="https://a")) == 401, "the old keys are gone")
        until(lambda: server.status(keys["https://b"].sign(iss="https://a")) == 200, "the new ones are there")


def test_stopping_does_not_wait_for_a_fetch(trusting):
    release = threading.Event()
    with KeyServer(Key("ES256", "k1")) as published:
        published.answer = lambda served, handler: release.wait(DEADLINE_S)
        server = trusting((LOGIN, published.url, "ES256"))
        until(lambda: published.requests == 1, "it is fetching")
        assert server.stop() == 0
        assert not release.is_set()
        release.set()
