# SPDX-License-Identifier: Apache-2.0
"""Projects and records from end to end, who did what, and many of all at once."""
import contextlib

import pytest

from clients import Http, Ws, many_files, problem
from conftest import until
from systems import ended, model, read_until, server, start, user, viewer  # pylint: disable=unused-import

ENDS = {"completed", "error", "cancelled"}


# --- project generation --------------------------------------------------------------------------------------------


def test_a_project_is_generated_before_two_tabs_and_who_comes_late(server):
    ann = user(server, "ann")
    tabs = [viewer(server, "/api/ws/projects/shop", "ann") for _ in range(2)]
    for tab in tabs:
        welcome = tab.until("connection")
        assert welcome["project_id"] == "shop" and welcome["user"] == "ann" and welcome["heartbeat"]
        tab.until("caught_up")
    answer = ann.call("POST", "/api/projects/shop/generate", json={"description": "A shop with products, customers and orders"})
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["job_id"]
    events = read_until(tabs[0], "completion")
    assert read_until(tabs[1], "completion") == events
    for tab in tabs:
        tab.socket.close()
    agents = [event for event in events if event["type"] == "agent_update"]
    names = list(dict.fromkeys(event["agent"] for event in agents))
    assert len(names) >= 12
    for name in names:
        began, done = [event for event in agents if event["agent"] == name]
        assert (began["status"], done["status"]) == ("started", "completed")
        assert began["message"] == f"Starting {began['agent_name']} agent"
        assert done["message"] == f"Completed {done['agent_name']} agent in {done['duration']:g}s"
    assert all(event["message"] is not None and event["level"] and event["agent"] for event in events if event["type"] == "log")
    progress = [event["progress"] for event in events if event["type"] == "status_update"]
    assert progress == sorted(progress) and all(event["job_id"] == job_id for event in events if "progress" in event)
    last = events[-1]
    assert last["status"] == "completed" and last["project_id"] == "shop" and last["duration"] > 0 and last["result"]["tests"] == 4
    project = ann.call("GET", "/api/projects/shop").json()
    assert project["status"] == "completed" and project["progress"] == 100 and project["job_id"] == job_id
    assert [agent["status"] for agent in project["agents"]] == ["completed"] * len(names)
    assert project["logs"] and project["result"] == last["result"]


@pytest.mark.options("--llm.model", "imitation-silent")
def test_a_generation_that_is_cancelled_is_told_as_completion(server):
    ann = user(server, "ann")
    with viewer(server, "/api/ws/projects/shop", "ann") as tab:
        tab.until("caught_up")
        job_id = ann.call("POST", "/api/projects/shop/generate").json()["job_id"]
        read_until(tab, "agent_update", agent="generate-describe")
        project = ann.call("GET", "/api/projects/shop").json()
        assert project["status"] == "running" and 0 < project["progress"] < 100
        assert ann.call("POST", f"/api/v1/jobs/{job_id}/cancel").status_code == 202
        assert read_until(tab, "completion")[-1]["status"] == "cancelled"


# --- shared records ------------------------------------------------------------------------------------------------


def test_records_are_told_by_type_by_one_and_all_and_never_what_may_not_be_seen(server):
    ann = user(server, "ann")
    scopes = {"type": {"entity_type": "applications"}, "one": {"entity_type": "applications", "entity_id": "app1"}, "all": "all"}
    watchers = {name: viewer(server, "/ws", "ann") for name in scopes}
    watchers["some"] = viewer(server, "/ws", "bob", subscribe=["entities/applications/*"])
    for name, watcher in watchers.items():
        watcher.send("SUBSCRIBE", scope=scopes.get(name, "all"), ref=name)
        assert watcher.until("subscribed")["ref"] == name
    for path, body in (("secrets/s1", {"key": "x"}), ("applications/app1", {"name": "shop"}), ("applications/app2", {"name": "till"})):
        assert ann.call("PUT", f"/api/v1/entities/{path}", json=body).status_code == 201
    assert ann.call("PUT", "/api/v1/entities/applications/app1", json={"name": "market"}).status_code == 200
    assert ann.call("DELETE", "/api/v1/entities/applications/app1").status_code in (200, 204)
    ann.post({"topic": "entities/applications/last", "type": "ENTITY_CREATED", "data": {"name": "last"}})
    seen = {}
    for name, watcher in watchers.items():
        n = {"one": 3, "all": 6}.get(name, 5)
        seen[name] = watcher.receive_events(n)
        watcher.send("ping", ref="end")  # nothing more has come before the answer
        assert watcher.until("pong", ref="end") and not watcher.skipped
        watcher.socket.close()
    assert all(event["type"] == "EVENT_NOTIFICATION" and event["timestamp"] and event["payload"] is not None
               for events in seen.values() for event in events)
    assert [(event["event_type"], event["action"]) for event in seen["one"]] == [
        ("ENTITY_CREATED", "created"), ("ENTITY_UPDATED", "updated"), ("ENTITY_DELETED", "deleted")]
    assert {event["entity_type"] for event in seen["all"]} == {"applications", "secrets"}
    assert seen["some"] == seen["type"] == [event for event in seen["all"] if event["entity_type"] == "applications"]


# --- audit ---------------------------------------------------------------------------------------------------------


@pytest.mark.options("--audit.events", "true")
def test_an_admin_sees_who_did_what_filtered_and_resumed(server):
    ann = user(server, "ann")
    with viewer(server, "/ws/audit?action=job_started&action=job_ended&actor=ann", "root", roles=["admin"]) as root:
        root.until("caught_up")
        job = start(ann, "journal")
        first, second = root.receive_events(2)
    assert (first["data"]["action"], second["data"]["action"]) == ("job_started", "job_ended")
    assert first["data"]["actor"] == "ann" and first["data"]["detail"]["job_id"] == job["job_id"]
    with viewer(server, f"/ws/audit?action=job_ended&since={first['id']}", "root", roles=["admin"]) as root:
        assert root.receive_events(1)[0] == second
    with viewer(server, "/ws/audit", "ann") as ann_there:
        assert ann_there.closed()[0] == 4003


# --- many ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def thousand_viewers(server, token, path_of):
    watchers = []
    with many_files(1000):
        try:
            for i in range(1000):
                watchers.append(Ws(server, path_of(i), token=token(i)))
            yield watchers
        finally:
            for watcher in watchers:
                watcher.socket.close()


@pytest.mark.options("--llm.model", "imitation-silent")
def test_a_thousand_viewers_of_a_generation_all_see_it_and_its_cancel(server, model):
    """Twenty tabs of each of fifty users; all see the same messages, whether they came before it or in its middle."""
    ann, tokens = user(server, "ann"), [server.token(sub=f"user{n}") for n in range(50)]
    with thousand_viewers(server, lambda i: tokens[i // 20], lambda i: "/api/ws/projects/shop") as watchers:
        for watcher in watchers:
            assert watcher.until("connection")["project_id"] == "shop"
        job_id = ann.call("POST", "/api/projects/shop/generate").json()["job_id"]
        until(lambda: model.stats()["active"] == 1, "the writer asks the model")
        with viewer(server, "/api/ws/projects/shop?since=earliest", "late") as late:
            assert ann.call("POST", f"/api/v1/jobs/{job_id}/cancel").status_code == 202
            told = read_until(late, "completion")
        assert told[-1]["status"] == "cancelled" and told[-1]["job_id"] == job_id
        assert sum(event["type"] == "agent_update" for event in told) == 16
        for watcher in watchers:
            assert read_until(watcher, "completion") == told
    until(lambda: model.stats()["active"] == 0, "the upstream request is closed")


@pytest.mark.options("--jobs.owner_unfinished", "1000")
def test_a_hundred_jobs_before_a_thousand_viewers_miss_nothing(server):
    token = server.token(sub="ann")
    ann = Http(server, token)
    with thousand_viewers(server, lambda i: token,
                          lambda i: f"/api/v1/events?topic=projects/load/proposals/{i % 100}&format=flat") as watchers:
        for i in range(100):
            start(ann, "validate", params={"project_id": "load", "proposal_id": str(i), "path": "src"})
        for i, watcher in enumerate(watchers):
            events = read_until(watcher, "validation_complete", "validation_error")
            assert [event.get("line", event["type"]) for event in events] == [
                "validation_start", "src/report.py: ok", "src/till.py: ok", "2 files checked, nothing found", "validation_complete"]
            assert {event["proposal_id"] for event in events} == {str(i % 100)}


@pytest.mark.options("--llm.model", "imitation-silent")
def test_each_job_has_one_end_when_the_server_is_killed(server, model):
    ann = user(server, "ann")
    ids = [start(ann, "journal", params={"pages": 99999})["job_id"] for _ in range(8)]
    ids += [start(ann, "enhance", session="s", params={"text": "wait"})["job_id"] for _ in range(4)]
    ids += [start(ann, "iterate", params={"project_id": "demo", "proposal_id": str(i), "instruction": "x"})["job_id"] for i in range(4)]
    done = ended(ann, start(ann, "validate", params={"project_id": "demo", "proposal_id": "7"})["job_id"])
    until(lambda: model.stats()["active"] == 8, "the model is asked")
    server.restart()
    until(lambda: model.stats()["active"] == 0, "the upstream requests are closed")
    for job_id in ids:
        job = ended(ann, job_id)
        assert job["state"] == "failed" and job["error"]["code"] == "orphaned" and job["error"]["suggested_actions"]
    for job_id in [*ids, done["job_id"]]:
        events = server.events(f"jobs/{job_id}", token=server.token(sub="root", roles=["admin"]))
        assert sum(event["type"] in ENDS for event in events) == 1 and events[-1]["type"] in ENDS
    assert ended(ann, done["job_id"])["state"] == "done"
    told = [event for event in server.events("projects/demo/proposals/*") if event["type"] == "iteration_error"]
    assert len(told) == 4
