# SPDX-License-Identifier: Apache-2.0
"""Jobs on real commands: started, watched, cancelled, refused, and ended exactly once whatever happens."""
import collections
import contextlib
import json
import os
import pathlib
import re
import signal

import pytest

from clients import Http, Sse, Ws, problem
from conftest import Server, until

# A shell script as a command's argument; what stands behind it are its $1, $2, …
KINDS = r"""
jobs:
  kinds:
    - name: validate
      params: ["project_id=[a-z0-9-]{1,64}", "proposal_id=[a-z0-9-]{1,64}", "status?=[0-9]"]
      topic: projects/{project_id}/proposals/{proposal_id}
      events: [start=validation_start, output=output, complete=validation_complete, error=validation_error,
               cancelled=validation_cancelled]
      carry: [proposal_id]
      argv: [sh, -c, 'echo one; echo "a \"b\"" >&2; echo "1 problem"; exit ${1:-0}', x, "{status}"]
      exit_status: result
    - name: wait
      params: ["project_id=[a-z0-9-]+", "proposal_id=[a-z0-9-]+", "mark?=.*"]
      topic: projects/{project_id}/proposals/{proposal_id}
      shared: true
      events: [start=iteration_start, error=iteration_error, cancelled=iteration_cancelled]
      carry: [proposal_id]
      argv: [sh, -c, 'sleep 300 & echo "{\"progress\":30,\"message\":\"waiting\"}" >&3; wait', x, "{mark}"]
      concurrency: 100
    - name: write
      who: any
      params: ["n=[0-9]{1,6}"]
      topic: enhance/{sub}/{session}
      events: [status=status, progress=progress, text=partial, complete=completed, error=error, cancelled=cancelled]
      argv: [sh, -c, 'for i in $(seq $1); do echo "{\"text\":\"w$i \"}" >&3; done; echo "{\"result\":{\"n\":$1}}" >&3', x, "{n}"]
    - name: hold
      who: any
      topic: enhance/{sub}/{session}
      events: [status=status, complete=completed, cancelled=cancelled]
      argv: [sleep, "300"]
      session_concurrency: 2
    - name: steps
      who: any
      params: ["fail?=yes"]
      argv: [sh, -c, 'for p in 25 50 75; do echo "{\"progress\":$p,\"message\":\"at $p\"}" >&3; done;
             if [ -n "$1" ]; then echo "{\"error\":{\"code\":\"broken\",\"message\":\"It broke.\",\"details\":\"here\",\"suggested_actions\":[\"Mend it.\"]}}" >&3; exit 1; fi;
             echo "{\"result\":{\"entries\":3}}" >&3', x, "{fail}"]
    - {name: boss, who: "role:boss", argv: ["true"]}
    - {name: missing, who: any, argv: [/nonexistent/program]}
    - {name: slow, who: any, argv: [sleep, "300"], time: 200ms}
    - {name: spin, who: any, argv: [sh, -c, "while :; do :; done"], cpu_time: 1s}
    - {name: deaf, who: any, argv: [sh, -c, 'trap "" TERM; echo "{\"message\":\"deaf\"}" >&3; while :; do sleep 300; done'], grace: 10ms}
    - {name: single, who: any, argv: [sleep, "300"], concurrency: 1, queue: 1}
    - {name: plan, internal: true, title: Planner, params: ["project_id=[a-z0-9-]+"],
       argv: [sh, -c, 'echo planning $1; echo "{\"result\":{\"word\":\"x  y\"}}" >&3', x, "{project_id}"]}
    - {name: build, internal: true, title: Builder, argv: [sh, -c, 'cat; echo; echo "[$1]"; echo "{\"result\":{\"files\":2}}" >&3', x, "{result.plan.word}"]}
    - {name: stop, internal: true, title: Stopper, params: ["stop?=yes|wait"], argv: [sh, -c, '[ "$1" != wait ] || sleep 300; [ -z "$1" ]', x, "{stop}"]}
    - name: generate
      runner: pipeline
      params: ["project_id=[a-z0-9-]{1,64}", "stop?=yes|wait"]
      topic: projects/{project_id}
      shared: true
      events: [status=status_update, progress=status_update, step=agent_update, log=log, complete=completion, error=completion,
               cancelled=completion]
      carry: [project_id]
      steps: [plan, stop, build]
    - {name: outside, runner: external, topic: "outside/{job_id}", events: [output=output, log=log, error=lost, complete=finished]}
"""
ENDS = {"completed", "error", "cancelled"}
MARK = f"cancel-me-{os.getpid()}"  # others may run these tests on this machine


@pytest.fixture
def server(tmp_path):
    config = tmp_path / "jobs.yaml"
    config.write_text(KINDS)
    server = Server(tmp_path, ["--config", str(config)])
    try:
        server.start()
        yield server
    finally:
        for process in server.started:
            process.kill()
        if server.process and server.process.poll() is None:
            server.kill9()


def start(http, kind, params=None, status=202, headers=None, **members):
    answer = http.call("POST", "/api/v1/jobs", json={"kind": kind, "params": params or {}, **members},
                       headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json() if status == 202 else problem(answer)


def get(http, job_id):
    answer = http.call("GET", f"/api/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def ended(http, job_id):
    return until(lambda: (job := get(http, job_id))["ended"] and job, "the job ends")


def cancel(http, job_id):
    return http.call("POST", f"/api/v1/jobs/{job_id}/cancel")


def told(server, topic):
    """What was said on a topic: type and data of each event."""
    return [(event["type"], event["data"]) for event in server.events(topic, server.token("root", ["admin"]))]


def descendants(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def descendants_named(server, name):
    """Commands of that name below the server."""
    found = []
    for pid in descendants(server.process.pid):
        try:
            found += [pid] if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name else []
        except OSError:
            pass  # it has just ended
    return found


def sleepers(marks):
    """Processes that run with one of these words among their arguments."""
    found = []
    for path in pathlib.Path("/proc").iterdir():
        try:
            arguments = (path / "cmdline").read_bytes().split(b"\0") if path.name.isdigit() else []
        except OSError:
            continue
        if any(mark.encode() in arguments for mark in marks):
            found.append(int(path.name))
    return found


# ---- one job ----

def test_a_validation_is_told_line_by_line(server, http):
    with Ws(server, "/ws/projects/p1", server.token("bob")) as ws:
        ws.until("caught_up")
        job = start(http, "validate", {"project_id": "p1", "proposal_id": "7", "status": "1"})
        assert job["state"] == "running" and job["owner"] == "ann" and job["topic"] == "projects/p1/proposals/7"
        begin = ws.until("validation_start")
        assert (begin["proposal_id"], begin["job_id"]) == ("7", job["job_id"])
        assert begin["event_id"] and begin["timestamp"]
        lines = collections.defaultdict(list)
        for _ in range(3):
            line = ws.until("output")
            lines[line["stream"]].append(line["line"])
        assert lines == {"stdout": ["one", "1 problem"], "stderr": ['a "b"']}
        end = ws.until("validation_complete")
        assert (end["status"], end["summary"], end["proposal_id"]) == ("failed", "1 problem", "7")
    job = ended(http, job["job_id"])
    assert (job["state"], job["progress"], job["result"], job["error"]) == ("done", 100, {"exit_status": 1}, None)


def test_the_answer_names_the_job(server, http):
    answer = http.call("POST", "/api/v1/jobs", json={"kind": "steps"})
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json()['job_id']}"
    assert answer.headers["Tidings-Position"] == answer.json()["position"]
    assert http.call("GET", answer.headers["Location"]).json()["job_id"] == answer.json()["job_id"]


def test_its_own_topic_tells_its_life(server, http):
    job = start(http, "steps", viewers=["bob"])
    with Ws(server, f"/ws/job/{job['job_id']}?since=earliest", server.token("bob")) as ws:
        seen = []
        while not seen or seen[-1]["type"] not in ENDS:
            message = ws.receive()
            if not message.get("control"):
                seen.append(message)
    assert all(m["job_id"] == job["job_id"] and m["status"] for m in seen)
    assert [m["progress"] for m in seen] == sorted(m["progress"] for m in seen)
    assert (seen[-1]["type"], seen[-1]["result"], seen[-1]["progress"]) == ("completed", {"entries": 3}, 100)
    with Ws(server, f"/ws/job/{job['job_id']}", server.token("bob")) as ws:  # who comes later is shown how it ended
        late = ws.until("completed")
        assert late["state"] is True or late["status"] == "completed"


def test_an_error_says_what_to_do(server, http):
    job = start(http, "steps", {"fail": "yes"})
    ended(http, job["job_id"])
    with Ws(server, f"/ws/job/{job['job_id']}", http.server.token()) as ws:
        error = ws.until("error")
    assert (error["error"], error["details"], error["suggested_actions"]) == ("It broke.", "here", ["Mend it."])
    assert get(http, job["job_id"])["error"] == {
        "code": "broken", "message": "It broke.", "details": "here", "suggested_actions": ["Mend it."]}


@pytest.mark.parametrize("kind, code", [("missing", "not_started"), ("slow", "timeout"), ("spin", "killed")])
def test_what_can_not_be_run_fails(server, http, kind, code):
    job = ended(http, start(http, kind)["job_id"])
    assert (job["state"], job["error"]["code"]) == ("failed", code)
    assert job["error"]["message"] and job["error"]["suggested_actions"]


def test_a_command_that_does_not_end_by_itself_is_killed_after_its_grace(server, http):
    with Ws(server, f"/ws/job/{start(http, 'deaf')['job_id']}", http.server.token()) as ws:
        job_id = ws.until("progress", message="deaf")["job_id"]
        assert cancel(http, job_id).status_code == 202
        ws.until("cancelled")
    until(lambda: not descendants_named(server, "sleep"), "nothing of it is left")


# ---- who may what ----

def test_a_job_is_its_owners_and_viewers(server, http):
    job = start(http, "steps", viewers=["carl"])
    ended(http, job["job_id"])
    bob, carl = Http(server, server.token("bob")), Http(server, server.token("carl"))
    admin = Http(server, server.token("root", ["admin"]))
    named = Http(server, server.token("dora", subscribe=["jobs/**"]))
    for other in (carl, admin, named):
        assert get(other, job["job_id"])["owner"] == "ann"
    missing = bob.call("GET", "/api/v1/jobs/" + "0" * 32)
    hidden = bob.call("GET", f"/api/v1/jobs/{job['job_id']}")
    assert problem(hidden) == problem(missing) == (404, "not_found")
    assert hidden.text == missing.text
    assert problem(cancel(bob, job["job_id"])) == (404, "not_found")
    with Ws(server, f"/ws/job/{job['job_id']}", server.token("bob")) as ws:
        refused = ws.closed()
    with Ws(server, "/ws/job/" + "0" * 32, server.token("bob")) as ws:
        assert ws.closed() == refused
    assert refused[0] == 4004
    for who, n in ((bob, 0), (carl, 1), (admin, 1)):
        assert len(who.call("GET", "/api/v1/jobs?kind=steps&state=done").json()["jobs"]) == n


def test_starting_needs_what_the_kind_says(server):
    weak = Http(server, server.token("eve", publish=["projects/p2/**"]))
    assert start(weak, "validate", {"project_id": "p1", "proposal_id": "7"}, 403) == (403, "forbidden")
    start(weak, "validate", {"project_id": "p2", "proposal_id": "7"})
    assert start(weak, "boss", status=403) == (403, "forbidden")
    start(Http(server, server.token("eve", roles=["boss"])), "boss")


@pytest.mark.parametrize("body", [
    {"kind": "nothing"}, {"kind": "plan"}, {"kind": "validate"}, {}, [], {"kind": 7}, {"kind": "steps", "x": 1},
    {"kind": "steps", "params": []}, {"kind": "steps", "params": {"fail": "no"}}, {"kind": "steps", "params": {"y": "1"}},
    {"kind": "steps", "params": {"fail": {}}}, {"kind": "steps", "viewers": "bob"}, {"kind": "steps", "viewers": [1]},
    {"kind": "outside"}, {"kind": "write", "params": {"n": "1"}}, {"kind": "steps", "lease": 5},
    {"kind": "outside", "external": True, "lease": 0}, {"kind": "outside", "external": True, "lease": 99999},
    {"kind": "validate", "params": {"project_id": "../x", "proposal_id": "7"}},
])
def test_what_can_not_be_started_changes_nothing(server, http, body):
    answer = http.call("POST", "/api/v1/jobs", json=body)
    assert problem(answer) == (400, "bad_request")
    assert told(server, "**") == []


def test_a_key_starts_one_job(server, http):
    key = {"Idempotency-Key": "k1"}
    first = start(http, "steps", headers=key)
    ended(http, first["job_id"])
    again = start(http, "steps", headers=key)
    assert (again["job_id"], again["state"]) == (first["job_id"], "done")
    assert start(http, "steps", {"fail": "yes"}, 422, headers=key) == (422, "idempotency_mismatch")
    bob = Http(server, server.token("bob"))
    assert start(bob, "steps", headers=key)["job_id"] != first["job_id"]
    server.restart()
    assert start(http, "steps", headers=key)["job_id"] == first["job_id"]


def test_the_topic_of_a_running_job_is_its_own(server, http):
    job = start(http, "single")
    start(http, "validate", {"project_id": "p1", "proposal_id": "7"})
    answer = http.post({"topic": f"jobs/{job['job_id']}", "type": "x"})
    assert problem(answer) == (403, "reserved_topic")
    outside = start(http, "outside", external=True)
    answer = http.post({"topic": outside["topic"], "type": "x"})
    assert problem(answer) == (403, "reserved_topic")
    wait = start(http, "wait", {"project_id": "p1", "proposal_id": "8"})
    http.publish("projects/p1/proposals/8", {}, type="comment_created")  # that kind is shared
    cancel(http, wait["job_id"])


# ---- limits ----

def test_what_does_not_fit_waits_and_then_is_refused(server, http):
    running, queued = start(http, "single"), start(http, "single")
    assert (running["state"], queued["state"], queued["place"]) == ("running", "queued", 1)
    answer = http.call("POST", "/api/v1/jobs", json={"kind": "single"})
    assert problem(answer) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0
    assert cancel(http, running["job_id"]).json()["state"] == "cancelling"
    until(lambda: get(http, queued["job_id"])["state"] == "running", "the queued one has its turn")
    cancel(http, queued["job_id"])
    assert ended(http, queued["job_id"])["state"] == "cancelled"


def test_a_queued_job_can_be_cancelled(server, http):
    running, queued = start(http, "single"), start(http, "single")
    assert cancel(http, queued["job_id"]).json() == {"job_id": queued["job_id"], "state": "cancelled"}
    assert get(http, running["job_id"])["state"] == "running"


# ---- cancel ----

def test_a_job_is_followed_by_whom_it_is_shown_to(server, http):
    """On any connection, by the name of its topic, with nothing of jobs/** granted."""
    job = start(http, "wait", {"project_id": "p1", "proposal_id": "7"}, viewers=["carl"])
    topic = f"jobs/{job['job_id']}"
    with Ws(server, token=server.token("ann")) as ann, Ws(server, token=server.token("carl")) as carl, \
            Ws(server, token=server.token("bob")) as bob:
        for ws in (ann, carl):
            assert ws.subscribe("rooms/1", topic, state=True)["topics"] == ["rooms/1", topic]
            assert ws.receive_events(1)[0]["data"]["job_id"] == job["job_id"]
        for pattern in (topic, "jobs/" + "0" * 32, "jobs/*", f"{topic}/**"):
            bob.send("SUBSCRIBE", topics=[pattern], ref=pattern)
            error = bob.until("command_error")
            assert (error["code"], error["ref"], error["message"]) == ("forbidden", pattern, f"{pattern}: nothing of it is granted to you.")
        assert problem(Http(server, server.token("bob")).call("GET", params={"topic": topic})) == (403, "forbidden")
        assert http.page(topic, since="earliest")["events"][0]["topic"] == topic
        ann.send("auth", token=server.token("ann"))
        assert ann.until("authenticated")["lost"] == []
        ann.send("UNSUBSCRIBE", topics=[topic])
        ann.until("unsubscribed")
        ann.subscribe(topic)
        with Sse(server, f"topic={topic}", server.token("carl")) as stream:
            stream.until("caught_up")
            assert cancel(http, job["job_id"]).status_code == 202
            for messages in (ann, carl, stream):
                events = []
                while not events or events[-1]["type"] not in ENDS:
                    events += messages.receive_events(1)
                assert (events[-1]["topic"], events[-1]["type"]) == (topic, "cancelled")


def test_a_job_that_was_taken_from_its_owner_is_not_followed(server, http):
    job = start(http, "wait", {"project_id": "p1", "proposal_id": "7"})
    topic = f"jobs/{job['job_id']}"
    root = Http(server, server.token("root", ["admin"]))
    with Ws(server, token=server.token("ann")) as ws:
        ws.subscribe(topic)
        assert root.call("POST", "/api/v1/subjects/ann/revoke", json={"subscribe": [topic]}).status_code == 200
        assert ws.until("access_lost")["topics"] == [topic]
        ws.send("SUBSCRIBE", topics=[topic])
        assert ws.until("command_error")["code"] == "forbidden"
    cancel(http, job["job_id"])


def test_a_job_is_followed_again_after_a_restart(server, http):
    job = start(http, "wait", {"project_id": "p1", "proposal_id": "7"})
    server.kill9()
    server.start()
    with Ws(server, token=server.token("ann")) as ws:
        ws.subscribe(f"jobs/{job['job_id']}", state=True)
        events = ws.receive_events(1)
        while events[-1]["type"] not in ENDS:
            events += ws.receive_events(1)
        assert events[-1]["data"]["code"] == "orphaned"


def test_cancel_ends_all_processes_and_everyone_sees_it(server, http):
    viewers = [Ws(server, "/ws/projects/p1", server.token(sub)) for sub in ("bob", "carl", "ann")]
    for ws in viewers:
        ws.until("caught_up")
    job = start(http, "wait", {"project_id": "p1", "proposal_id": "7", "mark": MARK})
    until(lambda: get(http, job["job_id"])["progress"] == 30, "it runs")
    assert sleepers([MARK])
    answer = cancel(http, job["job_id"])
    assert (answer.status_code, answer.json()) == (202, {"job_id": job["job_id"], "state": "cancelling"})
    for ws in viewers:
        assert ws.until("iteration_cancelled")["job_id"] == job["job_id"]
        ws.__exit__(None, None, None)
    assert not sleepers([MARK])
    launcher = [pid for pid in descendants(server.process.pid)]
    assert len(launcher) == 1  # itself
    again = cancel(http, job["job_id"])
    assert (again.status_code, again.json()["state"]) == (202, "cancelled")
    assert [t for t, _ in told(server, f"jobs/{job['job_id']}") if t in ENDS] == ["cancelled"]


# ---- pipelines ----

def test_a_generation_is_told_agent_by_agent(server, http):
    tabs = [Ws(server, "/api/ws/projects/p9", server.token(sub)) for sub in ("ann", "bob")]
    for ws in tabs:
        ws.until("caught_up")
    answer = http.call("POST", "/api/projects/p9/generate")
    assert answer.status_code == 202
    job_id = answer.json()["job_id"]
    for ws in tabs:
        seen = []
        while not seen or seen[-1]["type"] != "completion":
            message = ws.receive()
            if not message.get("control"):
                seen.append(message)
        ws.__exit__(None, None, None)
        agents = [(m["agent"], m["agent_name"], m["status"]) for m in seen if m["type"] == "agent_update"]
        assert agents == [(a, n, s) for a, n in (("plan", "Planner"), ("stop", "Stopper"), ("build", "Builder"))
                          for s in ("started", "completed")]
        said = [m["message"] for m in seen if m["type"] == "agent_update"]
        assert said[0] == "Starting Planner agent"
        assert re.fullmatch(r"Completed Planner agent in [0-9.]+s", said[1])
        assert "planning p9" in [m["message"] for m in seen if m["type"] == "log"]
        assert "[x  y]" in [m["message"] for m in seen if m["type"] == "log"]
        updates = [m for m in seen if m["type"] == "status_update"]
        assert all(m["job_id"] == job_id and "progress" in m and m["status"] == "running" for m in updates)
        end = seen[-1]
        assert (end["project_id"], end["job_id"], end["status"]) == ("p9", job_id, "completed")
        assert end["duration"] >= 0 and end["result"] == {"files": 2} and end["files"] == 2
    project = http.call("GET", "/api/projects/p9").json()
    assert (project["id"], project["status"], project["progress"], project["job_id"]) == ("p9", "completed", 100, job_id)
    assert [a["status"] for a in project["agents"]] == ["completed"] * 3
    assert "planning p9" in [log["message"] for log in project["logs"]]
    entity = http.call("GET", "/api/v1/entities/projects/p9")  # made on first use
    assert entity.status_code == 200 and '"name":"p9"' in entity.text
    http.call("PUT", "/api/v1/entities/projects/p9", json={"id": "p9", "name": "Nine"})
    assert http.call("GET", "/api/projects/p9").json()["name"] == "Nine"
    http.call("PUT", "/api/v1/entities/projects/p10", json={"name": "Ten"})
    fresh = http.call("GET", "/api/projects/p10").json()
    assert (fresh["name"], fresh["status"], fresh["job_id"], fresh["agents"]) == ("Ten", "new", None, [])
    stranger = Http(server, server.token("eve", subscribe=["projects/p1/**"]))
    assert problem(stranger.call("GET", "/api/projects/p9")) == (404, "not_found")
    assert problem(http.call("GET", "/api/projects/none")) == (404, "not_found")


def test_a_generation_stops_at_the_first_failure(server, http):
    job_id = http.call("POST", "/api/projects/p9/generate", json={"stop": "yes"}).json()["job_id"]
    job = ended(http, job_id)
    assert (job["state"], job["error"]["code"]) == ("failed", "exit_status")
    assert [a["status"] for a in job["agents"]] == ["completed", "failed", "skipped"]
    completions = [data for type, data in told(server, "projects/p9") if type == "completion"]
    assert [(c["status"], bool(c["error"])) for c in completions] == [("failed", True)]


def test_a_generation_is_cancelled_in_the_middle(server, http):
    job_id = http.call("POST", "/api/projects/p9/generate", json={"stop": "wait"}).json()["job_id"]
    until(lambda: get(http, job_id)["agents"][1]["status"] == "started", "the second agent works")
    cancel(http, job_id)
    job = ended(http, job_id)
    assert job["state"] == "cancelled"
    assert [a["status"] for a in job["agents"]] == ["completed", "cancelled", "skipped"]
    assert [d["status"] for t, d in told(server, "projects/p9") if t == "completion"] == ["cancelled"]


# ---- WebSocket ----

def test_requests_of_a_session(server):
    with Ws(server, "/ws/enhance?session=s1", server.token()) as ws:
        ws.until("caught_up")
        ws.send("start", kind="write", request_id="r1", params={"n": "20"}, ref=1)
        ws.send("start", kind="write", request_id="r2", params={"n": 5}, ref=2)
        texts, ends, answers = collections.defaultdict(str), {}, {}
        while len(ends) < 2 or len(answers) < 2:
            message = ws.receive()
            if message["type"] == "started":
                answers[message["ref"]] = message
            elif message["type"] == "partial":
                assert len(texts[message["request_id"]].encode()) == message["offset"]
                texts[message["request_id"]] += message["content"]
            elif message["type"] == "completed":
                ends[message["request_id"]] = message
        assert texts["r1"] == "".join(f"w{i} " for i in range(1, 21))
        assert ends["r1"]["result"] == {"n": 20} and ends["r1"]["job_id"] == answers[1]["job_id"]
        assert answers[1]["request_id"] == "r1" and answers[1]["topic"] == "enhance/ann/s1"
        ws.send("start", kind="write", request_id="r1", params={"n": "20"}, ref=3)
        assert ws.until("started")["job_id"] == answers[1]["job_id"]  # the same request is the same job
        ws.send("start", kind="write", request_id="r1", params={"n": "21"}, ref=4)
        assert ws.until("command_error")["code"] == "idempotency_mismatch"
        since = ends["r1"]["event_id"]
    with Ws(server, f"/ws/enhance?session=s1&since={since}", server.token()) as ws:
        first, second = (int(event_id.split(".")[1]) for event_id in (since, ends["r2"]["event_id"]))
        missed = ws.receive_events(1) if first < second else []
        assert all(m["request_id"] == "r2" for m in missed)
    with Ws(server, "/ws/enhance?session=s1&since=earliest", server.token("bob")) as ws:
        assert ws.until("caught_up")  # another user's session of that name is another one
        ws.send("start", kind="write", request_id="r1", params={"n": "1"})
        assert ws.until("started")["job_id"] != answers[1]["job_id"]


def test_as_many_run_at_once_in_a_session_as_may(server):
    with Ws(server, "/ws/enhance?session=s1", server.token()) as ws:
        ws.until("caught_up")
        for n in range(3):
            ws.send("start", kind="hold", request_id=f"r{n}")
        states = {}
        while len(states) < 3:
            message = ws.until("status")
            states[message["request_id"]] = message["status"]
        assert states == {"r0": "running", "r1": "running", "r2": "queued"}
        ws.send("cancel", request_id="r0", ref="c")
        assert ws.until("cancelling")["ref"] == "c"
        assert ws.until("cancelled")["request_id"] == "r0"
        assert ws.until("status", request_id="r2", status="running")
        ws.send("cancel", request_id="unknown", ref="d")
        error = ws.until("command_error")
        assert (error["code"], error["ref"]) == ("not_found", "d")
        assert error["message"] and error["suggested_actions"]


def test_the_path_gives_parameters_and_cancel_takes_a_proposal(server, http):
    with Ws(server, "/ws/projects/p1", server.token()) as ws:
        ws.until("caught_up")
        ws.send("start", kind="wait", params={"proposal_id": "7"}, request_id="a")
        ws.until("iteration_start")
        ws.send("start", kind="wait", params={"proposal_id": "8", "project_id": "p2"}, ref="x")
        assert ws.until("command_error")["code"] == "bad_request"
        with Ws(server, "/ws/projects/p2", server.token()) as other:
            other.until("caught_up")
            other.send("cancel", proposal_id="7")
            assert other.until("command_error")["code"] == "not_found"
        ws.send("cancel", proposal_id="7")
        assert ws.until("cancelling")["state"] == "cancelling"
        assert ws.until("iteration_cancelled")["proposal_id"] == "7"
        for bad in ({}, {"job_id": []}):
            ws.send("cancel", **bad)
            assert ws.until("command_error")["code"] == "bad_request"
        ws.send("start", kind="single")
        ws.send("start", kind="single")
        ws.send("start", kind="single", ref="third")
        error = ws.until("command_error")
        assert (error["code"], error["ref"]) == ("rate_limited", "third") and error["retry_after"] > 0


# ---- workers elsewhere ----

def report(http, job, **members):
    return http.call("POST", f"/api/v1/jobs/{job['job_id']}/events", json={"lease_token": job["lease_token"], **members})


def test_a_worker_elsewhere_reports(server, http):
    job = start(http, "outside", external=True, lease=30)
    assert len(job["lease_token"]) >= 32 and job["lease"] == 30 and job["external"] is True
    answer = report(http, job, events=[{"line": "one", "stream": "stdout"}, {"log": "hm", "level": "warn"},
                                       {"type": "custom", "data": {"a": 1}}], progress=40, message="on it")
    assert answer.status_code == 200 and answer.json()["progress"] == 40
    assert problem(http.call("POST", f"/api/v1/jobs/{job['job_id']}/events", json={"lease_token": "x"})) == (404, "not_found")
    assert problem(http.call("POST", f"/api/v1/jobs/{job['job_id']}/events", json={})) == (400, "bad_request")
    assert problem(report(http, job, events=[{"line": "two"}, 7])) == (400, "bad_request")
    assert problem(report(http, job, state="queued")) == (400, "bad_request")
    cancel(http, job["job_id"])
    assert report(http, job).json()["state"] == "cancelling"
    assert report(http, job, state="done", result={"n": 1}).json()["state"] == "done"
    assert problem(report(http, job)) == (404, "not_found")
    said = [(type, data.get("line") or data.get("message") or data.get("a") or data.get("n"))
            for type, data in told(server, f"outside/{job['job_id']}")]
    assert said == [("output", "one"), ("log", "hm"), ("custom", 1), ("finished", 1)]
    assert job["lease_token"] not in json.dumps(told(server, "**"))
    assert job["lease_token"] not in server.log()


def test_a_report_counts_whole_or_not_at_all(server, http):
    """Also one that is longer than what is written at once."""
    job = start(http, "outside", external=True, lease=30)
    lines = [{"line": f"{n} " + "x" * 2000} for n in range(300)]
    assert problem(report(http, job, events=[*lines, 7])) == (400, "bad_request")
    assert report(http, job, events=[{"type": "custom", "data": {"job_id": "other", "a": 1}}]).status_code == 200
    assert report(http, job, events=lines, state="done").json()["state"] == "done"
    said = told(server, f"outside/{job['job_id']}")
    assert [type for type, _ in said] == ["custom"] + ["output"] * 300 + ["finished"]
    assert said[0][1] == {"job_id": job["job_id"], "a": 1}
    assert [int(data["line"].split()[0]) for _, data in said[1:-1]] == list(range(300))


def test_a_worker_that_goes_away_orphans_its_job(server, http):
    job = start(http, "outside", external=True, lease=1)
    orphan = ended(http, job["job_id"])
    assert (orphan["state"], orphan["error"]["code"]) == ("failed", "orphaned")
    assert [type for type, _ in told(server, f"outside/{job['job_id']}")] == ["lost"]


def test_a_worker_elsewhere_outlives_a_restart(server, http):
    job = start(http, "outside", external=True, lease=30)
    server.restart()
    assert report(http, job, events=[{"line": "still here"}], state="done").json()["state"] == "done"


def test_a_report_with_a_number_counts_once(server, http):
    job = start(http, "outside", external=True, lease=30)
    one = {"seq": 1, "events": [{"line": "one"}, {"type": "custom", "data": {"a": 1}}], "progress": 10}
    assert report(http, job, **one).json()["progress"] == 10
    assert report(http, job, **one).status_code == 200
    assert problem(report(http, job, seq=2, events=[{"line": "two"}, 7])) == (400, "bad_request")
    assert report(http, job, seq=2, events=[{"line": "two"}]).status_code == 200
    for seq in (0, -1, 1.5, "3"):
        assert problem(report(http, job, seq=seq)) == (400, "bad_request")
    server.restart()
    for seq, line in ((1, "one"), (2, "two"), (3, "three"), (3, "three")):
        assert report(http, job, seq=seq, events=[{"line": line}]).status_code == 200
    assert report(http, job, seq=4, state="done").json()["state"] == "done"
    said = [(type, data.get("line") or data.get("a")) for type, data in told(server, f"outside/{job['job_id']}")]
    assert said == [("output", "one"), ("custom", 1), ("output", "two"), ("output", "three"), ("finished", None)]


def test_a_job_is_read_by_http_too(server, http):
    job = start(http, "outside", external=True, lease=30)
    path = f"/ws/job/{job['job_id']}"
    assert report(http, job, state="done").status_code == 200
    page = http.call("GET", path, params={"since": job["position"], "wait": 20})
    assert [event["type"] for event in page.json()["events"]] == ["completed"]
    bob = Http(server, server.token("bob", subscribe=["outside/**"], publish=["outside/**"]))
    assert problem(bob.call("GET", path)) == (404, "not_found")
    with Sse(server, "", server.token(), path=path) as stream:
        assert stream.message()[1]["status"] == "completed"


# ---- the end of the server ----

def test_a_killed_server_leaves_no_job_and_no_process(server, http):
    marks = [f"{MARK}-job-{server.port}-{n}" for n in range(20)]
    jobs = [start(http, "wait", {"project_id": "p1", "proposal_id": str(n), "mark": mark}) for n, mark in enumerate(marks)]
    until(lambda: len(sleepers(marks)) == 20, "all of them run")
    server.kill9()
    until(lambda: not sleepers(marks), "no process outlives the server")
    server.start()
    for job in jobs:
        assert get(http, job["job_id"])["error"]["code"] == "orphaned"
        ends = [type for type, _ in told(server, f"jobs/{job['job_id']}") if type in ENDS]
        assert ends == ["error"]
    failed = [data["job_id"] for type, data in told(server, "projects/**") if type == "iteration_error"]
    assert sorted(failed) == sorted(job["job_id"] for job in jobs)
    server.restart()
    assert len([1 for type, _ in told(server, "jobs/*") if type in ENDS]) == 20


def test_a_drain_is_seen_by_viewers(server, http):
    job = start(http, "wait", {"project_id": "p1", "proposal_id": "7"})
    outside = start(http, "outside", external=True)
    with Ws(server, "/ws/projects/p1", server.token()) as ws:
        ws.until("caught_up")
        server.process.send_signal(signal.SIGTERM)
        error = ws.until("iteration_error")
        assert error["code"] == "server_stopping"
    assert server.process.wait(20) == 0
    server.start()
    assert get(http, job["job_id"])["error"]["code"] == "server_stopping"
    assert get(http, outside["job_id"])["state"] == "running"


def test_a_hundred_jobs_at_once(server, http):
    n = 100
    viewers = [Ws(server, "/ws/projects/p1", server.token("bob" if i % 2 else "ann")) for i in range(4)]
    for ws in viewers:
        ws.until("caught_up")
    jobs = {start(http, "validate", {"project_id": "p1", "proposal_id": str(i)})["job_id"] for i in range(n)}
    for ws in viewers:
        seen, lines = set(), collections.Counter()
        while len(seen) < n:
            message = ws.receive()
            if message["type"] == "output":
                lines[message["job_id"]] += 1
            elif message["type"] == "validation_complete":
                assert message["job_id"] not in seen
                seen.add(message["job_id"])
        assert seen == jobs and all(lines[job] == 3 for job in jobs)
        ws.__exit__(None, None, None)


def test_jobs_are_counted_and_logged_without_their_parameters(server, http):
    job = start(http, "wait", {"project_id": "p1", "proposal_id": "7", "mark": "s3cret"})
    text = http.call("GET", "/metrics").text
    assert 'tidings_jobs_running{kind="wait"} 1' in text
    assert 'tidings_jobs_started_total{kind="wait"} 1' in text
    cancel(http, job["job_id"])
    ended(http, job["job_id"])
    text = http.call("GET", "/metrics").text
    assert 'tidings_jobs_ended_total{kind="wait",state="cancelled"} 1' in text
    assert 'tidings_jobs_running{kind="wait"} 0' in text
    assert job["job_id"] in server.log() and "s3cret" not in server.log()


# ---- the command line ----

def test_jobs_on_the_command_line(server, http):
    job = start(http, "wait", {"project_id": "p1", "proposal_id": "7"})
    listed = server.run("jobs", "list")
    assert listed.returncode == 0 and job["job_id"] in listed.stdout and "running" in listed.stdout
    shown = server.run("jobs", "show", job["job_id"])
    assert shown.returncode == 0 and json.loads(shown.stdout)["kind"] == "wait"
    cancelled = server.run("jobs", "cancel", job["job_id"])
    assert cancelled.returncode == 0 and job["job_id"] in cancelled.stdout
    assert ended(http, job["job_id"])["state"] == "cancelled"
    missing = server.run("jobs", "show", "0" * 32)
    assert missing.returncode == 1 and "no such job" in missing.stderr
    assert server.run("jobs", "list", token=server.token("bob")).stdout.count(job["job_id"]) == 0
    for wrong in (["jobs"], ["jobs", "show"], ["jobs", "rm", "x"], ["jobs", "list", "--state"]):
        assert server.run(*wrong).returncode == 2


@contextlib.contextmanager
def serving(directory, *options):
    config = directory / "jobs.yaml"
    config.write_text(KINDS)
    server = Server(directory, ["--config", str(config), *options])
    server.start()
    try:
        yield server
    finally:
        server.kill9()


def test_who_has_started_a_job_that_runs_is_not_idle(tmp_path):
    with serving(tmp_path, "--heartbeat.idle", "1s") as server, Ws(server, "/ws", server.token()) as waits, \
            Ws(server, "/ws", server.token()) as idle:
        waits.send("start", kind="wait", params={"project_id": "p1", "proposal_id": "7"}, ref=1)
        job_id = waits.until("started")["job_id"]
        for _ in range(2):  # one after the other, so that a second is over for who came first
            assert idle.closed() == (4008, "idle timeout: nothing is subscribed")
            idle = Ws(server, "/ws", server.token())
        waits.send("cancel", job_id=job_id, ref=2)
        assert waits.until("cancelling")["job_id"] == job_id
        assert waits.closed()[0] == 4008, "its job has ended"


def test_lists_are_limited_as_publishes_are(tmp_path):
    with serving(tmp_path, "--limits.publishes_per_second", "1") as server:
        http = Http(server, server.token())
        answers = [http.call("GET", "/api/v1/jobs") for _ in range(30)]
        assert answers[0].status_code == 200 and 429 in [answer.status_code for answer in answers]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert problem(refused) == (429, "rate_limited")


def test_jobs_are_audited(tmp_path):
    with serving(tmp_path, "--audit.events", "true") as server:
        ann, root = Http(server, server.token()), server.token("root", ["admin"])
        job = start(ann, "wait", {"project_id": "p1", "proposal_id": "7", "mark": "s3cret"})
        assert cancel(Http(server, server.token("bob")), job["job_id"]).status_code == 202
        ended(ann, job["job_id"])
        events = until(lambda: len(found := server.events("audit/jobs", root)) == 3 and found, "three are told")
        assert [(e["data"]["action"], e["data"]["actor"]) for e in events] == [
            ("job_started", "ann"), ("job_cancelled", "bob"), ("job_ended", "ann")]
        assert all(e["data"]["detail"]["job_id"] == job["job_id"] and e["data"]["topic"] == f"jobs/{job['job_id']}"
                   for e in events)
        assert "s3cret" not in json.dumps(events)
        assert all(e["data"]["address"].startswith("127.0.0.1:") for e in events[:2])


def test_what_is_not_allowed_is_audited_and_bounded(tmp_path):
    with serving(tmp_path, "--audit.events", "true") as server:
        ann, root = Http(server, server.token()), server.token("root", ["admin"])
        bob = Http(server, server.token("bob", publish=["none/x"], subscribe=["projects/p1/**"]))
        params = {"project_id": "p1", "proposal_id": "7", "mark": "s3cret"}
        assert start(bob, "wait", params, status=403) == (403, "forbidden")
        job = start(ann, "wait", params, viewers=["bob"])
        assert problem(cancel(bob, job["job_id"])) == (403, "forbidden")

        def denied():
            return [e["data"] for e in server.events("audit/jobs", root) if e["data"]["outcome"] == "denied"]
        begun, ended = until(lambda: len(denied()) == 2 and denied(), "two are told")
        assert (begun["action"], begun["actor"], begun["topic"]) == ("job_started", "bob", "projects/p1/proposals/7")
        assert (ended["action"], ended["actor"], ended["topic"]) == ("job_cancelled", "bob", f"jobs/{job['job_id']}")
        assert begun["detail"]["kind"] == "wait" and begun["address"].startswith("127.0.0.1:") and ended["address"]
        assert "s3cret" not in json.dumps([begun, ended])
        for _ in range(60):
            start(bob, "wait", params, status=403)

        def counted():
            told = [e["data"] for e in server.events("audit/**", root) if e["data"]["outcome"] == "denied"]
            return sum(note["action"] != "connection_refused" for note in told) + sum(
                note["detail"].get("left_out", 0) for note in told)
        until(lambda: counted() == 62, "each is noted or counted")
        assert len(denied()) < 62


def test_text_that_is_refused_holds_up_neither_its_job_nor_others(tmp_path):
    """A topic takes a number of keys: what a job can't say there for good is dropped, and its end is told."""
    config = tmp_path / "jobs.yaml"
    config.write_text("""
limits: {topic_keys: 1}
jobs:
  kinds:
    - {name: talk, topic: room/1, shared: true, events: [text=partial, complete=finished, error=failed],
       argv: [sh, -c, 'echo "{\\"text\\":\\"hello\\"}" >&3']}
    - {name: nothing, who: any, argv: ["true"]}
""")
    server = Server(tmp_path, ["--config", str(config)])
    server.start()
    try:
        http = Http(server, server.token("ann"))
        answer = http.call("POST", "/api/v1/events", json={"topic": "room/1", "type": "x", "key": "k", "data": 1})
        assert answer.status_code == 201, answer.text
        talk = start(http, "talk")["job_id"]
        nothing = start(http, "nothing")["job_id"]
        assert ended(http, talk)["state"] in ("done", "failed")
        assert ended(http, nothing)["state"] == "done"
        assert sum(type in ENDS for type, _ in told(server, f"jobs/{talk}")) == 1
        assert [type for type, _ in told(server, "room/1")][1:] in (["finished"], ["failed"])
    finally:
        server.kill9()
