# SPDX-License-Identifier: Apache-2.0
"""/metrics: the Prometheus text format as its specification has it, and numbers that are true."""
import re
import signal
import time

import pytest
import requests

from clients import EVENTS, Http, Raw, Sse, Ws, request
from conftest import DEADLINE_S, until

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z]+="[^"\\\n]*",?)+)\})? (\+?[0-9.eE+-]+)')
LABEL = re.compile(r'([a-z]+)="([^"]*)"')


def scrape(server):
    answer = requests.get(f"{server.url}/metrics", timeout=DEADLINE_S)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(answer.text)


def parse(text):
    """{(name, labels): value} and {family: type}; fails on what the format does not allow."""
    assert text.endswith("\n")
    types, samples, family, helped = {}, {}, None, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, about = line[7:].partition(" ")
            assert NAME.fullmatch(name) and about and name not in helped, line
            helped.add(name)
        elif line.startswith("# TYPE "):
            family, _, type_ = line[7:].partition(" ")
            assert family in helped and family not in types, f"{family}: its lines have to stand together, behind HELP"
            assert type_ in ("counter", "gauge", "histogram"), line
            types[family] = type_
        else:
            match = SAMPLE.fullmatch(line)
            assert match, f"not a sample: {line!r}"
            name, labels = match[1], tuple(sorted(LABEL.findall(match[2] or "")))
            suffix = name[len(family):] if name.startswith(family) else None
            assert suffix in (("_bucket", "_sum", "_count") if types[family] == "histogram" else ("",)), line
            assert (name, labels) not in samples, f"twice: {line}"
            samples[name, labels] = float(match[3])
    assert helped == set(types)
    return samples, types


def value(server, name, **labels):
    return scrape(server)[0][name, tuple(sorted(labels.items()))]


def test_the_format_and_its_conventions(server):
    samples, types = scrape(server)
    for family, type_ in types.items():
        assert family.startswith(("tidings_", "process_"))
        assert family.endswith("_total") == (type_ == "counter"), family
        assert not re.search(r"_(ms|milliseconds|us|ns|kb|mb|minutes)(_|$)", family), f"{family}: not a base unit"
        values = [sample for sample in samples if sample[0].startswith(family)]
        assert values, family
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
            "process_max_fds", "process_start_time_seconds", "tidings_build_info"} <= set(types)


def test_buckets_are_cumulative(server):
    http = Http(server)
    for n in range(20):
        http.publish("a", n)
    samples, types = scrape(server)
    histograms = [family for family, type_ in types.items() if type_ == "histogram"]
    assert sorted(histograms) == ["tidings_delivery_seconds", "tidings_jobs_duration_seconds", "tidings_log_sync_seconds"]
    for family in ("tidings_delivery_seconds", "tidings_log_sync_seconds"):  # no job was run
        buckets = [(float(labels[0][1]), count) for (name, labels), count in samples.items() if name == f"{family}_bucket"]
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
        assert [count for _, count in buckets] == sorted(count for _, count in buckets)
        assert buckets[-1][1] == samples[f"{family}_count", ()] > 0
        assert 0 < samples[f"{family}_sum", ()] < 20 * DEADLINE_S


@pytest.mark.options("--durability", "fast")
def test_delivery_is_timed_where_nothing_is_waited_for(server):
    Http(server).publish("a")
    until(lambda: value(server, "tidings_delivery_seconds_count") == 1, "one was timed")


def test_a_repeat_is_not_timed(server):
    http = Http(server)
    for _ in range(2):
        assert http.post({"topic": "a", "type": "t"}, Idempotency_Key="k").status_code == 201
    before = value(server, "tidings_delivery_seconds_count")
    http.publish("a")
    assert value(server, "tidings_delivery_seconds_count") == before + 1 == 2


def test_connections_by_transport(server):
    token = server.token()
    since = Http(server, token).page("a")["position"]
    poll = request("GET", f"{EVENTS}?topic=a&since={since}&wait=60", token=token)
    with Ws(server, token=token) as ws, Sse(server, "topic=a", token) as stream, Raw(server) as raw, Raw(server) as poller:
        ws.subscribe("a")
        stream.until("caught_up")
        raw.send(request("GET", "/healthz"))
        raw.answer()
        poller.send(poll)
        until(lambda: value(server, "tidings_connections", transport="longpoll") == 1, "the poll waits")
        for transport, n in (("websocket", 1), ("sse", 1), ("longpoll", 1)):
            assert value(server, "tidings_connections", transport=transport) == n
            assert value(server, "tidings_connections_opened_total", transport=transport) == n
        assert value(server, "tidings_connections", transport="http") >= 2  # raw, and the one that asks
        Http(server, token).publish("a")
        assert len(poller.answer().json()["events"]) == 1
        assert value(server, "tidings_connections", transport="longpoll") == 0
        poller.send(poll)  # it left off in the middle of a wait
        until(lambda: value(server, "tidings_connections", transport="longpoll") == 0
              or value(server, "tidings_connections_opened_total", transport="longpoll") == 2, "the second")
    for transport in ("websocket", "sse", "longpoll"):
        until(lambda t=transport: value(server, "tidings_connections", transport=t) == 0, f"{transport}: gone")


def test_closes_by_code(server):
    token = server.token()
    with Ws(server) as ws:
        assert ws.closed()[0] == 4001
    with Ws(server, token=token) as ws:
        ws.frame(8, (1000).to_bytes(2, "big"))
        assert ws.closed()[0] == 1000
    with Ws(server, token=token) as ws:
        ws.frame(8, (4321).to_bytes(2, "big"))
        ws.closed()
    with Ws(server, token=token) as ws:
        ws.until("connection")
    for code in ("4001", "1000", "other", "1006"):
        until(lambda c=code: value(server, "tidings_connections_closed_total", code=c) == 1, code)
    with Raw(server) as raw:
        raw.send(request("GET", "/healthz", "Connection: close"))
        raw.rest()
    until(lambda: value(server, "tidings_connections_closed_total", code="none") >= 1, "none")


def test_refusals_by_reason(server):
    expired = server.token(ttl="1s")
    bad = server.token()[:-4] + "AAAA"
    for token, reason in ((None, "missing"), (bad, "invalid")):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        requests.get(f"{server.url}{EVENTS}?topic=a", headers=headers, timeout=DEADLINE_S)
        assert value(server, "tidings_auth_failures_total", reason=reason) == 1
    until(lambda: requests.get(f"{server.url}{EVENTS}?topic=a", timeout=DEADLINE_S,
                               headers={"Authorization": f"Bearer {expired}"}).status_code == 401, "it has expired")
    assert value(server, "tidings_auth_failures_total", reason="expired") == 1


@pytest.mark.options("--limits.commands_per_second", "1", "--limits.subscriptions", "1",
                     "--limits.message_bytes", "2KiB", "--limits.body_bytes", "4KiB")
def test_limits_by_name(server):
    token = server.token()
    with Ws(server, token=token) as ws:
        ws.send("SUBSCRIBE", topics=["a", "b"])
        ws.until("command_error")
        assert value(server, "tidings_limited_total", limit="subscriptions") == 1
        for _ in range(5):
            ws.send("ping")
        until(lambda: value(server, "tidings_limited_total", limit="commands") >= 3, "commands")
    with Ws(server, token=token) as ws:
        ws.text("x" * 3000)
        assert ws.closed()[0] == 1009
    assert value(server, "tidings_limited_total", limit="message") == 1
    assert Http(server, token).post({"topic": "a", "type": "t", "data": "x" * 5000}).status_code == 413
    assert value(server, "tidings_limited_total", limit="body") == 1


def test_resumes_and_gaps(server):
    token = server.token()
    http = Http(server, token)
    position = http.publish("a")
    http.publish("a")
    other = f"{'1' if position[0] != '1' else '2'}{position[1:]}"
    with Sse(server, "topic=a", token, f"Last-Event-ID: {position}") as stream:
        stream.until("caught_up")
    assert value(server, "tidings_resumes_total", result="whole") == 1
    with Ws(server, token=token) as ws:
        ws.subscribe("a", since=other)
        ws.until("caught_up")
    assert value(server, "tidings_resumes_total", result="gap") == 1
    assert value(server, "tidings_gaps_total", reason="epoch") == 1
    with Sse(server, "topic=a", token) as stream:
        stream.until("caught_up")
    assert value(server, "tidings_resumes_total", result="whole") == 1, "who starts does not resume"


def test_the_process_and_what_it_was_configured_with(server):
    began = time.time()
    assert began - DEADLINE_S < value(server, "process_start_time_seconds") <= began
    assert value(server, "process_open_fds") > 5
    assert value(server, "process_resident_memory_bytes") > 2**20
    loaded = value(server, "tidings_config_last_reload_success_timestamp_seconds")
    assert value(server, "tidings_config_last_reload_successful") == 1
    server.process.send_signal(signal.SIGHUP)
    until(lambda: value(server, "tidings_config_last_reload_success_timestamp_seconds") > loaded, "it is loaded again")
    (server.data / "dev.key").write_text("short")  # the key is a part of the configuration
    loaded = value(server, "tidings_config_last_reload_success_timestamp_seconds")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: value(server, "tidings_config_last_reload_successful") == 0, "the reload failed")
    assert value(server, "tidings_config_last_reload_success_timestamp_seconds") == loaded


def test_no_topic_nor_subject_is_shown(server):
    token = server.token("sub-ject")
    Http(server, token).publish("to-pic")
    with Ws(server, token=token) as ws:
        ws.subscribe("to-pic")
        text = requests.get(f"{server.url}/metrics", timeout=DEADLINE_S).text
    assert "to-pic" not in text and "sub-ject" not in text
