# SPDX-License-Identifier: Apache-2.0
"""Limits by address and by user, over all workers, and whose address counts behind a proxy."""
import pytest
import requests

from clients import EVENTS, Http, Raw, Sse, Ws, WsRefused, problem, request
from conftest import DEADLINE_S, until

PROXIED = ("--trusted_proxies", "127.0.0.0/8,::1")


def get(server, token=None, **headers):
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return requests.get(f"{server.url}{EVENTS}", params={"topic": "a"}, timeout=DEADLINE_S,
                        headers={name.replace("_", "-"): value for name, value in headers.items()})


def refused(server, **arguments):
    """(status, Retry-After, code) of a WebSocket that is not let in."""
    with pytest.raises(WsRefused) as caught:
        Ws(server, **arguments)
    assert b'"code"' in caught.value.body
    return caught.value.status, caught.value.headers["Retry-After"], caught.value.body.decode().split('"code":"')[1].split('"')[0]


def forwarded(address):
    return [("X-Forwarded-For", address)]


# --- tokens that are not valid ---


# One worker: each has a cache of its own, and what one knows another still has to look at.
@pytest.mark.options("--limits.bad_tokens_per_second", "1", "--workers", "1", *PROXIED)
def test_who_keeps_coming_with_bad_tokens_is_not_looked_at(server):
    known, unknown = server.token(), server.token(sub="bob")
    with Ws(server, token=known) as ws:
        ws.until("connection")
        answers = [get(server, "bad") for _ in range(30)]
        assert [a.status_code for a in answers[:10]] == [401] * 10, "ten at once"
        assert answers[-1].status_code == 429 and int(answers[-1].headers["Retry-After"]) >= 1
        assert problem(answers[-1]) == (429, "rate_limited")
        # Others at this address who are known are served; who is not is not even looked at.
        for _ in range(20):
            get(server, "bad")
        assert get(server, known).status_code == 200
        assert get(server, unknown).status_code == 429
        assert refused(server, token="bad") == (429, "1", "rate_limited")
        ws.send("auth", token="bad", ref=1)
        assert ws.until("command_error", ref=1)["code"] == "rate_limited"
        assert get(server).status_code == 401, "without a token nothing is to be looked at"
        assert get(server, unknown, X_Forwarded_For="198.51.100.1").status_code == 200, "another address"
        assert get(server, "bad", X_Forwarded_For="198.51.100.1").status_code == 401
        until(lambda: get(server, server.token(sub="eve")).status_code == 200, "it is forgiven")


@pytest.mark.options("--limits.bad_tokens_per_second", "1")
def test_bad_tokens_on_one_connection_count_too(server):
    with Ws(server, token=server.token()) as ws:
        codes = []
        for n in range(20):
            ws.send("auth", token="bad", ref=n)
            codes.append(ws.until("command_error", ref=n)["code"])
        assert codes[:10] == ["unauthorized"] * 10 and codes[-1] == "rate_limited"


@pytest.mark.options("--limits.bad_tokens_per_second", "0")
def test_the_limit_can_be_switched_off(server):
    assert {get(server, "bad").status_code for _ in range(150)} == {401}


# --- connections ---


@pytest.mark.options("--limits.connections_per_address", "3", "--workers", "2")
def test_an_address_has_so_many_connections(server):
    token = server.token()

    def taken():
        """Another connection is one too many, whichever worker it comes to."""
        with Raw(server) as raw:
            raw.send(request("GET", f"{EVENTS}?topic=a", token=token))
            answer = raw.answer()
            if answer.status != 503:
                return False
            assert answer.json()["code"] == "too_many_connections" and answer.headers["retry-after"]
            assert answer.headers["connection"] == "close" and raw.rest() == b""
            return True

    def opened():
        while True:
            try:
                return Ws(server, token=token)
            except WsRefused as error:  # one before it is still being closed
                assert error.status == 503

    sockets = [opened() for _ in range(3)]
    for ws in sockets:
        ws.until("connection")
    assert taken() and taken()
    assert refused(server, token=token)[0] == 503
    sockets.pop().socket.close()
    until(lambda: not taken(), "there is room again")
    for ws in sockets:
        ws.send("ping")
        ws.until("pong")
        ws.socket.close()


@pytest.mark.options("--limits.connections_per_address", "2", *PROXIED)
def test_behind_a_proxy_its_clients_are_counted(server):
    token = server.token()
    one = [Ws(server, token=token, headers=forwarded("198.51.100.1")) for _ in range(2)]
    assert refused(server, token=token, headers=forwarded("198.51.100.1")) == (503, "1", "too_many_connections")
    assert refused(server, token=token, headers=forwarded("203.0.113.9, 198.51.100.1, 127.0.0.9"))[0] == 503
    with Ws(server, token=token, headers=forwarded("198.51.100.2")), \
            Sse(server, "topic=a", token, "X-Forwarded-For: 198.51.100.2") as stream:
        assert stream.response.status == 200
        third = Sse(server, "topic=a", token, "X-Forwarded-For: 198.51.100.2")
        assert third.response.status == 503
    one.pop().socket.close()
    until(lambda: opens(server, token, "198.51.100.1"), "there is room again")
    one.pop().socket.close()


def opens(server, token, address):
    try:
        Ws(server, token=token, headers=forwarded(address)).socket.close()
        return True
    except WsRefused:
        return False


@pytest.mark.options("--limits.connections_per_user", "2", "--workers", "2")
def test_a_user_has_so_many_connections(server):
    ann, bob = server.token(), server.token(sub="bob")
    with Ws(server, token=ann) as first, Sse(server, "topic=a", ann) as second:
        first.until("connection")
        second.until("caught_up")
        assert refused(server, token=server.token(ttl="2h")) == (503, "1", "too_many_connections"), "another token, the same user"
        third = Sse(server, "topic=a", ann)
        assert third.response.status == 503 and third.response.json()["code"] == "too_many_connections"
        with Ws(server, token=bob) as other:
            other.until("connection")
        http = Http(server, ann)
        assert http.publish("a", 1) and http.page("a"), "requests are not counted"
        assert first.protocol and second.raw

    def opens_again():
        try:
            with Ws(server, token=ann) as ws:
                return ws.until("connection")
        except WsRefused:
            return False

    until(opens_again, "there is room again")


# --- whose address ---


def log_of(server, sub):
    return [line for line in server.log().splitlines() if "connect" in line and f'subject="{sub}"' in line][0]


@pytest.mark.options(*PROXIED)
def test_the_log_shows_whom_a_trusted_proxy_names(server):
    cases = {"a": ("198.51.100.7", "198.51.100.7:0"), "b": ("203.0.113.1, 198.51.100.7", "198.51.100.7:0"),
             "c": ("[2001:db8::7]:99", "[2001:db8::7]:99"), "d": ("198.51.100.7, 127.0.0.5", "198.51.100.7:0"),
             "e": ("198.51.100.7, evil\" peer=\"1.1.1.1", "127.0.0.1:"), "f": ("", "127.0.0.1:"), "g": (",", "127.0.0.1:"),
             "h": ("unknown", "127.0.0.1:"), "i": ("127.0.0.5", "127.0.0.5:0"), "j": ("x" * 8000, "127.0.0.1:"),
             "k": ("127.0.0.5," * 1500 + "127.0.0.6", "127.0.0.5:0")}
    for sub, (header, peer) in cases.items():
        with Ws(server, token=server.token(sub=sub), headers=forwarded(header)) as ws:
            ws.until("connection")
        until(lambda: f'subject="{sub}"' in server.log(), "it is logged")
        assert f'peer="{peer}' in log_of(server, sub), sub
    with Raw(server) as raw:  # each request of a proxy's connection is somebody's own; several lines are one list
        for first, second in (("198.51.100.1", "198.51.100.2"), ("198.51.100.3", "127.0.0.1")):
            raw.send(request("GET", f"{EVENTS}?topic=a", f"X-Forwarded-For: {first}", f"X-Forwarded-For: {second}"))
            assert raw.answer().status == 401


def test_nobody_else_is_believed(server):
    with Ws(server, token=server.token(sub="x"), headers=forwarded("198.51.100.7")) as ws:
        ws.until("connection")
    until(lambda: 'subject="x"' in server.log(), "it is logged")
    assert 'peer="127.0.0.1:' in log_of(server, "x")


# --- publishes ---


@pytest.mark.options("--limits.publishes_per_second", "2")
def test_a_connection_publishes_so_often(server):
    http = Http(server)
    body = {"topic": "a", "type": "t"}
    answers = [http.post(body) for _ in range(12)]
    assert [a.status_code for a in answers[:4]] == [201] * 4, "twice as many at once"
    assert problem(answers[-1]) == (429, "rate_limited") and answers[-1].headers["Retry-After"]
    assert len(server.events("a")) == [a.status_code for a in answers].count(201), "what was refused is not stored"
    with Ws(server, token=server.token()) as ws:
        for n in range(12):
            ws.send("publish", event=body, ref=n)
        said = {m["ref"]: m for m in [ws.receive() for _ in range(13)][1:]}
        assert said[0]["type"] == "published"
        assert said[11]["type"] == "command_error" and said[11]["code"] == "rate_limited" and said[11]["retry_after"] >= 1
    until(lambda: http.post(body).status_code == 201, "it may again")
