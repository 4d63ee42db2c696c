# SPDX-License-Identifier: Apache-2.0
"""The conformance vectors of tests/vectors, which the server and the other clients run too."""
import dataclasses
import json
import pathlib

import pytest

from tidings import backoff, topics
from tidings.eventstream import EventStreamParser
from tidings.merge import merge
from tidings.text import Text

VECTORS = pathlib.Path(__file__).resolve().parents[3] / "tests" / "vectors"


def cases(name):
    found = json.loads((VECTORS / f"{name}.json").read_text())
    assert found
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in found])


@cases("match")
def test_match(case):
    if "match" in case:
        assert topics.is_pattern(case["pattern"]) and topics.is_topic(case["topic"])
        assert topics.matches(case["pattern"], case["topic"]) == case["match"]
    elif "topic" in case:
        assert topics.is_topic(case["topic"]) == case["valid"]
    else:
        assert topics.is_pattern(case["pattern"]) == case["valid"]


@pytest.mark.parametrize("split", ["as given", "byte by byte", "at once"])
@cases("eventstream")
def test_eventstream(case, split):
    chunks = [chunk.encode() if isinstance(chunk, str) else bytes.fromhex(chunk["hex"]) for chunk in case["chunks"]]
    if split == "byte by byte":
        chunks = [bytes([byte]) for byte in b"".join(chunks)]
    elif split == "at once":
        chunks = [b"".join(chunks)]
    parser = EventStreamParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    assert [{"type": e.type, "data": e.data, "lastEventId": e.last_event_id} for e in events] == case["events"]
    assert (parser.last_event_id, parser.retry_ms) == (case["lastEventId"], case["retry"])


@cases("append")
def test_append(case):
    text = Text()
    for step in case["steps"]:
        text.put(step["data"])
        assert (str(text), text.start, text.end) == (step["text"], step["start"], step["end"])


@cases("backoff")
def test_backoff(case):
    profile = case["profile"]
    if isinstance(profile, str):
        profile = getattr(backoff, profile.upper())
    else:
        profile = backoff.Profile(
            profile["base_ms"] / 1000, profile["factor"], profile["max_ms"] / 1000, profile.get("attempts")
        )
    tries = backoff.Backoff(dataclasses.replace(profile, jitter=case["jitter"]))
    for step in case["steps"]:
        delay = tries.delay(step.get("connected_s", 0), step.get("retry_after"))
        assert (None if delay is None else round(delay * 1000)) == step["delay_ms"]


def test_jitter_comes_after_the_cap():
    for jitter, least in (("equal", 15), ("full", 0)):
        tries = backoff.Backoff(dataclasses.replace(backoff.STEADY, jitter=jitter))
        delays = [tries.delay() for _ in range(200)][10:]
        assert all(least <= delay <= 30 for delay in delays) and len(set(delays)) > 100


@cases("close")
def test_close(case):
    given = case.get("given_retry_after")
    after = backoff.after_close(case["code"], given) if "code" in case else backoff.after_status(case["status"], given)
    assert after == backoff.After(case["action"], case.get("retry_after"), case.get("slow", False))


@cases("merge")
def test_merge(case):
    merged = merge(case["base"], case["mine"], case["theirs"])
    assert dataclasses.asdict(merged) == {name: case[name] for name in ("conflict", "remote", "both", "merged")}
