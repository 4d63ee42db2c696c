# SPDX-License-Identifier: Apache-2.0
"""The audit: what becomes an event, for whom, and that strangers can't flood it."""
import signal

import pytest
import requests
from websockets.frames import Opcode

from clients import Http, Raw, Ws, problem
from conftest import until

AUDIT = "audit/**"
pytestmark = pytest.mark.options("--audit.events", "true")


@pytest.fixture
def admin(server):
    return Http(server, server.token("root", roles=["admin"]))


def notes(http, action, topic=AUDIT):
    """The data of all notes of an action."""
    page = http.page(topic, since="earliest", limit=1000)
    assert not page["more"]
    return [e["data"] for e in page["events"] if e["type"] == action]


def test_a_connection_is_noted_from_its_beginning_to_its_end(server, admin):
    ws = Ws(server, "/ws", token=server.token("ann"))
    until(lambda: notes(admin, "connection_opened"), "it is noted")
    [opened] = notes(admin, "connection_opened")
    assert opened["actor"] == "ann" and opened["action"] == "connection_opened"
    assert opened["address"].startswith("127.0.0.1:") and opened["outcome"] == "done"
    assert opened["detail"]["transport"] == "websocket" and opened["detail"]["path"] == "/ws"
    ws.frame(Opcode.CLOSE, (1000).to_bytes(2, "big"))
    until(lambda: notes(admin, "connection_closed"), "its end is noted")
    [closed] = notes(admin, "connection_closed")
    assert closed["actor"] == "ann" and closed["detail"]["connection"] == opened["detail"]["connection"]
    assert closed["detail"]["code"] == 1000


def test_refusals_are_noted_so_many_a_second_and_counted(server, admin):
    refused = 200
    for _ in range(refused):
        with Raw(server) as raw:
            raw.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            raw.until(b"\r\n\r\n")

    def told():
        all_notes = notes(admin, "connection_refused")
        with_reason = [n for n in all_notes if "reason" in n["detail"]]
        return len(with_reason) + sum(n["detail"].get("left_out", 0) for n in all_notes)
    until(lambda: told() >= refused, "all are noted or counted")
    assert told() == refused
    all_notes = notes(admin, "connection_refused")
    assert len(all_notes) < refused
    assert all(n["outcome"] == "denied" for n in all_notes)


def test_start_and_reload_are_noted(server, admin):
    until(lambda: notes(admin, "server_started", "audit/server"), "the start is noted")
    [started] = notes(admin, "server_started", "audit/server")
    assert started["detail"]["version"]
    server.process.send_signal(signal.SIGHUP)
    until(lambda: notes(admin, "server_reloaded"), "the reload is noted")
    server.stop()
    server.start()
    until(lambda: len(notes(admin, "server_started")) == 2, "the second start is noted")
    assert len(notes(admin, "server_stopping")) == 1


def test_nobody_but_an_admin_sees_it(server):
    ann = Http(server, server.token("ann", subscribe=["**"]))
    with Ws(server, "/ws", token=server.token("ann")):
        pass
    assert ann.page("**", since="earliest")["events"] == []
    assert problem(ann.call("GET", "/api/v1/events", params={"topic": AUDIT})) == (403, "forbidden")


@pytest.mark.options("--audit.events", "false")
def test_it_can_be_switched_off(server, admin):
    with Ws(server, "/ws", token=server.token("ann")):
        pass
    until(lambda: "disconnect" in server.log(), "the log has it all the same")
    assert admin.page(AUDIT, since="earliest")["events"] == []
    metrics = requests.get(f"{server.url}/metrics", timeout=10).text
    assert 'tidings_audit_total{action="connection_opened",outcome="done"} 1' in metrics


@pytest.mark.options("--audit.events", "true", "--audit.publishes", "true")
def test_publishes_are_noted_when_that_is_wanted(server, admin):
    Http(server, server.token("ann")).publish("a/b", {"secret": "no"}, type="t")
    [note] = until(lambda: notes(admin, "event_published"), "it is noted")
    assert note["actor"] == "ann" and note["topic"] == "a/b" and note["detail"] == {"type": "t"}


def test_no_token_is_ever_noted(server, admin):
    token = server.token("ann")
    with Ws(server, f"/ws?token={token}"):
        pass
    until(lambda: notes(admin, "connection_closed"), "its end is noted")
    text = str(admin.page(AUDIT, since="earliest", limit=1000))
    assert token not in text and token.split(".")[2] not in text


def test_changes_of_entities_are_noted(server, admin, http):
    entity = "/api/v1/entities/applications/app1"
    first = http.call("PUT", entity, data="{}", headers={"Idempotency-Key": "k"})
    http.call("PUT", entity, data="{}", headers={"Idempotency-Key": "k"})  # a repeat changes nothing
    http.call("PUT", entity, data="1", headers={"If-Match": "7"})  # nor does what is refused
    http.publish("entities/applications/app1", {"n": 1}, type="ENTITY_UPDATED")
    http.call("DELETE", entity)
    assert first.status_code == 201
    until(lambda: notes(admin, "entity_deleted"), "the last one is noted")
    changes = [e["data"] for e in admin.page("audit/entities", since="earliest")["events"]]
    assert [(c["action"], c["detail"]["version"]) for c in changes] == [
        ("entity_created", 1), ("entity_updated", 2), ("entity_deleted", 3)]
    for change in changes:
        assert (change["actor"], change["topic"], change["outcome"]) == ("ann", "entities/applications/app1", "done")
        assert change["address"].startswith("127.0.0.1:")


def test_locks_are_noted(server, admin, http):
    lock = "/api/v1/locks/projects/42"
    fences = []
    for ttl in (30, 30, 1):  # taken, renewed, shortened
        fences.append(http.call("PUT", lock, json={"ttl": ttl}).json()["fence"])
    until(lambda: notes(admin, "lock_freed"), "the lease ends")
    http.call("PUT", lock)
    admin.call("DELETE", lock)
    until(lambda: len(notes(admin, "lock_freed")) == 2, "it is noted that it was given back")
    told = [e["data"] for e in admin.page("audit/locks", since="earliest")["events"]]
    assert [(t["action"], t.get("actor"), t["detail"].get("reason")) for t in told] == [
        ("lock_taken", "ann", None), ("lock_freed", None, "the lease has ended"),
        ("lock_taken", "ann", None), ("lock_freed", "root", "given back")]
    assert all(t["topic"] == "projects/42" and t["detail"]["holder"] == "ann" for t in told)
    assert told[0]["detail"]["fence"] == told[1]["detail"]["fence"] == fences[0] == fences[2]
