# SPDX-License-Identifier: Apache-2.0
"""What the tests of the five systems share: `tidings dev` with its examples, and a model whose answers are counted."""
import subprocess
import sys

import pytest
import requests

from clients import Http, Ws
from conftest import DEADLINE_S, ROOT, Server, until

EXAMPLES = ROOT / "examples"
DEBIAN_PATH = "/usr/bin:/bin"  # the python3 that the examples are run by


class Model:
    """examples/imitation_llm.py, outside of the server."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-B", str(EXAMPLES / "imitation_llm.py"), "--delay", "0"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def stats(self):
        return requests.get(self.url.removesuffix("/v1") + "/stats", timeout=DEADLINE_S).json()

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(DEADLINE_S)


@pytest.fixture
def model():
    model = Model()
    yield model
    model.end()


@pytest.fixture
def server(request, tmp_path, monkeypatch, model):
    """@pytest.mark.options("--name", "value"): more flags, such as another --llm.model."""
    monkeypatch.setenv("PATH", DEBIAN_PATH)
    marker = request.node.get_closest_marker("options")
    server = Server(tmp_path, ["--examples", str(EXAMPLES), "--llm.url", model.url, "--llm.model", "imitation",
                               *(marker.args if marker else ())])
    try:
        server.start()
        yield server
    finally:
        if server.process and server.process.poll() is None:
            server.kill9()


def start(http, kind, status=202, **members):
    answer = http.call("POST", "/api/v1/jobs", json={"kind": kind, **members})
    assert answer.status_code == status, answer.text
    return answer.json()


def ended(http, job_id):
    def look():
        job = http.call("GET", f"/api/v1/jobs/{job_id}").json()
        return job if job["state"] in ("done", "failed", "cancelled") else None
    return until(look, f"job {job_id} has ended")


def read_until(viewer, *types, **members):
    """Events of a WebSocket up to the first of these types, that one too."""
    events = []
    while True:
        events += viewer.receive_events(1)
        if events[-1]["type"] in types and all(events[-1].get(k) == v for k, v in members.items()):
            return events


def text_of(events):
    """A text from its pieces, which have to lie next to each other."""
    text = b""
    for event in events:
        assert event["offset"] == len(text), event
        text += event["content"].encode()
    return text.decode()


def viewer(server, path, sub, **grants):
    return Ws(server, path, token=server.token(sub=sub, **grants))


def user(server, sub, **grants):
    return Http(server, server.token(sub=sub, **grants))
