# SPDX-License-Identifier: Apache-2.0
"""The conformance vectors (tests/vectors) that concern what the server sends; clients run the same."""
import json
import pathlib

import pytest

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors"


def cases(name):
    return [pytest.param(case, id=case["name"]) for case in json.loads((VECTORS / f"{name}.json").read_text())]


def renamed(value, old, new):
    """The same value with texts replaced, members in their order."""
    if isinstance(value, dict):
        return {name: renamed(member, old, new) for name, member in value.items()}
    return new if value == old else value


@pytest.mark.parametrize("case", cases("formats"))
def test_an_event_reads_so_in_each_format(case, http):
    publish = case["publish"]
    published = http.publish(publish["topic"], **{name: value for name, value in publish.items() if name != "topic"})
    stored = http.page(publish["topic"], since="earliest")["events"][0]
    assert stored["id"] == published
    for format in ("event", "flat", "entity"):
        [event] = http.page(publish["topic"], since="earliest", format=format)["events"]
        event = renamed(renamed(event, published, case["event"]["id"]), stored["time"], case["event"]["time"])
        assert json.dumps(event) == json.dumps(case[format]), format
