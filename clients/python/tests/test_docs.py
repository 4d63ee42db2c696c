# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/python.md and of the README run as they stand."""
import re

import pytest

from conftest import ROOT, until

JOURNAL = '{name: journal, who: any, params: ["pages=[0-9]+"], argv: ["true"]}'
REPORT = '{name: report, runner: external, topic: "reports/{job_id}", events: [text=text, log=log, complete=completed]}'


@pytest.fixture
def kinds():
    return f"jobs:\n  kinds:\n    - {JOURNAL}\n    - {REPORT}\n"


@pytest.mark.parametrize("name", ["docs/python.md", "clients/python/README.md"])
def test_the_examples_run(name, kinds, server, monkeypatch, capsys):
    monkeypatch.setenv("TIDINGS_URL", server.url)
    monkeypatch.setenv("TIDINGS_TOKEN", server.token())
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / name).read_text(), re.M | re.S)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(block, name, "exec"), names)
    said = capsys.readouterr().out
    assert "rooms/1 said {'text': 'hello'}" in said
    if name.startswith("docs"):
        assert names["saved"] and names["job"].job.state == "done"
        assert "send along where you write:" in said and "has it for" not in said
        client = names["client"]
        until(lambda: client.jobs.list(kind="journal", state="done"), "the job that was started ends")
