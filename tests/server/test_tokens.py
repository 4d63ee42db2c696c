# SPDX-License-Identifier: Apache-2.0
"""Tokens over their whole life: how they are presented, what is refused, how they are renewed, and how they end."""
import base64
import hashlib
import hmac
import json
import threading
import time

import pytest
import requests

from clients import EVENTS, Http, Raw, Sse, Ws, problem, request
from conftest import DEADLINE_S, Server, until


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(server, header='{"alg":"HS256"}', claims=None, secret=None, **members):
    """A token by the server's own secret: `header` and `claims` are texts or what becomes JSON."""
    if claims is None:
        claims = {"sub": "ann", "exp": int(time.time()) + 3600, **members}
    texts = [part.encode() if isinstance(part, str) else json.dumps(part).encode() for part in (header, claims)]
    signed = ".".join(base64url(text) for text in texts)
    secret = (server.data / "dev.key").read_bytes().strip() if secret is None else secret
    return f"{signed}.{base64url(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def get(server, token=None, path=EVENTS, cookies=None, origin=None, **query):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if origin:
        headers["Origin"] = origin
    return requests.get(server.url + path, params={"topic": "a", **query}, headers=headers, cookies=cookies,
                        timeout=DEADLINE_S)


# --- the four ways of presenting a token, and their order ---

ORIGIN = "http://localhost:3000"


def presented(server, authorization=None, subprotocol=None, cookie=None, query=None, origin=ORIGIN):
    """The user that a WebSocket with these tokens is, or the close code."""
    headers = [("Cookie", f"other=1; tidings={cookie}; x=y")] if cookie else []
    protocols = ["tidings", f"bearer.{subprotocol}"] if subprotocol else None
    path = "/ws" + (f"?token={query}" if query else "")
    with Ws(server, path=path, token=authorization, headers=headers, subprotocols=protocols, origin=origin) as ws:
        assert ws.subprotocol == ("tidings" if subprotocol else None), "the bearer is never echoed"
        message = ws.receive()
        return message["user"] if message else ws.closed()[0]


WAYS = ["authorization", "subprotocol", "cookie", "query"]


@pytest.mark.parametrize("first", range(len(WAYS)))
def test_the_first_way_in_order_counts(server, first):
    """Of several tokens the first counts, also when it is bad and a later one is good."""
    tokens = {way: server.token(sub=way) for way in WAYS[first:]}
    assert presented(server, **tokens) == WAYS[first]
    assert presented(server, **{WAYS[first]: tokens[WAYS[first]]}) == WAYS[first], "it suffices alone"
    assert presented(server, **{**tokens, WAYS[first]: "not.a.token"}) == 4001


def test_a_cookie_without_an_allowed_origin_is_not_read(server):
    cookie, query = server.token(sub="cookie"), server.token(sub="query")
    for origin in (None, "https://evil.example", "null"):
        assert presented(server, cookie=cookie, origin=origin) == 4001
        assert presented(server, cookie=cookie, query=query, origin=origin) == "query"


def test_both_names_of_the_query_are_read_and_none_is_logged(server):
    token = server.token()
    assert get(server, token=None, access_token=token).status_code == 200
    assert get(server, token=None, path=f"{EVENTS}?token={token}").status_code == 200
    assert get(server, path=f"{EVENTS}?token=bad", access_token=token).status_code == 401, "the first counts"
    with Ws(server, path=f"{EVENTS}?topic=a&token={token}") as ws:
        ws.until("connection")
    until(lambda: "disconnect" in server.log(), "it is logged")
    for part in token.split(".")[1:]:
        assert part not in server.log()


@pytest.mark.options("--auth.query_token", "false", "--log.level", "debug")
def test_the_query_can_be_switched_off(server):
    token = server.token()
    assert problem(get(server, path=f"{EVENTS}?token={token}")) == (401, "unauthorized")
    assert presented(server, query=token) == 4001
    assert get(server, token=token).status_code == 200
    assert token.split(".")[2] not in server.log(), "nor are those that are not read"


def test_an_authorization_that_is_no_bearer(server):
    token = server.token()
    with Raw(server) as raw:
        for value in ("", "Bearer", "Bearer ", "Basic {}", "bearer{}", "Bearer\t{}", "{}", "Token {}", "Bearer {} {}",
                      "Bearer {},", "Bearer \"{}\"", "Bearer ={}"):
            raw.send(request("GET", f"{EVENTS}?topic=a", f"Authorization: {value.format(token, token)}"))
            assert raw.answer().status == 401, value


def test_an_authorization_that_stands_twice_is_not_two_tokens(server):
    """Whichever is read, one bad one is not mended by another."""
    good = server.token()
    for first, second in ((good, "bad"), ("bad", good)):
        with Raw(server) as raw:
            raw.send(request("GET", f"{EVENTS}?topic=a", f"Authorization: Bearer {first}",
                             f"Authorization: Bearer {second}"))
            assert raw.answer().status in ((200,) if first == good else (401, 400))


# --- S7: what must be refused, each with the same 401 ---

HUGE = "9" * 400
HEADERS = [
    '{"alg":"none"}', '{"alg":"None"}', '{"alg":"nOnE"}', '{"alg":"NONE"}', '{"alg":""}', '{"alg":null}', '{}',
    '{"alg":"hs256"}', '{"alg":"HS384"}', '{"alg":"HS512"}', '{"alg":"RS256"}', '{"alg":"PS256"}', '{"alg":"ES256"}',
    '{"alg":"EdDSA"}', '{"alg":"HS257"}', '{"alg":["HS256"]}', '{"alg":{"a":"HS256"}}', '{"alg":256}', '{"alg":true}',
    '{"alg":"HS256","alg":"none"}', '{"alg":"none","alg":"HS256"}', '{"alg":"HS256","crit":["exp"]}',
    '{"alg":"HS256","crit":[]}', '{"alg":"HS256","b64":false,"crit":["b64"]}', '{"alg":"HS256","kid":7}',
    '{"alg":"HS256","kid":null}', '{"alg":"HS256","kid":["a"]}', '{"alg":"HS256\\u0000"}', '[]', '"HS256"', 'null', '',
    '{"alg":"HS256"', '{"alg":"HS256"}{}', "{'alg':'HS256'}",
]


def test_a_bad_header_is_refused_though_it_is_signed(server):
    for header in HEADERS:
        assert problem(get(server, forge(server, header))) == (401, "unauthorized"), header


EXP = f'"exp":{int(time.time()) + 100000}'
CLAIMS = [
    "", "null", "[]", "7", f'{{"sub":"ann",{EXP}', f'{{{EXP}}}', f'{{"sub":"",{EXP}}}', f'{{"sub":1,{EXP}}}',
    f'{{"sub":null,{EXP}}}', f'{{"sub":["ann"],{EXP}}}', f'{{"sub":"a\\u0000b",{EXP}}}', f'{{"sub":"\\ud800",{EXP}}}',
    f'{{"sub":"ann","sub":"root",{EXP}}}', f'{{"sub":"ann",{EXP},"exp":1}}', f'{{"sub":"{"x" * 256}",{EXP}}}',
    '{"sub":"ann"}', '{"sub":"ann","exp":null}', '{"sub":"ann","exp":"9999999999"}', '{"sub":"ann","exp":9999999999.5}',
    '{"sub":"ann","exp":1e12}', '{"sub":"ann","exp":-1}', '{"sub":"ann","exp":true}', '{"sub":"ann","exp":[9999999999]}',
    '{"sub":"ann","exp":%s}' % HUGE, '{"sub":"ann","exp":9223372036854775807}', '{"sub":"ann","exp":18446744073709551615}',
    '{"sub":"ann","exp":1e400}', '{"sub":"ann","exp":NaN}', '{"sub":"ann","exp":Infinity}',
    f'{{"sub":"ann",{EXP},"nbf":9999999999}}', f'{{"sub":"ann",{EXP},"nbf":"0"}}', f'{{"sub":"ann",{EXP},"nbf":-1}}',
    f'{{"sub":"ann",{EXP},"nbf":1.5}}', f'{{"sub":"ann",{EXP},"nbf":{HUGE}}}', f'{{"sub":"ann",{EXP},"iat":"now"}}',
    f'{{"sub":"ann",{EXP},"iat":-1}}', f'{{"sub":"ann",{EXP},"iat":{HUGE}}}', f'{{"sub":"ann",{EXP},"roles":{{}}}}',
    f'{{"sub":"ann",{EXP},"roles":[1]}}', f'{{"sub":"ann",{EXP},"role":null}}', f'{{"sub":"ann",{EXP},"tidings":null}}',
    f'{{"sub":"ann",{EXP},"tidings":[]}}', f'{{"sub":"ann",{EXP},"tidings":{{"subscribe":["a//b"]}}}}',
    f'{{"sub":"ann",{EXP},"tidings":{{"subscribe":[["a"]]}}}}', f'{{"sub":"ann",{EXP},"tidings":{{"publish":7}}}}',
]


def test_bad_claims_are_refused_though_they_are_signed(server):
    for claims in CLAIMS:
        assert problem(get(server, forge(server, claims=claims))) == (401, "unauthorized"), claims


def test_a_kid_is_only_compared(server):
    """Whatever it says: the one key without a name answers to each, and nothing is looked up by it."""
    for kid in ("../../../../etc/passwd", "' OR 1=1 --", "a/../b", "http://127.0.0.1:1/x", "x" * 4000, "$(id)", "%00"):
        assert get(server, forge(server, {"alg": "HS256", "kid": kid})).status_code == 200
    assert get(server, forge(server, {"alg": "HS256", "kid": "a\0b"})).status_code == 401
    assert get(server, forge(server, {"alg": "HS256", "jku": "http://127.0.0.1:1/", "jwk": {"kty": "oct", "k": "AA"},
                                      "x5u": "file:///etc/passwd"})).status_code == 200


def test_signatures_and_shapes_are_refused(server):
    good = forge(server)
    head, claims, signature = good.split(".")
    assert get(server, good).status_code == 200
    bad = [f"{head}.{claims}.", f"{head}.{claims}", f"{head}..{signature}", f".{claims}.{signature}", "..", "...", ".",
           good + "=", good + "==", f"{head}=.{claims}.{signature}", good + ".x", "." + good, good[:-1], good + "A",
           f"{head}.{claims}.{signature[::-1]}", f"{head}.{claims}.AA", f"{head}.{claims}.{signature}{signature}",
           good.replace(".", ". "), good.replace("_", "/").replace("-", "+") + "+", good.upper(),
           forge(server, secret=b""), forge(server, secret=b"\0"), forge(server, secret=b"secret"),
           forge(server, '{"alg":"none"}').rsplit(".", 1)[0] + ".", "a" * 8193, "a" * 12000]
    for token in bad:
        assert problem(get(server, token)) == (401, "unauthorized"), token[:200]
    with Ws(server, token=bad[0]) as ws:
        assert ws.closed()[0] == 4001


def test_a_token_of_a_mebibyte_is_too_much_for_a_head(server):
    with Raw(server) as raw:
        try:
            raw.send(request("GET", EVENTS, token="a" * 1048576))
        except OSError:
            pass
        assert raw.answer().status == 431
    with Ws(server, token=server.token()) as ws:
        ws.until("connection")
        ws.send("auth", token="a" * 500000, ref=1)
        assert ws.until("command_error", ref=1)["code"] == "unauthorized"


# --- what a token grants ---

POLICY = """
auth:
  default_grants: {subscribe: ['news/**', 'people/{sub}/*'], publish: ['inbox']}
roles:
  Editor: {subscribe: ['projects/**'], publish: ['projects/*/draft']}
  viewer: {subscribe: ['projects/*/news', 'own/{sub}']}
"""
EVERYBODY = {"news/1", "people/ann/x", "users/ann/inbox"}
TOPICS = ["news/1", "people/ann/x", "people/bob/x", "projects/1/news", "projects/1/draft", "own/ann", "own/bob", "users/ann/inbox",
          "users/bob/inbox", "audit/x"]
EDITOR, VIEWER = {"projects/1/news", "projects/1/draft"}, {"projects/1/news", "own/ann"}
GRANTED = [
    ({}, EVERYBODY, {"inbox"}),
    ({"roles": ["editor"]}, EVERYBODY | EDITOR, {"inbox", "projects/1/draft"}),
    ({"roles": "EDITOR"}, EVERYBODY | EDITOR, {"inbox", "projects/1/draft"}),
    ({"role": "Viewer"}, EVERYBODY | VIEWER, {"inbox"}),
    ({"role": ["VIEWER"], "roles": ["x", "eDiToR"]}, EVERYBODY | VIEWER | EDITOR, {"inbox", "projects/1/draft"}),
    ({"roles": ["editors", "edit", "editor ", " editor"]}, EVERYBODY, {"inbox"}),
    ({"roles": []}, EVERYBODY, {"inbox"}),
    ({"role": "ADMIN"}, set(TOPICS), {"inbox", "projects/1/draft", "anything"}),
    # a claim of its own is all that counts, beside its own topic
    ({"tidings": {}}, {"users/ann/inbox"}, set()),
    ({"roles": ["editor"], "tidings": {"subscribe": ["own/*"], "publish": ["anything"]}},
     {"own/ann", "own/bob", "users/ann/inbox"}, {"anything"}),
    ({"roles": ["editor"], "tidings": {"publish": ["inbox"]}}, {"users/ann/inbox"}, {"inbox"}),
    ({"roles": ["admin"], "tidings": {"subscribe": ["own/*"]}}, set(TOPICS), {"inbox", "projects/1/draft", "anything"}),
    # {sub} means something in the configuration only
    ({"tidings": {"subscribe": ["**"]}}, set(TOPICS) - {"audit/x"}, set()),
]


def test_grants_come_from_the_token_the_roles_and_the_defaults(tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    server = Server(tmp_path, ["--config", str(tmp_path / "policy.yaml")])
    server.start()
    try:
        for claims, seen, written in GRANTED:
            http = Http(server, forge(server, **claims))
            assert {t for t in TOPICS if http.call("GET", params={"topic": t}).status_code == 200} == seen, claims
            topics = ["inbox", "projects/1/draft", "anything", "users/ann/inbox"]
            may = {t for t in topics if http.post({"topic": t, "type": "t"}).status_code == 201}
            assert may - {"users/ann/inbox"} == written, claims
            assert ("users/ann/inbox" in may) == ("anything" in written and "audit/x" in seen), "only an admin"
    finally:
        server.kill9()


# --- renewal in place ---


def auth(ws, token, **members):
    ws.send("auth", token=token, **members)
    return ws.until("authenticated", **members)


def test_a_new_token_of_the_same_subject_is_taken(server):
    with Ws(server, token=server.token(ttl="1m")) as ws:
        assert ws.until("connection")["token_expires_in"] <= 60
        ws.subscribe("rooms/*")
        answer = auth(ws, server.token(ttl="1h"), ref="r")
        assert 3590 <= answer["expires_in"] <= 3600
        assert answer["lost"] == [] and answer["user"] == "ann" and answer["control"] is True
        Http(server).publish("rooms/1", 1)
        assert ws.receive_events(1)[0]["data"] == 1


def test_a_bad_token_changes_nothing(server):
    with Ws(server, token=server.token()) as ws:
        ws.subscribe("rooms/*")
        for token, code in (("x", "unauthorized"), ("", "unauthorized"), (forge(server, '{"alg":"none"}'), "unauthorized"),
                            (forge(server, exp=1), "token_expired"), (server.token(sub="bob"), "forbidden"),
                            (server.token(sub="ANN"), "forbidden"), (server.token(sub="ann ", roles=["admin"]), "forbidden")):
            ws.send("auth", token=token, ref=1)
            assert ws.until("command_error", ref=1)["code"] == code
        for members in ({}, {"token": None}, {"token": 7}, {"token": ["x"]}):
            ws.send("auth", ref=2, **members)
            assert ws.until("command_error", ref=2)["code"] == "bad_request"
        Http(server).publish("rooms/1", 1)
        assert ws.receive_events(1)[0]["actor"] == "ann"


def test_what_is_lost_is_told_and_ends_at_once(server):
    admin = Http(server, server.token(sub="root", roles=["admin"]))
    with Ws(server, token=server.token(subscribe=["a/**", "b/*", "c"])) as ws:
        ws.subscribe("**", "b/1", "c")
        admin.publish("b/1", "seen")
        assert ws.receive_events(1)[0]["data"] == "seen"
        answer = auth(ws, server.token(subscribe=["a/**", "d"]))
        assert sorted(answer["lost"]) == sorted(["b/*", "c", "b/1", "c"])
        for topic in ("b/1", "c", "a/1/2", "d", "users/ann/x"):
            admin.publish(topic, topic)
        assert [e["topic"] for e in ws.receive_events(3)] == ["a/1/2", "d", "users/ann/x"]
        ws.send("UNSUBSCRIBE", topics=["b/1", "c", "**"])
        assert ws.until("unsubscribed")["topics"] == ["**"], "the others are not subscribed any more"
        wider = auth(ws, server.token(subscribe=["**"]))
        assert wider["lost"] == []


def test_the_audit_is_lost_with_the_role(server):
    with Ws(server, token=server.token(roles=["admin"])) as ws:
        ws.subscribe("audit/**", "**")
        answer = auth(ws, server.token())
        assert sorted(set(answer["lost"])) == ["audit/**", "enhance/**", "jobs/**"]


def test_publishing_follows_the_new_token(server):
    with Ws(server, token=server.token(publish=["a"], subscribe=["a"])) as ws:
        ws.send("publish", event={"topic": "a", "type": "t"}, ref=1)
        ws.until("published", ref=1)
        auth(ws, server.token(publish=["b"], subscribe=["a"]))
        ws.send("publish", event={"topic": "a", "type": "t"}, ref=2)
        assert ws.until("command_error", ref=2)["code"] == "forbidden"
        ws.send("publish", event={"topic": "b", "type": "t"}, ref=3)
        ws.until("published", ref=3)


def test_a_renewal_loses_and_doubles_nothing_that_is_kept(server):
    """Live: events come while the grants become wider and narrower again and again."""
    wide, narrow = server.token(subscribe=["keep/**", "other/**"]), server.token(subscribe=["keep/*"])
    count, http = 600, Http(server)

    def publish():
        for n in range(0, count, 4):
            http.post([{"topic": f"{topic}/{n % 7}", "type": "t", "data": n + i}
                       for i in range(4) for topic in ("keep", "other")])

    publisher = threading.Thread(target=publish)
    with Ws(server, token=wide) as ws:
        ws.subscribe("keep/*", "**")
        publisher.start()
        seen, renewals = [], 0
        while len(seen) < count:
            if renewals <= len(seen) // 40:
                ws.send("auth", token=(narrow, wide)[renewals % 2])
                renewals += 1
            message = ws.receive()
            if not message.get("control") and message["topic"].startswith("keep/"):
                seen.append(message["data"])
        publisher.join()
        assert seen == list(range(count))


def test_a_renewal_in_the_middle_of_catching_up(server):
    """Behind, with an event that is out in part: what is kept goes on where it was, what is lost is not sent from what was owed."""
    admin = Http(server, server.token(sub="root", roles=["admin"]))
    with Ws(server, token=server.token(subscribe=["keep", "lose"]), receive_buffer=4096) as ws:
        ws.subscribe("*")
        for n in range(300):
            admin.post([{"topic": topic, "type": "t", "data": [n, "x" * 20000]} for topic in ("keep", "lose")])
        ws.send("auth", token=server.token(subscribe=["keep"]))
        events, answered = [], None
        while len([e for e in events if e["topic"] == "keep"]) < 300:
            message = ws.receive()
            if message.get("type") == "authenticated" and message.get("control"):
                answered = len(events)
                assert message["lost"] == ["lose"]
            elif not message.get("control"):
                events.append(message)
        assert [e["data"][0] for e in events if e["topic"] == "keep"] == list(range(300))
        assert answered is not None and answered < 300, "it came between what was sent and what was owed"
        assert "lose" not in [e["topic"] for e in events[answered:]]


# --- the end of a token ---


def test_the_end_is_told_and_then_comes(server):
    with Ws(server, token=server.token(ttl="4s")) as ws:
        ws.subscribe("a")
        expiring = ws.until("token_expiring")
        assert 0 <= expiring["expires_in"] <= 3
        code, reason = ws.closed()
        assert (code, reason) == (4001, "Unauthorized: the token has expired")


def test_a_renewed_token_does_not_end_with_the_old_one(server):
    http = Http(server)
    with Ws(server, token=server.token(ttl="3s")) as old, Ws(server, token=server.token(ttl="3s")) as renewed:
        for ws in (old, renewed):
            ws.subscribe("a")
        auth(renewed, server.token(ttl="1h"))
        assert old.closed()[0] == 4001
        http.publish("a", 1)
        assert renewed.receive_events(1)[0]["data"] == 1
        assert not [m for m in renewed.skipped if m["type"] == "token_expiring"]


def test_the_end_is_told_again_for_a_renewed_token(server):
    with Ws(server, token=server.token(ttl="3s")) as ws:
        ws.until("token_expiring")
        auth(ws, server.token(ttl="3s"))
        ws.until("token_expiring")
        assert ws.closed()[0] == 4001
        assert len([m for m in ws.skipped if m["type"] == "token_expiring"]) == 0, "once each"


def test_a_shorter_token_ends_earlier(server):
    with Ws(server, token=server.token(ttl="1h")) as ws:
        auth(ws, server.token(ttl="2s"))
        assert ws.closed()[0] == 4001


def test_no_event_comes_after_the_end(server):
    """Events are published all the time; the last that came was published before the token ended, give or take the second in
    which it is noticed."""
    http, stop = Http(server), threading.Event()

    def publish():
        while not stop.is_set():
            http.publish("a", time.time())

    publisher = threading.Thread(target=publish)
    expires = time.time() + 3
    token = forge(server, sub="ann", exp=int(expires) + 1)
    with Ws(server, token=token) as ws, Sse(server, "topic=a", token) as stream:
        ws.subscribe("a")
        publisher.start()
        try:
            last = {"ws": 0, "sse": 0}
            while (message := ws.receive()) is not None:
                if not message.get("control"):
                    last["ws"] = message["data"]
            while (message := stream.message()) is not None:
                if message[0] != "tidings":
                    last["sse"] = message[1]["data"]
        finally:
            stop.set()
            publisher.join()
        assert ws.close_code == 4001
    for transport, at in last.items():
        assert 0 < at < int(expires) + 1 + 2, transport


def test_a_stream_and_a_poll_end_with_their_token(server):
    token = server.token(ttl="2s")
    position = Http(server, token).page("a", since="earliest")["position"]
    with Sse(server, "topic=a", token) as stream:
        answer = get(server, token, wait=50, since=position)
        assert answer.status_code == 200 and answer.json()["events"] == []
        while stream.block() is not None:
            pass
    assert problem(get(server, token)) == (401, "token_expired")
