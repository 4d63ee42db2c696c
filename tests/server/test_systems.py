# SPDX-License-Identifier: Apache-2.0
"""The systems that the examples of `tidings dev` show, from end to end: proposals, prompts, journals."""
import os
import re
import shutil
import subprocess

import pytest

from clients import Http, Sse, Ws, problem
from conftest import BINARY, ROOT, free_port, until
from systems import (DEBIAN_PATH, EXAMPLES, ended, model, read_until, server, start, text_of,  # pylint: disable=unused-import
                     user, viewer)

PROPOSAL = {"project_id": "demo", "proposal_id": "7"}
LOOKS_ON = {"subscribe": ["projects/demo/**"]}


# --- the server itself ---------------------------------------------------------------------------------------------


def dev(directory, *options, env=None, program=BINARY):
    port = free_port()
    with open(directory / "out", "wb") as out:
        process = subprocess.Popen([program, "dev", "--listen", f"127.0.0.1:{port}", "--data", str(directory / "data"), *options],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=directory,
                                   env={**os.environ, "PATH": DEBIAN_PATH, **(env or {})})
    return process, port, lambda: (directory / "out").read_text()


def children_of(pid):
    return [int(child) for task in os.listdir(f"/proc/{pid}/task")
            for child in open(f"/proc/{pid}/task/{task}/children", encoding="ascii").read().split()]


def cmdline_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def test_it_says_what_there_is_and_the_imitation_ends_with_it(tmp_path):
    process, port, said = dev(tmp_path, "--examples", str(EXAMPLES))
    try:
        until(lambda: "generate" in said() or process.poll() is not None, "it has said all")
        assert f"from {EXAMPLES} (" in said()
        assert "The language model is an imitation" in said() and '"kind":"journal"' in said()
        imitation = [pid for pid in children_of(process.pid) if "imitation_llm.py" in cmdline_of(pid)]
        assert len(imitation) == 1
        tokens = dict(re.findall(r"export (\w+)=(\S+)", said()))

        class Here:
            url, port = None, None
        Here.url, Here.port = f"http://127.0.0.1:{port}", port
        ann, bob, root = (Http(Here, tokens[name]) for name in ("ANN", "BOB", "ROOT"))
        ann.publish("projects/demo", {"text": "hi"})
        assert problem(bob.post({"topic": "projects/demo", "type": "t"})) == (403, "forbidden")
        assert bob.page("projects/demo")["events"][0]["data"] == {"text": "hi"}
        assert problem(bob.call("GET", params={"topic": "audit/**"})) == (403, "forbidden")
        assert root.page("audit/**")["events"]
    finally:
        process.kill()
        process.wait(20)
    until(lambda: not any("imitation_llm.py" in cmdline_of(pid) for pid in imitation), "the imitation has ended")


def test_examples_beside_the_program_are_named_as_one_would(tmp_path):
    place = tmp_path / "clone"
    (place / "build/release").mkdir(parents=True)
    (place / "examples").symlink_to(EXAMPLES)
    shutil.copy(BINARY, place / "build/release/tidings")
    (tmp_path / "run").mkdir()
    process, _, said = dev(tmp_path / "run", program=str(place / "build/release/tidings"))
    until(lambda: "generate" in said() or process.poll() is not None, "it has said all")
    process.kill()
    process.wait(20)
    assert f"from {place}/examples (" in said()


def test_without_examples_without_python_and_with_half_a_model(tmp_path):
    process, _, said = dev(tmp_path, "--examples", "none")
    until(lambda: "Tidings listens" in said(), "it listens")
    process.kill()
    process.wait(20)
    assert "Jobs to try" not in said()
    process, _, said = dev(tmp_path, "--examples", str(EXAMPLES), env={"PATH": str(tmp_path)})
    until(lambda: "Tidings listens" in said(), "it listens")
    process.kill()
    process.wait(20)
    assert "python3 is not installed" in said() and "Jobs to try" not in said()
    process, _, said = dev(tmp_path, "--examples", str(tmp_path))
    assert process.wait(20) == 1 and "has no dev.yaml" in said()
    process, _, said = dev(tmp_path, "--examples", str(EXAMPLES), env={"TIDINGS_LLM_URL": "http://127.0.0.1:1/v1"})
    assert process.wait(20) == 1 and "TIDINGS_LLM_MODEL" in said()


# --- proposals -----------------------------------------------------------------------------------------------------


def test_a_validation_is_told_line_by_line_to_all(server):
    ann = user(server, "ann")
    with viewer(server, "/ws/projects/demo", "bob", **LOOKS_ON) as bob, \
            Sse(server, "", server.token(sub="carl", **LOOKS_ON), path="/api/v1/proposals/7/events") as carl:
        bob.until("caught_up")
        carl.until("caught_up")
        job = start(ann, "validate", params={**PROPOSAL, "path": "drafts"})
        events = read_until(bob, "validation_complete")
        assert carl.receive_events(len(events)) == events
    first, *lines, last = events
    assert first["type"] == "validation_start" and first["proposal_id"] == "7" and first["job_id"] == job["job_id"]
    assert all(line["type"] == "output" and line["event_id"] and line["timestamp"] for line in lines)
    assert [line["line"] for line in lines if line["stream"] == "stdout"] == [
        "drafts/discount.py: 1 found", "drafts/prices.json: 1 found", "2 files checked, 2 faults found"]
    assert [line["line"].split(":")[0] for line in lines if line["stream"] == "stderr"] == ["drafts/discount.py", "drafts/prices.json"]
    assert last["status"] == "failed" and last["summary"] == "2 files checked, 2 faults found"
    assert ended(ann, start(ann, "validate", params=PROPOSAL)["job_id"])["state"] == "done"
    passed = [event for event in server.events("projects/demo/proposals/7") if event["type"] == "validation_complete"][-1]
    assert passed["data"]["status"] == "passed"


def test_a_validation_that_can_not_be_is_an_error_with_advice(server):
    ann = user(server, "ann")
    with viewer(server, "/ws/projects/demo", "ann") as watcher:
        watcher.until("caught_up")
        start(ann, "validate", params={**PROPOSAL, "path": "nothing.py"})
        error = read_until(watcher, "validation_error")[-1]
    assert "there is no such file" in error["error"] and error["code"] == "no_such_file" and error["suggested_actions"]
    assert problem(ann.call("POST", "/api/v1/jobs", json={"kind": "validate", "params": {**PROPOSAL, "path": "../etc;rm"}}))[0] == 400
    assert problem(ann.call("POST", "/api/v1/jobs", json={"kind": "validate", "params": {"project_id": "demo"}}))[0] == 400
    bob = user(server, "bob", **LOOKS_ON)
    assert problem(bob.call("POST", "/api/v1/jobs", json={"kind": "validate", "params": PROPOSAL})) == (403, "forbidden")


def test_an_iteration_changes_the_files_of_a_copy_and_checks_them(server):
    before = (EXAMPLES / "demo/src/till.py").read_text()
    with viewer(server, "/ws/projects/demo", "ann") as ann:
        ann.until("caught_up")
        ann.send("start", kind="iterate", request_id="i1", ref=1,
                 params={"proposal_id": "7", "instruction": "Replace `gross` by `with_tax`"})
        events = read_until(ann, "iteration_complete")
    first, *tokens, last = events
    assert first["type"] == "iteration_start" and first["proposal_id"] == "7" and first["job_id"]
    assert {event["type"] for event in tokens} == {"token"} and "with_tax" in text_of(tokens)
    assert last["files_modified"] == ["src/till.py"]
    assert last["validation"]["status"] == "passed" and last["validation"]["summary"] == "1 file checked, nothing found"
    changed = (server.data / "work/projects/demo/proposals/7/files/src/till.py").read_text()
    assert changed == re.sub(r"\bgross\b", "with_tax", before)
    assert (EXAMPLES / "demo/src/till.py").read_text() == before
    assert not list(EXAMPLES.rglob("__pycache__"))


@pytest.mark.options("--llm.model", "imitation@0.2")
def test_a_cancelled_iteration_closes_the_upstream_and_everyone_sees_it(server, model):
    ann = user(server, "ann")
    with viewer(server, "/ws/projects/demo", "ann") as one, viewer(server, "/ws/projects/demo", "bob", **LOOKS_ON) as other:
        one.until("caught_up")
        other.until("caught_up")
        job = start(ann, "iterate", params={**PROPOSAL, "instruction": "Say more"})
        read_until(one, "token")
        one.send("cancel", proposal_id="7", ref="c")
        told = one.until("cancelling")
        assert told["job_id"] == job["job_id"] and told["ref"] == "c"
        seen = [event for event in one.skipped if event["type"] == "iteration_cancelled"] or [
            read_until(one, "iteration_cancelled")[-1]]
        assert seen[0]["job_id"] == job["job_id"]
        assert read_until(other, "iteration_cancelled")[-1] == seen[0]
    assert ended(ann, job["job_id"])["state"] == "cancelled"
    until(lambda: model.stats()["closed_early"] == 1 and model.stats()["active"] == 0, "the upstream request is closed")
    assert ann.call("POST", f"/api/v1/jobs/{job['job_id']}/cancel").status_code == 202


@pytest.mark.options("--llm.model", "imitation-fails")
def test_an_iteration_whose_model_fails_is_an_error(server):
    ann = user(server, "ann")
    with viewer(server, "/ws/projects/demo", "ann") as watcher:
        watcher.until("caught_up")
        start(ann, "iterate", params={**PROPOSAL, "instruction": "Say more"})
        error = read_until(watcher, "iteration_error")[-1]
    assert error["code"] == "upstream_error" and error["error"] and error["status"] == "failed"


# --- prompts -------------------------------------------------------------------------------------------------------


def test_prompts_are_enhanced_at_once_and_a_lost_connection_misses_nothing(server):
    requests = {f"r{i}": f"Write a till for shop {i}." for i in range(4)}
    with viewer(server, "/ws/enhance", "ann") as ann:
        session = ann.until("connection")["session"]
        position = ann.until("caught_up")["position"]
        for request_id, text in requests.items():
            ann.send("start", kind="enhance", request_id=request_id, params={"text": text}, ref=request_id)
        seen = ann.receive_events(5)
    position = seen[-1]["event_id"]
    with viewer(server, f"/ws/enhance?session={session}&since={position}", "ann") as again:
        missed, done = [], {event["request_id"] for event in seen if event["type"] == "completed"}
        while done != set(requests):
            missed += again.receive_events(1)
            if missed[-1]["type"] == "completed":
                done.add(missed[-1]["request_id"])
        again.send("start", kind="enhance", request_id="r0", params={"text": requests["r0"]}, ref="again")
        same = again.until("started")["job_id"]
    for request_id in requests:
        events = [event for event in seen + missed if event["request_id"] == request_id]
        assert events[0]["type"] == "status" and events[-1]["type"] == "completed"
        assert text_of([event for event in events if event["type"] == "partial"]) == events[-1]["result"]["text"]
        assert len({event["job_id"] for event in events}) == 1
        assert len({event["event_id"] for event in events}) == len(events)
    assert same == next(event["job_id"] for event in seen + missed if event["request_id"] == "r0")
    with viewer(server, f"/ws/enhance?session={session}&since=earliest", "bob") as bob:
        bob.until("caught_up")
        assert bob.skipped[1:] == [], "another user's session is another session"


# --- journals ------------------------------------------------------------------------------------------------------


def test_a_journal_is_seen_by_its_owner_viewers_and_admins_alone(server):
    ann = user(server, "ann")
    job_id = start(ann, "journal", params={"pages": 3000}, viewers=["bob"])["job_id"]
    watchers = [viewer(server, f"/ws/job/{job_id}", sub, **more)
                for sub, more in (("ann", {}), ("bob", {}), ("root", {"roles": ["admin"]}))]
    for watcher in watchers:
        events = read_until(watcher, "completed", "error")
        progress = [event["progress"] for event in events]
        assert progress == sorted(progress) and progress[-1] == 100
        assert all(event["job_id"] == job_id and event["status"] for event in events)
        assert all(event["step"]["count"] == 3 for event in events)
        assert events[-1]["type"] == "completed" and events[-1]["result"]["pages"] == 3000
        assert len(events) < 200, "3,000 pages are told with a bound"
        watcher.socket.close()
    with viewer(server, f"/ws/job/{job_id}", "carl") as carl, viewer(server, f"/ws/job/{'0' * 32}", "carl") as nobody:
        assert carl.closed() == nobody.closed()
        assert carl.close_code == 4004
    assert problem(user(server, "carl").call("GET", f"/api/v1/jobs/{job_id}")) == (404, "not_found")


def test_a_journal_goes_on_without_viewers_and_says_what_to_do_when_it_fails(server):
    ann = user(server, "ann")
    job = ended(ann, start(ann, "journal", params={"pages": 20, "title": "Till"})["job_id"])
    whole = open(job["result"]["file"], encoding="utf-8").read()
    assert whole.startswith("# Till\n") and whole.count("\n## ") == 20
    with viewer(server, f"/ws/job/{job['job_id']}", "ann") as late:
        assert late.receive_events(1)[0]["result"] == job["result"]
    failed = ended(ann, start(ann, "journal", params={"source": "nowhere"})["job_id"])
    with viewer(server, f"/ws/job/{failed['job_id']}", "ann") as late:
        error = late.receive_events(1)[0]
    assert error["type"] == "error" and error["error"] == "There is no directory nowhere to write about."
    assert "drafts" in error["details"] and len(error["suggested_actions"]) == 2


@pytest.mark.options("--jobs.owner_unfinished", "1", "--llm.model", "imitation-silent")
def test_refusals_have_a_code_and_a_sentence(server):
    ann = user(server, "ann")
    start(ann, "enhance", session="s", params={"text": "wait"})
    more = ann.call("POST", "/api/v1/jobs", json={"kind": "journal"})
    assert problem(more) == (429, "rate_limited") and int(more.headers["Retry-After"]) > 0
    assert problem(ann.call("POST", "/api/v1/jobs", json={"kind": "no-such"}))[0] == 400
    assert problem(ann.call("POST", "/api/v1/jobs", json={"kind": "iterate-ask", "params": {"instruction": "x"}}))[0] == 400
    for path in ("/ws/projects/demo", "/ws/enhance", "/ws/job/x", "/api/ws/projects/demo"):
        with Ws(server, path) as nobody:
            code, reason = nobody.closed()
            assert code == 4001 and reason.startswith("Unauthorized:"), path
    with viewer(server, "/ws/projects/demo", "bob", subscribe=["projects/other/**"]) as bob:
        assert bob.closed()[0] == 4003
    with viewer(server, "/ws/enhance", "bob") as bob:
        bob.until("caught_up")
        bob.send("start", kind="enhance", params={"wrong": 1}, ref=1)
        error = bob.until("command_error")
        assert error["code"] == "bad_request" and "wrong" in error["message"] and error["ref"] == 1
