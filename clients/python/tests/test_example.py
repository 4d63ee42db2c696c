# SPDX-License-Identifier: Apache-2.0
"""examples/fastapi, as its README says to start it."""
import os
import subprocess
import sys

import httpx
import pytest

from conftest import ROOT, served, until
from tidings import CaughtUp, Text, Tidings

EXAMPLE = ROOT / "examples" / "fastapi"


@pytest.fixture
def kinds():
    return (EXAMPLE / "tidings.yaml").read_text()


@pytest.fixture
def backend(server, tmp_path):
    """Where it listens."""
    port = served.free_port()
    env = {
        **os.environ,
        "TIDINGS_URL": server.url,
        "TIDINGS_TOKEN": server.token("backend"),
        "PYTHONPATH": str(ROOT / "clients/python/src"),
    }
    argv = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLE), "--port", str(port), "app:app"]
    with open(tmp_path / "backend.log", "wb") as log:
        process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=tmp_path)

    def is_ready():
        assert process.poll() is None, (tmp_path / "backend.log").read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/openapi.json", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        until(is_ready, "the backend is ready")
        yield httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
    finally:
        process.terminate()
        process.wait(20)


def test_a_change_is_seen_and_a_report_is_watched(server, client, backend):
    with client.subscribe("entities/records/*", caught_up=True) as changes:
        assert isinstance(next(changes), CaughtUp)
        told = backend.put("/records/7", json={"title": "Seven"}).json()
        made = next(changes)
        assert (made.id, made.type, made.actor) == (told["event_id"], "ENTITY_CREATED", "backend")
        backend.put("/records/7", json={"title": "Sieben"})
        assert next(changes).data == {"payload": {"title": "Sieben"}, "version": 2}
    answer = backend.post("/reports")
    assert answer.status_code == 202
    with Tidings(server.url, server.token("root", roles=["admin"])) as admin:
        job = admin.jobs.wait(answer.json()["job_id"], timeout=20)
        assert (job.state, job.result, job.progress) == ("done", {"records": 1}, 100)
    text = Text()
    for event in server.events(f"reports/{job.id}"):
        if event["type"] == "text":
            text.put(event["data"])
    assert str(text) == "7: Sieben\n"


def test_what_could_not_be_told_did_not_happen(server, backend):
    server.kill9()
    answer = backend.put("/records/7", json={"title": "Seven"})
    assert answer.status_code == 503 and answer.json()["code"] == "connection_failed"
    server.start()
    assert backend.put("/records/7", json={"title": "Seven"}).status_code == 200
    [event] = server.events("entities/records/7")
    assert event["type"] == "ENTITY_CREATED"
