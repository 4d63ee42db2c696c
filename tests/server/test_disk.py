# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, fail or lie: nothing is acknowledged that is not kept, readers go on, and what is damaged is told."""
import os
import re
import subprocess

import pytest

from clients import EVENTS, Http, Raw, Sse, Ws, problem, request
from conftest import Server, until

ONE = {"topic": "a", "type": "t", "data": 1}


# --- a full disk ---


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MB, where root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a file system may not be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def small_server(small_disk, tmp_path):
    server = Server(tmp_path, ["--segment_bytes", "4MiB", "--limits.body_bytes", "1MiB",
                               "--limits.message_bytes", "64KiB"])
    server.data = small_disk / "data"
    server.start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill9()


def fill(disk, keep_bytes):
    """Takes all the space but some."""
    status = os.statvfs(disk)
    size = status.f_bavail * status.f_frsize - keep_bytes
    with open(disk / "ballast", "wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, size)
    return disk / "ballast"


def test_a_full_disk_is_507_and_readers_go_on_and_it_recovers(small_server, small_disk):
    server = small_server
    token = server.token()
    http = Http(server, token)
    acked = []

    def publish():
        answer = http.post([{**ONE, "data": "x" * 1000}] * 100)
        if answer.status_code == 201:
            acked.extend(answer.json()["ids"])
        return answer

    delivered = 0
    with Ws(server, token=token) as ws, Sse(server, "topic=a", token) as stream:
        ws.subscribe("a")
        stream.until("caught_up")
        for _ in range(2):  # it happens again
            publish()
            ballast = fill(small_disk, 100_000)

            def full():
                answer = publish()
                return [answer] if answer.status_code != 201 else None

            [refused] = until(full, "the disk is full")
            assert problem(refused) == (507, "log_full") and "Retry-After" in refused.headers
            assert problem(http.call("GET", "/readyz")) == (507, "log_full")
            assert http.call("GET", "/healthz").status_code == 200
            # What was acknowledged is delivered while nothing can be written.
            owed = acked[delivered:]
            delivered = len(acked)
            assert [e["id"] for e in ws.receive_events(len(owed))] == owed
            assert [e["id"] for e in stream.receive_events(len(owed))] == owed
            error = {"type": "published"}
            while error["type"] == "published":  # a smaller one may still find room
                ws.send("publish", event={**ONE, "topic": "b", "data": "x" * 30000}, ref=1)
                while (error := ws.receive()).get("ref") != 1:
                    pass
            assert error["code"] == "log_full" and error["retry_after"] >= 1
            assert [e["id"] for e in server.events("a", token)] == acked
            ballast.unlink()
            until(lambda: publish().status_code == 201, "it recovers by itself", 5)
            assert http.call("GET", "/readyz").status_code == 200
    server.restart()
    assert [e["id"] for e in server.events("a", token)] == acked


# --- a disk that fails ---


def test_a_failed_sync_makes_the_log_read_only_until_the_restart(server):
    token = server.token()
    http = Http(server, token)
    acked = [http.publish("a", n) for n in range(10)]
    with Ws(server, token=token) as ws, Sse(server, "topic=a&since=earliest", token) as stream:
        ws.subscribe("a")
        assert len(stream.receive_events(10)) == 10
        with server.failing("fdatasync:error=EIO"):
            answer = http.post(ONE, Idempotency_Key="k")
            assert problem(answer) == (503, "log_failed")
        # The sync would work again; that proves nothing about what was to be synced (fsyncgate).
        assert problem(http.post(ONE)) == (503, "log_failed")
        assert problem(http.call("GET", "/readyz")) == (503, "log_failed")
        assert http.call("GET", "/healthz").status_code == 200
        ws.send("publish", event=ONE, ref=1)
        assert ws.until("command_error", ref=1)["code"] == "log_failed"
        assert not [m for m in ws.skipped if not m.get("control")], "what failed is shown to nobody"
        assert [e["id"] for e in server.events("a", token)] == acked, "readers go on"
        with Sse(server, f"topic=a&since={acked[4]}", token) as other:
            assert [e["id"] for e in other.receive_events(5)] == acked[5:]
    assert "sync" in server.log()
    server.restart()
    http = Http(server, token)
    assert http.call("GET", "/readyz").status_code == 200
    http.post(ONE, Idempotency_Key="k")  # whether it was kept was unknown; under its key it is there once
    events = server.events("a", token)
    assert [e["id"] for e in events][:10] == acked
    assert len(events) == 11


def test_publishes_that_wait_for_a_sync_that_fails_are_all_told(server):
    token = server.token()
    body = b'{"topic":"a","type":"t"}'
    publish = request("POST", EVENTS, "Content-Type: application/json", body=body, token=token)
    Http(server, token).publish("a", "the log has begun")
    with server.failing("fdatasync:delay_enter=300000:error=EIO"):
        with Raw(server) as first, Raw(server) as second:
            first.send(publish * 8)
            second.send(publish)
            for raw in (first, second):
                answer = raw.answer()
                assert answer.status == 503 and answer.json()["code"] == "log_failed"
                assert b" 201 " not in raw.rest()
    assert server.process.poll() is None


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_log_that_can_not_begin_is_told_and_begins_later(server, error):
    """Before anything was written there is nothing that a failed sync could have lost."""
    http = Http(server)
    with server.failing(f"fdatasync:error={error}"):
        assert http.post(ONE).status_code in (503, 507)
        assert server.events("**") == []
    until(lambda: http.post(ONE, Idempotency_Key="k").status_code == 201, "it has begun")
    assert len(server.events("**")) == 1


# --- a disk that lies ---


def find_segment(server, marker):
    for path in sorted(server.data.rglob("*")):
        if path.is_file() and marker in path.read_bytes():
            return path
    raise AssertionError(f"{marker!r} is in no file of the log")


def flip(path, marker, where=0):
    """Flips one bit in the bytes of a marker."""
    with open(path, "r+b") as file:
        data = file.read()
        at = data.index(marker) + where
        file.seek(at)
        file.write(bytes([data[at] ^ 0x04]))


def started(server):
    """What the last start said of the log."""
    return [line for line in server.log().splitlines() if "cut_bytes=" in line][-1]


def said(server, name):
    """A number in it."""
    return int(re.search(rf"\b{name}=(\d+)", started(server)).group(1))


def test_a_flipped_bit_in_the_tail_is_cut_and_reported(server):
    token = server.token()
    http = Http(server, token)
    ids = [http.publish("a", f"mark-{n:04}") for n in range(100)]
    server.kill9()
    flip(find_segment(server, b"mark-0099"), b"mark-0099")
    server.start()
    events = server.events("a", token)
    assert [e["id"] for e in events] == ids[:99], "up to the last whole batch, and nothing changed"
    assert said(server, "cut_bytes") > 0, started(server)
    # Who saw what is gone is told, and what comes is not taken for it.
    http = Http(server, token)
    new = http.publish("a", "new")
    assert new not in ids
    page = http.page("a", since=ids[99])
    assert page.get("gap") and [e["data"] for e in page["events"]][-1:] == ["new"]


SMALL = ("--segment_bytes", "1MiB", "--limits.body_bytes", "512KiB", "--limits.message_bytes", "64KiB")


@pytest.mark.options(*SMALL)
@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "kill"])
def test_a_flipped_bit_in_the_middle_is_a_gap_and_reported(server, clean):
    token = server.token()
    http = Http(server, token)
    ids = []
    for n in range(0, 600, 20):  # about five segments
        ids += http.post([{"topic": "a", "type": "t", "data": f"mark-{m:04}" + "x" * 8000}
                          for m in range(n, n + 20)]).json()["ids"]
    path = find_segment(server, b"mark-0150")
    assert b"mark-0599" not in path.read_bytes(), "a segment in the middle"
    server.stop() if clean else server.kill9()
    flip(path, b"mark-0150", where=3)
    server.start()
    http = Http(server, token)
    got, gaps, since = [], [], ids[0]
    while True:
        page = http.page("a", since=since, limit=1000)
        got += page["events"]
        if "gap" in page:
            gaps.append(page["gap"])
        since = page["position"]
        if not page["more"]:
            break
    number = {id_: int(id_.split(".")[1]) for id_ in ids}
    have = {e["id"] for e in got}
    missing = [i for i in ids[1:] if i not in have]
    assert ids[150] in missing, "a damaged event is never served"
    assert [g["reason"] for g in gaps] == ["damaged"]
    low, high = (int(gaps[0][side].split(".")[1]) for side in ("from", "to"))
    assert all(low < number[i] <= high for i in missing), "nothing is missing silently"
    assert len(missing) < 300, "what is sound is served"
    for event in got:
        assert event["data"].startswith(f"mark-{ids.index(event['id']):04}x")
    with Sse(server, f"topic=a&since={ids[0]}", token) as stream:
        assert stream.until("gap")[1]["reason"] == "damaged"
    verify = server.run("log", "verify", "--data", str(server.data))
    assert verify.returncode == 1 and "damage" in verify.stdout + verify.stderr
    until(lambda: "damage" in server.log(), "the server's own log tells of it")


@pytest.fixture
def grouped(tmp_path):
    """A server on which little of the topic bulk is kept, and all of the others."""
    config = tmp_path / "tidings.yaml"
    config.write_text("retention:\n  groups:\n    bulk: {topics: [bulk], bytes: 1MiB}\n")
    server = Server(tmp_path, ["--config", str(config), *SMALL])
    server.start()
    yield server
    if server.process.poll() is None:
        server.kill9()


def test_pages_pass_damage_inside_of_what_retention_has_thinned(grouped):
    """Two gaps begin at the same place: one is told, and the other with the next page."""
    server = grouped
    http = Http(server, server.token())
    ids = [http.publish("kept", f"mark-{n:04}") for n in range(20)]

    def dropped():
        http.post([{"topic": "bulk", "type": "t", "data": "x" * 8000}] * 50)
        return "gap" in http.page("bulk", since=ids[0])
    until(dropped, "retention has dropped the beginning of the bulk")
    server.stop()
    flip(find_segment(server, b"mark-0010"), b"mark-0010", where=3)
    server.start()
    http = Http(server, server.token())
    got, reasons, since = [], [], ids[0]
    for _ in range(500):  # as much of the bulk as is left
        page = http.page(["kept", "bulk"], since=since)
        got += [e["data"] for e in page["events"] if e["topic"] == "kept"]
        reasons += [page["gap"]["reason"]] if "gap" in page else []
        since = page["position"]
        if not page["more"]:
            break
    assert not page["more"], "the pages come to an end"
    assert got == [f"mark-{n:04}" for n in range(1, 20) if n != 10]
    assert reasons[0] == "retention" and reasons.count("damaged") == 1, reasons


def test_a_cut_file_is_served_up_to_the_cut(server):
    token = server.token()
    http = Http(server, token)
    ids = [http.publish("a", f"mark-{n:04}") for n in range(50)]
    server.kill9()
    path = find_segment(server, b"mark-0049")
    at = path.read_bytes().index(b"mark-0030")
    size = path.stat().st_size
    with open(path, "r+b") as file:  # as a power cut may leave it: the end reads as zeros
        file.truncate(at)
        file.truncate(size)
    server.start()
    assert [e["id"] for e in server.events("a", token)] == ids[:30]
    assert Http(server, token).publish("a", "new")


@pytest.mark.parametrize("batch", [2, 100])
def test_an_array_is_atomic_across_a_torn_write(server, batch):
    token = server.token()
    http = Http(server, token)
    first = http.publish("a", "first")
    http.post([{**ONE, "data": f"mark-{n:04}"} for n in range(batch)])
    server.kill9()
    path = find_segment(server, b"mark-0000")
    last = f"mark-{batch - 1:04}".encode()
    data = path.read_bytes()
    with open(path, "r+b") as file:
        file.seek(data.index(last))
        file.write(bytes(len(data) - data.index(last)))
    server.start()
    assert [e["id"] for e in server.events("a", token)] == [first], "all of it or nothing"


def test_two_servers_on_one_log(server):
    other = Server(server.directory, [])
    other.data = server.data
    other.log_path = server.directory / "other.log"
    with pytest.raises(AssertionError):
        other.start()
    assert other.process.wait(20) == 1 and "another server" in other.log()
    assert Http(server).publish("a", 1)
