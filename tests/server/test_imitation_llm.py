# SPDX-License-Identifier: Apache-2.0
"""examples/imitation_llm.py: what the examples and tests lean on, seen by clients that know OpenAI's format."""
import json
import re
import socket
import subprocess
import sys

import httpx
import pytest
import requests

from conftest import ROOT, until

SCRIPT = ROOT / "examples" / "imitation_llm.py"


class Imitation:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([sys.executable, str(SCRIPT), *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def ask(self, prompt, **more):
        body = {"model": "imitation", "messages": [{"role": "user", "content": prompt}], **more}
        return requests.post(self.url + "/chat/completions", json=body, timeout=20)

    def text(self, prompt, **more):
        return self.ask(prompt, **more).json()["choices"][0]["message"]["content"]

    def stats(self):
        return requests.get(self.url.removesuffix("/v1") + "/stats", timeout=20).json()

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(20)


@pytest.fixture
def imitation():
    server = Imitation("--delay", "0")
    yield server
    server.end()


def chunks_of(response):
    """The data of each event: no other lines may be in between."""
    events = response.content.decode().split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [event.removeprefix("data: ") for event in events]


def test_the_first_line_is_the_url_and_the_end_of_input_the_end():
    server = Imitation("--port", "0")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", server.url)
    assert requests.get(server.url + "/models", timeout=20).json()["data"][0]["id"] == "imitation"
    assert server.end() == 0


def test_a_stream_has_the_shape_of_openais(imitation):
    response = imitation.ask("Tell me about ships. Ships sail.", stream=True, stream_options={"include_usage": True})
    assert response.headers["content-type"] == "text/event-stream"
    *chunks, usage, done = chunks_of(response)
    chunks = [json.loads(chunk) for chunk in chunks]
    assert done == "[DONE]"
    assert json.loads(usage)["choices"] == [] and json.loads(usage)["usage"]["completion_tokens"] == len(chunks) - 2
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == imitation.text("Tell me about ships. Ships sail.")
    assert "imitation" in text and "Ships sail." in text


def test_max_tokens_ends_it(imitation):
    answer = imitation.ask("Tell me about ships.", max_tokens=3).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 3


def test_a_prompt_is_enhanced(imitation):
    text = imitation.text("Enhance this prompt: write about whales. For children of six.")
    assert "imitation" in text
    assert "## Goal\n\nwrite about whales.\n" in text
    assert "- For children of six." in text
    assert "**whales**" in text
    text = imitation.text("Make this prompt clearer, and answer with it alone:\nA prompt: about cats")
    assert "## Goal\n\nA prompt: about cats\n" in text


FILES = """Rename `total` to `sum_of`.

File: src/count.py
```python
def total(values):
    return sum(values)  # totals
```

File: notes.md
```
# Notes
```
"""


def test_files_are_changed_as_asked(imitation):
    text = imitation.text(FILES)
    assert "imitation" in text
    answer = json.loads(re.search(r"```json\n(.*)\n```", text, re.DOTALL).group(1))
    files = {file["path"]: file["content"] for file in answer["files"]}
    assert files["src/count.py"] == "def sum_of(values):\n    return sum(values)  # totals\n"
    assert files["notes.md"].startswith("<!-- Revision 1: ") and files["notes.md"].endswith("-->\n# Notes\n")
    # Again, on what came of it: it changes again.
    again = imitation.text("Go on.\n\n" + json.dumps({"files": answer["files"]}), response_format={"type": "json_object"})
    files = {file["path"]: file["content"] for file in json.loads(again)["files"]}
    assert "imitation" in json.loads(again)["note"]
    assert files["src/count.py"] == "# Revision 1: Go on.\ndef sum_of(values):\n    return sum(values)  # totals\n"
    assert files["notes.md"] == "<!-- Revision 2: Go on. -->\n# Notes\n"


def test_it_tells_who_closed_early(imitation):
    body = {"model": "imitation@0.05", "stream": True, "messages": [{"role": "user", "content": "Tell me about ships."}]}
    with httpx.stream("POST", imitation.url + "/chat/completions", json=body, timeout=20) as response:
        lines = response.iter_lines()
        assert next(lines).startswith("data: ")
        assert imitation.stats()["active"] == 1
    until(lambda: imitation.stats()["closed_early"] == 1, "the closed connection is counted")
    assert imitation.stats() == {"requests": 1, "streams": 1, "finished": 0, "closed_early": 1, "active": 0,
                                 "tokens": imitation.stats()["tokens"]}


def test_models_that_misbehave(imitation):
    assert imitation.ask("x", model="imitation-busy").status_code == 503
    assert imitation.ask("x", model="imitation-busy").headers["retry-after"] == "1"
    assert imitation.ask("x", model="other").json()["error"]["code"] == "model_not_found"
    cut = chunks_of(imitation.ask("x", model="imitation-cut", stream=True))
    assert "[DONE]" not in cut and all('"finish_reason": null' in chunk for chunk in cut)
    fails = chunks_of(imitation.ask("x", model="imitation-fails", stream=True))
    assert json.loads(fails[-1])["error"]["type"] == "server_error"
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(imitation.url + "/chat/completions", timeout=0.2,
                      json={"model": "imitation-silent", "messages": [{"role": "user", "content": "x"}]})
    until(lambda: imitation.stats()["closed_early"] == 1, "the silent one is closed")


def test_bad_requests_are_refused(imitation):
    url = imitation.url + "/chat/completions"
    for body in (b"", b"[]", b"{}", b'{"model":1,"messages":[]}', b'{"model":"imitation","messages":"x"}', b"\xff"):
        assert requests.post(url, data=body, timeout=20).status_code == 400
    assert requests.post(imitation.url + "/other", data=b"{}", timeout=20).status_code == 404
    assert requests.get(imitation.url + "/other", timeout=20).status_code == 404
    host, port = imitation.url.removeprefix("http://").removesuffix("/v1").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert raw.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_key_can_be_asked_for():
    server = Imitation("--key", "sk-1")
    assert server.ask("x").json()["error"]["code"] == "invalid_api_key"
    answer = requests.post(server.url + "/chat/completions", timeout=20, headers={"Authorization": "Bearer sk-1"},
                           json={"model": "imitation@0", "messages": [{"role": "user", "content": "x"}]})
    assert answer.status_code == 200
    server.end()
