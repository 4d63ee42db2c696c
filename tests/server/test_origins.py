# SPDX-License-Identifier: Apache-2.0
"""Which pages may use a cookie, and read answers: an exact list (cross-site WebSocket hijacking, CORS)."""
import pytest

from clients import EVENTS, Raw, Sse, Ws, request

ALLOWED = "https://app.example.com"
PORTED = "http://intern.example.com:*"
COOKIE = pytest.mark.options("--auth.cookie", "sid", "--origins", f"{ALLOWED},{PORTED},https://app.example.com:8443,http://[::1]:*")

GOOD = [ALLOWED, "https://app.example.com:8443", "http://intern.example.com", "http://intern.example.com:1",
        "http://intern.example.com:65535", "http://[::1]", "http://[::1]:3000"]
BAD = [
    "null", "", " ", "*", "https://", "https://*", "file://", "about:blank", "data:",
    # another scheme, host, port
    "http://app.example.com", "wss://app.example.com", "https://evil.com", "https://example.com", "https://app.example.com:443",
    "https://app.example.com:8444", "https://app.example.com:", "https://intern.example.com", "http://intern.example.com:",
    "http://intern.example.com:0x50", "http://intern.example.com:-1", "http://intern.example.com:8o", "http://intern.example.com:999999",
    "http://intern.example.com:80:80", "http://intern.example.com:*", "http://intern.example.com:80@evil.com",
    # allowed as a substring, prefix or suffix
    "https://app.example.com.evil.com", "https://evil.com/https://app.example.com", "https://evilapp.example.com",
    "https://evil-app.example.com", "https://app.example.com.", "https://app.example.co", "https://xhttps://app.example.com",
    "http://intern.example.com.evil.com", "http://intern.example.com.evil.com:80", "http://intern.example.comevil:80",
    "https://sub.app.example.com", "https://app-example.com", "https://appXexample.com",
    # userinfo, path, query, fragment
    "https://app.example.com@evil.com", "https://evil.com@app.example.com", "https://user:pass@app.example.com",
    "https://app.example.com/", "https://app.example.com/x", "https://app.example.com?x", "https://app.example.com#x",
    "https://app.example.com\\@evil.com", "https://evil.com#@app.example.com", "https://evil.com?app.example.com",
    # spelling
    "HTTPS://app.example.com", "https://APP.example.com", "Https://App.Example.Com", "https:/app.example.com",
    "https:app.example.com", "//app.example.com", "app.example.com", "https://app%2eexample.com", "https://app.example.com%00",
    "https://app.example.com,https://evil.com", "https://evil.com,https://app.example.com", f"{ALLOWED} {ALLOWED}",
    "https://xn--pp-yka.example.com", "https://[::1]", "http://[::1", "http://::1",
]


@pytest.fixture
def cookie(server):
    return [("Cookie", f"sid={server.token()}")]


@COOKIE
def test_a_websocket_with_a_cookie_needs_an_allowed_origin(server, cookie):
    for origin in GOOD:
        with Ws(server, headers=cookie, origin=origin) as ws:
            assert ws.receive()["user"] == "ann", origin
    for origin in [None, *BAD]:
        with Ws(server, headers=cookie, origin=origin) as ws:
            assert ws.closed() == (4001, "Unauthorized: no token was sent"), origin


@COOKIE
def test_a_token_that_a_script_holds_needs_no_origin(server):
    for origin in [None, *GOOD, "null", "https://evil.com"]:
        with Ws(server, subprotocols=["tidings", f"bearer.{server.token()}"], origin=origin) as ws:
            assert ws.receive()["user"] == "ann", origin


@COOKIE
def test_a_publish_or_a_stream_with_a_cookie_needs_an_allowed_origin(server, cookie):
    name, value = cookie[0]
    for origin in [None, *BAD]:
        headers = [f"{name}: {value}"] + ([f"Origin: {origin}"] if origin is not None else [])
        with Raw(server) as raw:
            raw.send(request("POST", EVENTS, "Content-Type: text/plain", *headers, body=b'{"topic":"a","type":"t"}'))
            assert raw.answer().status == 401, origin
            raw.send(request("GET", f"{EVENTS}?topic=a", *headers))
            assert raw.answer().status == 401, f"{origin}, and the host is not one of ours"
    assert server.events("**") == []
    with Raw(server) as raw:
        raw.send(request("POST", EVENTS, f"{name}: {value}", f"Origin: {ALLOWED}", body=b'{"topic":"a","type":"t"}'))
        assert raw.answer().status == 201
    with Sse(server, "topic=a&since=earliest", None, f"{name}: {value}", f"Origin: {ALLOWED}") as stream:
        assert stream.receive_events(1)


@COOKIE
def test_a_read_from_the_same_site_is_known_by_its_host(server, cookie):
    """Such a GET has no Origin.  A name that was bound to this address (DNS rebinding) is not one of the list."""
    name, value = cookie[0]
    for host, status in (("app.example.com", 200), ("app.example.com:8443", 200), ("intern.example.com:8080", 200),
                         ("evil.com", 401), ("app.example.com.evil.com", 401), ("app.example.com:1", 401),
                         ("127.0.0.1", 401), ("localhost", 401), ("xapp.example.com", 401)):
        with Raw(server) as raw:
            raw.send(request("GET", f"{EVENTS}?topic=a", f"{name}: {value}", host=host))
            assert raw.answer().status == status, host
            # With an Origin it is the Origin that counts.
            raw.send(request("GET", f"{EVENTS}?topic=a", f"{name}: {value}", "Origin: https://evil.com", host=host))
            assert raw.answer().status == 401, host


@COOKIE
def test_an_origin_that_stands_twice_is_no_origin(server, cookie):
    name, value = cookie[0]
    for first, second in ((ALLOWED, "https://evil.com"), ("https://evil.com", ALLOWED)):
        with Raw(server) as raw:
            raw.send(request("POST", EVENTS, f"{name}: {value}", f"Origin: {first}", f"Origin: {second}",
                             body=b'{"topic":"a","type":"t"}'))
            assert raw.answer().status in (400, 401)


@COOKIE
def test_other_cookies_are_not_the_token(server):
    token = server.token()
    for text in (f"Sid={token}", f"xsid={token}", f"sid2={token}", f"sid ={token}", f"a=sid={token}", f"sid=\"{token}\"",
                 "sid=", "sid", ";", "sid=x; a=b", f"a=b, sid={token}"):
        with Ws(server, headers=[("Cookie", text)], origin=ALLOWED) as ws:
            assert ws.closed()[0] == 4001, text
    for text in (f"a=b; sid={token}; c=d", f"a=b;sid={token}", f"sid={token}", f";; sid={token};"):
        with Ws(server, headers=[("Cookie", text)], origin=ALLOWED) as ws:
            assert ws.receive()["user"] == "ann", text


# --- CORS ---


@COOKIE
def test_answers_are_readable_for_allowed_origins_only(server):
    token = server.token()
    for origin in [*GOOD, *BAD]:
        with Raw(server) as raw:
            for path in (f"{EVENTS}?topic=a", f"{EVENTS}?topic=a//b", "/healthz", "/nothing"):
                raw.send(request("GET", path, f"Origin: {origin}", token=token))
                headers = raw.answer().headers
                if origin in GOOD:
                    assert headers["access-control-allow-origin"] == origin
                    assert headers["access-control-allow-credentials"] == "true"
                    exposed = headers["access-control-expose-headers"].split(", ")
                    assert {"Tidings-Position", "ETag", "Retry-After"} <= set(exposed)
                else:
                    assert not [name for name in headers if name.startswith("access-control-")], origin
                if origin.strip():
                    assert headers["vary"] == "Origin", "a cache must not give one origin's answer to another"


@COOKIE
def test_preflights(server):
    for origin in [*GOOD, *BAD]:
        with Raw(server) as raw:
            raw.send(request("OPTIONS", EVENTS, f"Origin: {origin}", "Access-Control-Request-Method: POST",
                             "Access-Control-Request-Headers: authorization, content-type, idempotency-key"))
            answer = raw.answer()
            assert answer.status == 204
            if origin not in GOOD:
                assert not [name for name in answer.headers if name.startswith("access-control-")], origin
                continue
            assert answer.headers["access-control-allow-origin"] == origin
            assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
            allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
            assert {"authorization", "content-type", "idempotency-key", "last-event-id", "if-match"} <= set(allowed)


def test_development_allows_the_own_machine_only(server):
    for origin, allowed in (("http://localhost", True), ("http://localhost:3000", True), ("http://127.0.0.1:8000", True),
                            ("https://localhost", False), ("http://localhost.evil.com", False), ("http://127.0.0.1.evil.com:80", False),
                            ("http://0.0.0.0:3000", False), ("http://[::1]:3000", False), ("null", False)):
        with Raw(server) as raw:
            raw.send(request("GET", "/healthz", f"Origin: {origin}"))
            assert ("access-control-allow-origin" in raw.answer().headers) == allowed, origin
