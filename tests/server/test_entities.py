# SPDX-License-Identifier: Apache-2.0
"""Entities: documents with a version, changed and read through the desk, and told as events."""
import json
import threading

import pytest
import requests
from conftest import until

from clients import Http, Raw, Sse, Ws, problem, request

APPS = "/api/v1/entities/applications"
ENTITY = f"{APPS}/app1"
TOPIC = "entities/applications/app1"


def put(http, document, path=ENTITY, **headers):
    return http.call("PUT", path, data=json.dumps(document),
                     headers={k.replace("_", "-"): v for k, v in headers.items()})


def notifications(http, topic="entities/**"):
    return http.page(topic, since="earliest", format="entity", limit=1000)["events"]


# ---- what is there ----

def test_the_life_of_an_entity(http):
    created = put(http, {"name": "shop"})
    assert created.status_code == 201
    body = created.json()
    assert body == {"entity_type": "applications", "entity_id": "app1", "version": 1, "payload": {"name": "shop"},
                    "event_id": body["event_id"], "timestamp": body["timestamp"], "actor": "ann"}
    assert created.headers["ETag"] == f'"{body["event_id"]}"'
    assert created.headers["Tidings-Position"] == body["event_id"]

    replaced = put(http, {"name": "store"})
    assert (replaced.status_code, replaced.json()["version"]) == (200, 2)
    patched = http.call("PATCH", ENTITY, data=b'{"size":1.50,"name":null}',
                        headers={"Content-Type": "application/merge-patch+json"})
    assert (patched.status_code, patched.json()["version"], patched.json()["payload"]) == (200, 3, {"size": 1.5})
    assert '"payload":{"size":1.50}' in patched.text
    read = http.call("GET", ENTITY)
    assert read.text == patched.text and read.headers["ETag"] == patched.headers["ETag"]
    assert http.call("HEAD", ENTITY).headers["ETag"] == read.headers["ETag"]

    deleted = http.call("DELETE", ENTITY)
    assert (deleted.status_code, deleted.json()["version"], deleted.json()["payload"]) == (200, 4, {"size": 1.5})
    assert problem(http.call("GET", ENTITY)) == (404, "not_found")
    assert problem(http.call("DELETE", ENTITY)) == (404, "not_found")
    assert problem(http.call("PATCH", ENTITY, json={})) == (404, "not_found")
    again = put(http, {})
    assert (again.status_code, again.json()["version"]) == (201, 1)

    told = notifications(http)
    assert [(e["event_type"], e["action"], e["version"], e["payload"], e["entity_id"], e["actor"]) for e in told] == [
        ("ENTITY_CREATED", "created", 1, {"name": "shop"}, "app1", "ann"),
        ("ENTITY_UPDATED", "updated", 2, {"name": "store"}, "app1", "ann"),
        ("ENTITY_UPDATED", "updated", 3, {"size": 1.5}, "app1", "ann"),
        ("ENTITY_DELETED", "deleted", 4, {"size": 1.5}, "app1", "ann"),
        ("ENTITY_CREATED", "created", 1, {}, "app1", "ann")]
    assert told[0]["event_id"] == body["event_id"] and told[0]["timestamp"] == body["timestamp"]


def test_who_comes_new_is_shown_what_is_there_and_not_what_is_gone(server, http):
    for name in ("a", "b"):
        put(http, {"name": name}, f"{APPS}/{name}")
    http.call("DELETE", f"{APPS}/a")
    with Ws(server, token=server.token()) as ws:
        ws.send("SUBSCRIBE", scope="applications", state=True)
        ws.until("caught_up")
        shown = [message for message in ws.skipped if message["type"] == "EVENT_NOTIFICATION"]
    assert [(m["entity_id"], m["payload"], m["state"]) for m in shown] == [("b", {"name": "b"}, True)]


def test_no_such_entity(http):
    assert problem(http.call("GET", f"{APPS}/none")) == (404, "not_found")


def test_a_path_that_is_no_entity(http):
    assert problem(http.call("GET", f"{APPS}/a%2Fb")) == (400, "bad_request")
    assert problem(put(http, {}, f"{APPS}/a%2Fb")) == (400, "bad_request")
    assert problem(http.call("GET", "/api/v1/entities/a%20b/c")) == (400, "bad_request")
    assert problem(http.call("GET", "/api/v1/entities/*/c")) == (400, "bad_request")
    assert problem(http.call("GET", "/api/v1/entities/a%2Fb")) == (400, "bad_request")
    assert problem(http.call("POST", ENTITY, json={})) == (405, "bad_request")


def test_any_json_is_a_document(http):
    for document in (None, [1], "x", 7, {"payload": 1, "version": 9}):
        assert put(http, document).json()["payload"] == document
    assert [e["payload"] for e in notifications(http)] == [None, [1], "x", 7, {"payload": 1, "version": 9}]
    assert http.call("GET", ENTITY).json()["payload"] == {"payload": 1, "version": 9}


def test_bytes_are_kept(http):
    text = b'{"a": 1.10,\r\n "b":"\\u00e4"}'
    http.call("PUT", ENTITY, data=text, headers={"Content-Type": "application/json"})
    assert '"payload":{"a": 1.10,   "b":"\\u00e4"},' in http.call("GET", ENTITY).text


# ---- conditions ----

def test_conditions(http):
    assert problem(put(http, {}, If_Match="*")) == (412, "version_conflict")
    first = put(http, {"n": 1}, If_None_Match="*")
    assert first.status_code == 201
    conflict = put(http, {"n": 2}, If_None_Match="*")
    assert problem(conflict) == (412, "version_conflict")
    assert conflict.json()["current"] == first.json()
    second = put(http, {"n": 2}, If_Match=first.headers["ETag"])
    assert second.status_code == 200
    conflict = put(http, {"n": 3}, If_Match=first.headers["ETag"])
    assert problem(conflict) == (412, "version_conflict")
    assert conflict.json()["current"] == second.json()
    assert put(http, {"n": 3}, If_Match='"0.0", "x", 2').status_code == 200
    assert problem(put(http, {"n": 4}, If_Match="2")) == (412, "version_conflict")
    assert problem(put(http, {"n": 4}, If_Match=f"W/{second.headers['ETag']}")) == (412, "version_conflict")
    assert problem(http.call("DELETE", ENTITY, headers={"If-Match": "2"})) == (412, "version_conflict")
    assert problem(http.call("PATCH", ENTITY, json={}, headers={"If-Match": "2"})) == (412, "version_conflict")
    assert http.call("DELETE", ENTITY, headers={"If-Match": '"3"'}).status_code == 200
    conflict = http.call("DELETE", ENTITY, headers={"If-Match": "*"})
    assert problem(conflict) == (412, "version_conflict") and conflict.json()["current"] is None


def test_an_etag_does_not_fit_what_was_made_again(http):
    first = put(http, {"n": 1}).headers["ETag"]
    http.call("DELETE", ENTITY)
    assert put(http, {"n": 1}).json()["version"] == 1
    assert problem(put(http, {"n": 2}, If_Match=first)) == (412, "version_conflict")


def test_conditions_that_can_not_be_read(http):
    for headers in ({"If_None_Match": '"1"'}, {"If_Match": "x," * 600}):
        assert problem(put(http, {}, **headers)) == (400, "bad_request")
    assert problem(http.call("GET", ENTITY)) == (404, "not_found")


def test_what_is_known_is_not_sent_again(http):
    etag = put(http, {"a": 1}).headers["ETag"]
    for known in (etag, f"W/{etag}", "*", f'"x", {etag}'):
        answer = http.call("GET", ENTITY, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    assert http.call("GET", ENTITY, headers={"If-None-Match": '"x"'}).status_code == 200


def test_idempotency(http):
    first = put(http, {"n": 1}, Idempotency_Key="k")
    put(http, {"n": 2})
    again = put(http, {"n": 1}, Idempotency_Key="k")
    assert (again.status_code, again.text, again.headers["ETag"]) == (201, first.text, first.headers["ETag"])
    assert problem(put(http, {"n": 3}, Idempotency_Key="k")) == (422, "idempotency_mismatch")
    patch = http.call("PATCH", ENTITY, json={"n": 1}, headers={"Idempotency-Key": "k"})
    assert problem(patch) == (422, "idempotency_mismatch")
    assert http.call("GET", ENTITY).json()["version"] == 2
    assert problem(put(http, {}, Idempotency_Key="k" * 256)) == (400, "bad_request")


# ---- bad input ----

@pytest.mark.parametrize("method, body, headers, wanted", [
    ("PUT", b"", {}, (400, "bad_request")),
    ("PUT", b"{", {}, (400, "bad_request")),
    ("PUT", b"{} {}", {}, (400, "bad_request")),
    ("PUT", b"1],[2", {}, (400, "bad_request")),
    ("PUT", b'"\xff"', {}, (400, "bad_request")),
    ("PUT", b"[" * 64 + b"]" * 64, {}, (400, "bad_request")),
    ("PUT", b'"' + b"x" * (1 << 20) + b'"', {}, (413, "too_large")),
    ("PUT", b"{}", {"Content-Type": "application/xml"}, (415, "bad_request")),
    ("PUT", b"{}", {"Content-Type": "application/merge-patch+json"}, (415, "bad_request")),
    ("PATCH", b"nope", {}, (400, "bad_request")),
    ("PATCH", b"{}", {"Content-Type": "application/json-patch+json"}, (415, "bad_request")),
], ids=range(11))
def test_bad_input_changes_nothing(server, http, method, body, headers, wanted):
    put(http, {"n": 1})
    answer = http.call(method, ENTITY, data=body, headers={"Content-Type": "application/json", **headers})
    assert problem(answer) == wanted
    assert Http(server).call("GET", ENTITY).json()["version"] == 1


def test_the_deepest_document(http):
    text = b"[" * 63 + b"]" * 63
    assert http.call("PUT", ENTITY, data=text).status_code == 201
    assert http.call("GET", ENTITY).json()["payload"] == json.loads(text)


def test_a_patch_does_not_grow_without_end(server, http):
    half = "x" * 600_000
    put(http, {"a": half})
    assert problem(http.call("PATCH", ENTITY, json={"b": half})) == (413, "too_large")
    assert Http(server).call("GET", ENTITY).json()["version"] == 1


@pytest.mark.options("--limits.state_keys", "2")
def test_there_are_only_so_many(server, http):
    for name in ("a", "b"):
        assert put(http, {}, f"{APPS}/{name}").status_code == 201
    assert problem(put(http, {}, f"{APPS}/c")) == (413, "too_large")
    http = Http(server)
    assert put(http, {"n": 1}, f"{APPS}/a").status_code == 200
    assert problem(http.post({"topic": "entities/applications/c", "type": "ENTITY_CREATED"})) == (413, "too_large")
    http = Http(server)
    assert http.call("DELETE", f"{APPS}/b").status_code == 200
    assert put(http, {}, f"{APPS}/c").status_code == 201
    assert [entity["entity_id"] for entity in http.call("GET", APPS).json()["entities"]] == ["a", "c"]


# ---- who may ----

def test_an_entity_that_may_not_be_seen(server, http):
    put(http, {"name": "secret"})
    other = Http(server, server.token("bob", subscribe=["entities/others/*"], publish=["a"]))
    assert problem(other.call("GET", ENTITY)) == (403, "forbidden")
    assert problem(other.call("GET", APPS)) == (403, "forbidden")
    for method, body in (("PUT", b"{}"), ("PATCH", b"{}"), ("DELETE", None)):
        assert problem(other.call(method, ENTITY, data=body)) == (403, "forbidden")
    writer = Http(server, server.token("bob", publish=["entities/**"]))
    for answer in (put(writer, {}, If_Match="7"), writer.call("DELETE", ENTITY)):
        assert "secret" not in answer.text
    assert problem(Http(server, "none").call("GET", ENTITY)) == (401, "unauthorized")


def test_a_wide_subscription_shows_only_what_may_be_seen(server, http):
    token = server.token("bob", subscribe=["entities/applications/mine", "entities/teams/*"], publish=["a"])
    wanted = [("applications", "mine", "created"), ("teams", "t", "created"), ("applications", "mine", "deleted")]
    with Ws(server, token=token) as ws:
        ws.send("SUBSCRIBE", scope="all")
        ws.until("subscribed")
        position = put(http, {"n": 0}, "/api/v1/entities/applications/before").headers["Tidings-Position"]
        put(http, {"n": 1}, f"{APPS}/mine")
        put(http, {"n": 1}, f"{APPS}/theirs")
        http.post([{"topic": "entities/applications/theirs", "type": "ENTITY_UPDATED", "data": {"n": 2}},
                   {"topic": "entities/teams/t", "type": "ENTITY_CREATED", "data": {"n": 2}}])
        http.call("DELETE", f"{APPS}/theirs")
        http.call("DELETE", f"{APPS}/mine")
        live = ws.receive_events(3)
    assert [(m["entity_type"], m["entity_id"], m["action"]) for m in live] == wanted
    with Ws(server, token=token) as ws:
        ws.send("SUBSCRIBE", all=True, since=position)
        assert ws.receive_events(3) == live
    with Ws(server, token=token) as ws:
        ws.send("SUBSCRIBE", all=True, state=True)
        ws.until("caught_up")
        shown = [m["entity_id"] for m in ws.skipped if m["type"] == "EVENT_NOTIFICATION"]
    assert shown == ["t"]


# ---- lists ----

def test_a_list_in_pages(server, http):
    ids = [f"app{n:02}" for n in range(25)]
    for name in reversed(ids):
        put(http, {"name": name}, f"{APPS}/{name}")
    put(http, {}, "/api/v1/entities/other/x")
    http.publish("entities/applications/app01/deeper", {}, type="ENTITY_UPDATED", key="entity")
    seen, after, pages = [], None, 0
    while True:
        answer = http.call("GET", APPS, params={"limit": 10, "after": after})
        assert answer.status_code == 200
        page = answer.json()
        seen += page["entities"]
        pages += 1
        if not page["more"]:
            break
        after = page["entities"][-1]["entity_id"]
    assert [entity["entity_id"] for entity in seen] == ids and pages == 3
    assert seen[3] == http.call("GET", f"{APPS}/app03").json()
    assert http.call("GET", "/api/v1/entities/none").json() == {"entities": [], "more": False}
    for query in ("limit=0", "limit=1001", "limit=x", "after=a%20b"):
        assert problem(http.call("GET", f"{APPS}?{query}")) == (400, "bad_request")
    bob = Http(server, server.token("bob", subscribe=["entities/*/app03", "entities/applications/app07"]))
    mine = bob.call("GET", APPS).json()
    assert [entity["entity_id"] for entity in mine["entities"]] == ["app03", "app07"] and not mine["more"]


def test_a_list_of_large_ones_ends_early(http):
    for n in range(5):
        put(http, "x" * 400_000, f"{APPS}/{n}")
    page = http.call("GET", APPS).json()
    assert page["more"] and [entity["entity_id"] for entity in page["entities"]] == ["0", "1", "2"]


def test_a_list_and_a_stream_miss_nothing_between_them(server, http):
    put(http, {}, f"{APPS}/a")
    position = http.call("GET", APPS).headers["Tidings-Position"]
    put(http, {}, f"{APPS}/b")
    with Sse(server, f"topic=entities/**&format=entity&since={position}", server.token()) as sse:
        assert [event["entity_id"] for event in sse.receive_events(1)] == ["b"]


# ---- published by backends ----

def test_a_publish_is_shown_as_a_change_is(server, http):
    with Ws(server, token=server.token()) as ws:
        ws.send("SUBSCRIBE", entity_type="applications", entity_id="app1")
        ws.until("subscribed")
        put(http, {"name": "shop"})
        http.publish(TOPIC, {"name": "shop"}, type="ENTITY_UPDATED")
        http.publish(TOPIC, {"payload": {"name": "shop"}, "version": 700}, type="ENTITY_UPDATED", key="entity")
        http.publish(TOPIC, type="ENTITY_DELETED")
        shown = ws.receive_events(4)
    assert [(m["event_type"], m["version"]) for m in shown] == [
        ("ENTITY_CREATED", 1), ("ENTITY_UPDATED", 2), ("ENTITY_UPDATED", 3), ("ENTITY_DELETED", 4)]
    assert {json.dumps(m["payload"]) for m in shown} == {'{"name": "shop"}'}
    assert len({tuple(m) for m in shown}) == 1  # the same members
    assert problem(http.call("GET", ENTITY)) == (404, "not_found")


def test_what_a_backend_says_of_an_unknown_entity_is_believed(http):
    http.publish(TOPIC, {"n": 1}, type="ENTITY_UPDATED")
    assert http.call("GET", ENTITY).json()["version"] == 1
    http.publish(TOPIC, {"n": 2}, type="ENTITY_CREATED")
    assert http.call("GET", ENTITY).json()["version"] == 2
    http.publish("entities/applications/gone", {"n": 3}, type="ENTITY_DELETED")
    told = notifications(http)
    assert [(e["event_type"], e["version"], e["payload"]) for e in told] == [
        ("ENTITY_UPDATED", 1, {"n": 1}), ("ENTITY_CREATED", 2, {"n": 2}), ("ENTITY_DELETED", 1, {"n": 3})]


def test_a_batch_with_entities_is_whole(http):
    events = [{"topic": "rooms/1", "type": "said", "data": 1},
              {"topic": TOPIC, "type": "ENTITY_CREATED", "data": {"n": 1}},
              {"topic": TOPIC, "type": "ENTITY_UPDATED", "data": {"n": 2}}]
    answer = http.post(events, Idempotency_Key="batch")
    assert answer.status_code == 201
    ids = answer.json()["ids"]
    assert answer.json()["position"] == ids[2]
    assert http.post(events, Idempotency_Key="batch").json() == answer.json()
    assert problem(http.post(events[:2], Idempotency_Key="batch")) == (422, "idempotency_mismatch")
    assert [e["id"] for e in http.page("**", since="earliest")["events"]] == ids
    assert http.call("GET", ENTITY).json()["version"] == 2
    refused = http.post([events[1], {"topic": "jobs/1", "type": "t"}])
    assert problem(refused) == (403, "reserved_topic")
    assert http.call("GET", ENTITY).json()["version"] == 2
    ephemeral = http.post([{"topic": "rooms/1", "type": "typing", "class": "ephemeral"}, events[2]])
    assert ephemeral.json()["ids"][0] is None and http.call("GET", ENTITY).json()["version"] == 3
    # An event of its own key is told from the rest.
    one = {"topic": TOPIC, "type": "ENTITY_UPDATED", "data": {"n": 3}, "dedup": "d"}
    first = http.post([one]).json()["ids"][0]
    mixed = http.post([one, {**one, "dedup": "e"}]).json()["ids"]
    assert mixed[0] == first and http.call("GET", ENTITY).json()["version"] == 5


@pytest.mark.parametrize("members", [
    {"key": "other"}, {"class": "ephemeral"}, {"class": "append", "key": "entity", "data": {"content": "", "offset": 0}},
    {"type": "said"}])
def test_an_entity_event_of_another_shape(http, members):
    event = {"topic": TOPIC, "type": "ENTITY_UPDATED", "data": {}, **members}
    assert problem(http.post(event)) == (400, "bad_request")
    assert http.page("**", since="earliest")["events"] == []


def test_a_publish_on_a_websocket(server, http):
    with Ws(server, token=server.token()) as ws:
        ws.subscribe("entities/**")
        ws.send("publish", ref=1, event={"topic": TOPIC, "type": "ENTITY_UPDATED", "data": {"n": 1}})
        ws.send("publish", ref=2, event=[{"topic": TOPIC, "type": "ENTITY_UPDATED", "data": {"n": 2}}])
        assert ws.until("published", ref=1)["durable"]
        published = ws.until("published", ref=2)
        told = [m for m in ws.skipped if not m.get("control")]
        told += ws.receive_events(2 - len(told)) if len(told) < 2 else []
        ws.send("publish", ref=3, event={"topic": TOPIC, "type": "ENTITY_UPDATED", "key": "x"})
        assert ws.until("command_error", ref=3)["code"] == "bad_request"
    assert [(m["version"], m["payload"], len(m["origin"])) for m in told][-1] == (2, {"n": 2}, 16)
    assert told[-1]["event_id"] == published["ids"][0]


# ---- many at once ----

def run_together(n, work):
    failures = []

    def run(i):
        try:
            work(i)
        except BaseException as error:  # told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not failures, failures


@pytest.mark.options("--workers", "2")
def test_of_two_writers_one_wins(server, http):
    for round in range(20):
        etag = put(http, {"round": round}).headers["ETag"]
        answers = []
        run_together(2, lambda i: answers.append(put(Http(server), {"writer": i}, If_Match=etag)))
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        [won] = [answer for answer in answers if answer.status_code == 200]
        [lost] = [answer for answer in answers if answer.status_code == 412]
        assert lost.json()["current"] == won.json() == http.call("GET", ENTITY).json()


@pytest.mark.options("--workers", "2")
def test_versions_have_no_holes(server, http):
    def work(i):
        mine = Http(server)
        for n in range(50):
            if i % 2:
                assert put(mine, {"by": i, "n": n}).ok
            else:
                mine.publish(TOPIC, {"by": i, "n": n}, type="ENTITY_UPDATED")

    run_together(8, work)
    told = notifications(http)
    assert [event["version"] for event in told] == list(range(1, 401))
    assert {(event["payload"]["by"], event["payload"]["n"]) for event in told} == {
        (i, n) for i in range(8) for n in range(50)}


def test_a_version_goes_on_after_a_kill(server, http):
    for n in range(5):
        put(http, {"n": n})
    etag = http.call("GET", ENTITY).headers["ETag"]
    server.restart()
    assert http.call("GET", ENTITY).headers["ETag"] == etag
    answer = put(http, {"n": 5}, If_Match=etag)
    assert (answer.status_code, answer.json()["version"]) == (200, 6)
    http.call("DELETE", ENTITY)
    server.restart()
    assert problem(http.call("GET", ENTITY)) == (404, "not_found")


def test_writers_and_kills(server):
    """Whatever was answered is there, in order and once, however often the server was killed meanwhile."""
    answered, over = {}, threading.Event()

    def write(i):
        n = 0
        while not over.is_set():
            try:
                answer = put(Http(server), {"by": i, "n": n}, f"{APPS}/e{i}", Idempotency_Key=f"{i}-{n}")
            except requests.RequestException:
                continue  # asked again with the same key
            if answer.ok:
                answered[i] = (n, answer.json()["version"])
                n += 1

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        goal = {i: n + 10 for i, (n, _) in answered.items()}
        until(lambda: len(answered) == 4 and all(answered[i][0] >= goal.get(i, 5) for i in range(4)), "they write")
        server.restart()
    over.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    told = server.events("entities/**")
    for i in range(4):
        mine = [event["data"] for event in told if event["topic"].endswith(f"e{i}")]
        assert [event["version"] for event in mine] == list(range(1, len(mine) + 1))
        assert [event["payload"]["n"] for event in mine] == list(range(len(mine)))
        assert answered[i][1] == answered[i][0] + 1 <= len(mine) <= answered[i][0] + 2


def test_requests_behind_one_that_waits_for_the_desk(server, http):
    """A pipeline of reads is answered in order, each whole."""
    put(http, {"name": "shop"})
    token = server.token()
    one = request("GET", ENTITY, token=token)
    with Raw(server) as raw:
        raw.send(one * 200 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers = raw.rest()
    assert answers.count(b"HTTP/1.1 200 OK") == 201
    assert answers.count(b'"version":1') == 200
    assert answers.rindex(b'"version"') < answers.rindex(b"HTTP/1.1 200")


def test_a_pipeline_of_changes(server, http):
    token = server.token()
    with Raw(server) as raw:
        for n in range(50):
            raw.send(request("PUT", ENTITY, body=json.dumps({"n": n}).encode(), token=token))
            raw.send(request("POST", "/api/v1/events", token=token, body=json.dumps(
                {"topic": TOPIC, "type": "ENTITY_UPDATED", "data": {"n": n}}).encode()))
        for n in range(50):
            assert raw.answer().json()["version"] == 2 * n + 1
            assert raw.answer().status == 201


def test_a_reader_that_goes_while_the_desk_works(server, http):
    put(http, {})
    token = server.token()
    for n in range(50):
        with Raw(server) as raw:
            raw.send(request("GET", ENTITY, token=token))
            raw.send(request("PUT", f"{APPS}/gone", body=b"{}", token=token))
    assert http.call("GET", ENTITY).status_code == 200
    until(lambda: http.call("GET", f"{APPS}/gone").status_code in (200, 404), "the desk goes on")


def test_browsers_may_ask_for_it(server):
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PUT"}
    answer = Http(server).call("OPTIONS", ENTITY, headers=headers)
    assert answer.status_code == 204 and "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "If-Match" in answer.headers["Access-Control-Allow-Headers"]
