# SPDX-License-Identifier: Apache-2.0
"""Locks: leases on names, with fences that never fall, told to all who follow them."""
import threading

import pytest
from conftest import until

from clients import Http, Ws, problem

LOCK = "/api/v1/locks/projects/42"


def take(http, ttl=30, path=LOCK):
    return http.call("PUT", path, json={"ttl": ttl})


def other(server, sub="bob"):
    return Http(server, server.token(sub))


def test_one_holds_it(server, http):
    bob = other(server)
    answer = take(http)
    assert answer.status_code == 201
    lock = answer.json()
    assert lock == {"name": "projects/42", "holder": "ann", "fence": lock["fence"], "expires_in": 30}
    held = take(bob)
    assert problem(held) == (409, "lock_held")
    assert (held.json()["holder"], held.json()["fence"]) == ("ann", lock["fence"])
    assert 0 < int(held.headers["Retry-After"]) <= 30
    renewed = take(http, 60)
    assert (renewed.status_code, renewed.json()["fence"], renewed.json()["expires_in"]) == (200, lock["fence"], 60)
    assert bob.call("GET", LOCK).json()["holder"] == "ann"
    assert problem(bob.call("DELETE", LOCK)) == (409, "lock_held")
    gone = http.call("DELETE", LOCK)
    assert (gone.status_code, gone.content) == (204, b"")
    assert problem(http.call("DELETE", LOCK)) == (404, "not_found")
    assert problem(http.call("GET", LOCK)) == (404, "not_found")
    assert take(bob).json()["fence"] > lock["fence"]


def test_an_admin_breaks_it(server, http):
    take(http)
    admin = Http(server, server.token("root", roles=["admin"]))
    assert problem(take(admin)) == (409, "lock_held")
    assert admin.call("DELETE", LOCK).status_code == 204
    assert take(other(server)).status_code == 201


def test_without_a_body_it_is_half_a_minute(http):
    assert http.call("PUT", LOCK).json()["expires_in"] == 30
    assert http.call("PUT", "/api/v1/locks/a%2Fb").json()["name"] == "a/b"


def test_what_is_told(server, http):
    token = server.token("carl", subscribe=["projects/42/**", "locks/**"], publish=["a"])
    with Ws(server, token=token, path="/api/v1/events?topic=projects/42/**&format=flat") as project, \
            Ws(server, token=token, path="/api/v1/events?topic=locks/**") as locks:
        for ws in (project, locks):
            ws.until("caught_up")
        take(http)
        take(http, 40)
        http.call("DELETE", LOCK)
        take(http, 1)
        changed = project.receive_events(5)
        events = locks.receive_events(5)
    assert [(m["type"], m["project_id"], m["locked"], m["holder"]) for m in changed] == [
        ("lock_changed", "42", locked, "ann" if locked else None) for locked in (True, True, False, True, False)]
    assert all((m["until"] is not None) == m["locked"] for m in changed)
    assert all(m["until"] > m["timestamp"] for m in changed if m["locked"])
    assert all(m["data"]["until"] > m["time"] for m in events if m["type"] in ("lock_acquired", "lock_renewed"))
    assert [m["type"] for m in events] == [
        "lock_acquired", "lock_renewed", "lock_released", "lock_acquired", "lock_expired"]
    assert all(m["data"]["name"] == "projects/42" and m["topic"] == "locks/projects/42" for m in events)
    fence = int(events[0]["id"].split(".")[1])
    assert events[1]["data"]["fence"] == events[2]["data"]["fence"] == fence
    assert events[4]["data"]["fence"] == int(events[3]["id"].split(".")[1]) > fence
    assert [m.get("actor") for m in events] == ["ann", "ann", "ann", "ann", None]


def test_who_comes_new_is_shown_what_is_held(server, http):
    take(http)
    take(http, path="/api/v1/locks/projects/43")
    http.call("DELETE", "/api/v1/locks/projects/43")
    page = http.page("projects/*", since="now", state=1, format="flat")
    assert [(e["type"], e["project_id"], e["locked"]) for e in page["state"]] == [("lock_changed", "42", True)]


def test_a_lock_of_another_name_changes_no_project(server, http):
    take(http, path="/api/v1/locks/projects/42/files")
    take(http, path="/api/v1/locks/projects")
    assert [e["topic"] for e in http.page("**", since="earliest")["events"]] == [
        "locks/projects/42/files", "locks/projects"]


def test_its_lease_ends(server, http):
    first = take(http, 1).json()
    bob = other(server)
    second = until(lambda: (answer := take(bob)).status_code == 201 and answer.json(), "the lease ends")
    assert second["fence"] > first["fence"]
    types = [e["type"] for e in http.page("locks/**", since="earliest")["events"]]
    assert types == ["lock_acquired", "lock_expired", "lock_acquired"]


@pytest.mark.parametrize("how", ["restart", "stop"])
def test_a_restart_keeps_it_and_ends_its_lease(server, http, how):
    held = take(http, 1000).json()
    short = take(http, 1, "/api/v1/locks/projects/43").json()
    if how == "stop":
        server.stop()
        server.start()
    else:
        server.restart()
    bob = other(server)
    again = problem(take(bob))
    assert again == (409, "lock_held")
    assert bob.call("GET", LOCK).json()["fence"] == held["fence"]
    fresh = until(lambda: (answer := take(bob, path="/api/v1/locks/projects/43")).status_code == 201 and answer.json(),
                  "the other lease ends")
    assert fresh["fence"] > short["fence"]
    with_end = [e["type"] for e in http.page("locks/projects/43", since="earliest")["events"]]
    assert with_end == ["lock_acquired", "lock_expired", "lock_acquired"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"ttl":0}', b'{"ttl":-1}', b'{"ttl":1.5}', b'{"ttl":"30"}',
                                  b'{"ttl":3601}', b'{"ttl":30,"x":1}', b" " * 2000 + b"{}"], ids=range(9))
def test_bad_input_takes_no_lock(server, http, body):
    assert problem(http.call("PUT", LOCK, data=body)) == (400, "bad_request")
    assert problem(Http(server).call("GET", LOCK)) == (404, "not_found")


def test_names(http):
    for name in ("a%20b", "a//b", "*", "/".join("a" * 16), "/".join(["a" * 60] * 4) + "/" + "a" * 10):
        assert problem(http.call("PUT", f"/api/v1/locks/{name}")) == (400, "bad_request"), name
    assert problem(http.call("PUT", "/api/v1/locks/")) == (404, "not_found")
    for name in ("audit/x", "jobs/1", "locks/a"):
        assert problem(http.call("PUT", f"/api/v1/locks/{name}")) == (403, "reserved_topic")
    assert problem(http.call("POST", LOCK)) == (405, "bad_request")


def test_who_may(server, http):
    take(http)
    reader = Http(server, server.token("bob", subscribe=["projects/42"], publish=["projects/43"]))
    assert reader.call("GET", LOCK).json()["holder"] == "ann"
    assert problem(take(reader)) == (403, "forbidden")
    assert problem(reader.call("DELETE", LOCK)) == (403, "forbidden")
    assert take(reader, path="/api/v1/locks/projects/43").status_code == 201
    assert problem(reader.call("GET", "/api/v1/locks/projects/43")) == (403, "forbidden")
    assert problem(Http(server, "none").call("GET", LOCK)) == (401, "unauthorized")
    assert problem(http.post({"topic": "locks/projects/42", "type": "lock_acquired"})) == (403, "reserved_topic")


@pytest.mark.options("--limits.locks_per_user", "2", "--limits.locks", "3")
def test_there_are_only_so_many(server, http):
    for n in range(2):
        assert take(http, path=f"/api/v1/locks/a/{n}").status_code == 201
    assert problem(take(http, path="/api/v1/locks/a/2")) == (429, "rate_limited")
    assert take(http, path="/api/v1/locks/a/1").status_code == 200
    bob = other(server)
    assert take(bob, path="/api/v1/locks/b/0").status_code == 201
    assert problem(take(bob, path="/api/v1/locks/b/1")) == (429, "rate_limited")
    http.call("DELETE", "/api/v1/locks/a/0")
    assert take(bob, path="/api/v1/locks/b/1").status_code == 201


@pytest.mark.options("--workers", "2")
def test_of_many_one_gets_it(server, http):
    fences = []
    for round in range(5):
        answers = []
        clients = [other(server, f"u{i}") for i in range(6)]
        threads = [threading.Thread(target=lambda client=client: answers.append(take(client))) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
        [won] = [answer.json() for answer in answers if answer.status_code == 201]
        assert {answer.json()["holder"] for answer in answers} == {won["holder"]}
        fences.append(won["fence"])
        [holder] = [client for i, client in enumerate(clients) if f"u{i}" == won["holder"]]
        assert holder.call("DELETE", LOCK).status_code == 204
    assert fences == sorted(set(fences))
