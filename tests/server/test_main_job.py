# SPDX-License-Identifier: Apache-2.0
"""The main job: a chatty command under `tidings run`, watched by `tidings tail` and by curl, while the server is killed
and started again.  Everybody holds every line once."""
import json
import re
import signal

from conftest import until

LINES = 3000
# Chatty for about four seconds, so that the kills fall into the middle.
SCRIPT = f"""
i=0
while [ $i -lt {LINES} ]; do
    i=$((i+1)); echo "line $i"
    [ $((i % 50)) -ne 0 ] || sleep 0.06
done
"""
EXPECTED = [f"line {n}" for n in range(1, LINES + 1)]


def sse_blocks(text):
    """The whole blocks of an event stream; what a killed server left unfinished does not count."""
    return [dict(re.findall(r"^(\w+): ?(.*)$", block, re.M)) for block in text.split("\n\n")[:-1]]


def sse_last_id(text):
    return [b["id"] for b in sse_blocks(text) if "id" in b][-1]


def sse_output(texts):
    return [json.loads(b["data"])["data"]["line"] for text in texts for b in sse_blocks(text)
            if b.get("event") == "output"]


class Curl:
    """curl -N; it does not resume by itself, so each connection is a new one with Last-Event-ID."""

    def __init__(self, server, token):
        self.server, self.token, self.processes = server, token, []

    def connect(self):
        argv = ["curl", "-sN", "--noproxy", "*", f"{self.server.url}/api/v1/events?topic=runs/**",
                "-H", f"Authorization: Bearer {self.token}", "-H", "Accept: text/event-stream"]
        if self.processes:
            argv += ["-H", f"Last-Event-ID: {sse_last_id(self.processes[-1].out())}"]
        name = f"curl{len(self.processes)}"
        self.processes.append(self.server.spawn_other(argv, name=name, token=self.token))
        until(lambda: "caught_up" in self.processes[-1].out(), "curl is connected")

    def output(self):
        return sse_output([p.out() for p in self.processes])


def test_everybody_holds_every_line_once_over_kills(server):
    token = server.token()
    tail = server.spawn("tail", "**", "--format", "json", name="tail", token=token)
    curl = Curl(server, token)
    curl.connect()
    until(lambda: "connected" in tail.err(), "tail is connected")
    run = server.spawn("run", "--id", "main", "--", "sh", "-c", SCRIPT, name="run", token=token)

    for reached in (LINES // 4, LINES // 2):
        until(lambda: len(curl.output()) >= reached, f"{reached} lines have come")
        assert run.process.poll() is None, "the kill is to fall into the middle"
        server.restart()
        curl.processes[-1].wait()
        curl.connect()

    assert run.wait(60) == 0, run.err()
    assert run.lines() == EXPECTED

    def tailed():
        return [json.loads(line) for line in tail.lines()]

    until(lambda: "exited" in tail.out(), "tail has the end")
    # A fast command may have ended before the last kill; then an earlier curl has the end.
    until(lambda: any("event: exited" in process.out() for process in curl.processes),
          "curl has the end")
    tail.signal(signal.SIGINT)
    assert tail.wait() == 0
    assert [e["type"] for e in tailed()] == ["started"] + ["output"] * LINES + ["exited"]
    assert [e["data"]["line"] for e in tailed() if e["type"] == "output"] == EXPECTED
    assert curl.output() == EXPECTED
    assert [e["data"]["line"] for e in server.events("runs/ann/main")
            if e["type"] == "output"] == EXPECTED
