# SPDX-License-Identifier: Apache-2.0
"""Jobs that ask a language model: its words as they come, resumed, late, cancelled, and what goes wrong."""
import http.server
import json
import threading

import pytest

from clients import Ws
from conftest import Server, until
from systems import user
from test_imitation_llm import Imitation
from test_jobs import ended, get, start, told

KINDS = """
jobs:
  kinds:
    - name: enhance
      runner: llm
      who: any
      params: ["text=.+"]
      topic: enhance/{sub}/{session}
      events: [status=status, progress=progress, text=partial, complete=completed, error=error, cancelled=cancelled]
      url: %(url)s
      model: imitation
      prompt: "Please enhance this: {text}"
    - name: iterate
      runner: llm
      params: ["project_id=[a-z0-9]+", "proposal_id=[a-z0-9]+"]
      topic: projects/{project_id}/proposals/{proposal_id}
      events: [start=iteration_start, text=token, complete=iteration_complete, error=iteration_error, cancelled=iteration_cancelled]
      carry: [proposal_id]
      url: %(url)s
      model: imitation@0.05
      prompt: "An outline of what {proposal_id} is about, with many words in it, one after the other"
    - {name: fails, runner: llm, who: any, url: %(url)s, model: imitation-fails, prompt: x}
    - {name: silent, runner: llm, who: any, url: %(url)s, model: imitation-silent, prompt: x}
    - {name: away, runner: llm, who: any, url: "http://127.0.0.1:9/v1", model: imitation, prompt: x, time: 1s}
"""


@pytest.fixture
def imitation():
    upstream = Imitation("--delay", "0.005")
    yield upstream
    upstream.end()


@pytest.fixture
def server(tmp_path, imitation):
    config = tmp_path / "jobs.yaml"
    config.write_text(KINDS % {"url": imitation.url})
    server = Server(tmp_path, ["--config", str(config)])
    try:
        server.start()
        yield server
    finally:
        if server.process and server.process.poll() is None:
            server.kill9()


def take(ws, end):
    """The text of a stream of pieces up to its end, and that message."""
    text = ""
    while True:
        message = ws.receive()
        if message.get("control"):
            continue
        if message["type"] in ("partial", "token"):
            assert message["offset"] in (0, len(text.encode()))
            text = text[:message["offset"]] + message["content"]
        elif message["type"] in end:
            return text, message


def test_an_enhancement_comes_word_by_word(server):
    with Ws(server, "/ws/enhance?session=s1", server.token()) as ws:
        ws.until("caught_up")
        ws.send("start", kind="enhance", request_id="r1", params={"text": "cats"})
        text, end = take(ws, ["completed"])
        assert end["request_id"] == "r1" and text == end["result"]["text"] and "cats" in text
        assert end["text"] == text  # members of the result are members of the message
        pieces = [data for type, data in told(server, "enhance/ann/s1") if type == "partial"]
        assert len(pieces) > 3 and all(piece["request_id"] == "r1" and piece["job_id"] for piece in pieces)


def test_a_late_viewer_gets_the_text_so_far_and_then_the_tail(server, http):
    job = start(http, "iterate", {"project_id": "p1", "proposal_id": "7"})
    with Ws(server, "/ws/projects/p1", server.token("bob")) as first:
        first.until("token")
        first.until("token")
        with Ws(server, "/ws/projects/p1", server.token("bob")) as late:
            text, end = take(late, ["iteration_complete"])
    assert end["job_id"] == job["job_id"] and end["proposal_id"] == "7"
    assert text == ended(http, job["job_id"])["result"]["text"]
    # What has ended is no state of the topic.
    assert http.page("projects/**", state=1, limit=1)["state"] == []


def test_cancel_closes_the_upstream_request(server, http, imitation):
    viewers = [Ws(server, "/ws/projects/p1", server.token(sub)) for sub in ("bob", "carl")]
    job = start(http, "iterate", {"project_id": "p1", "proposal_id": "7"})
    for ws in viewers:
        ws.until("token")
    with Ws(server, "/ws/projects/p1", server.token()) as ws:
        ws.send("cancel", proposal_id="7")
        assert ws.until("cancelling")["job_id"] == job["job_id"]
    for ws in viewers:
        assert ws.until("iteration_cancelled")["job_id"] == job["job_id"]
        ws.__exit__(None, None, None)
    until(lambda: imitation.stats()["closed_early"] == 1, "the upstream sees its client gone")
    assert get(http, job["job_id"])["state"] == "cancelled"


def test_what_goes_wrong_upstream_is_told(server, http):
    for kind, codes in (("fails", {"upstream_error"}), ("away", {"upstream_refused", "timeout", "upstream_timeout"})):
        job = ended(http, start(http, kind)["job_id"])
        assert job["state"] == "failed" and job["error"]["code"] in codes, job
        assert job["error"]["message"] and job["error"]["suggested_actions"]


def test_a_silent_upstream_can_be_cancelled(server, http, imitation):
    job = start(http, "silent")
    until(lambda: imitation.stats()["requests"] == 1, "it was asked")
    http.call("POST", f"/api/v1/jobs/{job['job_id']}/cancel")
    assert ended(http, job["job_id"])["state"] == "cancelled"


def test_an_enhancement_goes_on_while_nobody_looks(server):
    with Ws(server, "/ws/enhance?session=s1", server.token()) as ws:
        ws.until("caught_up")
        ws.send("start", kind="enhance", request_id="r1", params={"text": "dogs"})
        since = ws.until("partial")["event_id"]
    until(lambda: [1 for type, _ in told(server, "enhance/ann/s1") if type == "completed"], "it ends")
    with Ws(server, f"/ws/enhance?session=s1&since={since}", server.token()) as ws:
        assert ws.until("completed")["request_id"] == "r1"


class Once(http.server.BaseHTTPRequestHandler):
    """An upstream that is busy the first time, and keeps what it was asked."""
    asked = []

    def do_POST(self):
        self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(503 if len(self.asked) == 1 else 200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if len(self.asked) > 1:
            self.wfile.write(b'data: {"choices":[{"delta":{"content":"yes"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("retries, state", [(0, "failed"), (1, "done")])
def test_a_kind_says_what_is_sent_and_how_often(tmp_path, retries, state):
    Once.asked = []
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Once)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    config = tmp_path / "jobs.yaml"
    config.write_text(f"""
jobs:
  kinds:
    - {{name: ask, runner: llm, who: any, url: "http://127.0.0.1:{upstream.server_port}/v1", model: m, prompt: x, temperature: 0.25,
       max_tokens: 7, extra: '{{"top_p":0.5,"stop":["."]}}', retries: {retries}, retry_delay: 10ms}}
""")
    server = Server(tmp_path, ["--config", str(config)])
    try:
        server.start()
        ann = user(server, "ann")
        job = ended(ann, start(ann, "ask")["job_id"])
        assert job["state"] == state and len(Once.asked) == retries + 1
        assert (job["result"]["text"] == "yes") if retries else (job["error"]["code"] == "upstream_error")
        for body in Once.asked:
            assert {name: body[name] for name in ("model", "temperature", "max_tokens", "top_p", "stop")} == {
                "model": "m", "temperature": 0.25, "max_tokens": 7, "top_p": 0.5, "stop": ["."]}
    finally:
        server.kill9()
        upstream.shutdown()
