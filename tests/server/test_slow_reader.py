# SPDX-License-Identifier: Apache-2.0
"""A slow reader costs a position, not a queue: others go on, memory stays, and it gets everything once it reads again."""
import threading

import pytest

from clients import EVENTS, Http, Sse, Ws
from conftest import until

SLOW, BATCHES, BATCH, SIZE = 100, 20, 250, 4000  # 20 MB for each of them


def rss_bytes(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        # Of its own; the log's pages, mapped from the file, belong to the page cache.
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))


def batch(http, number):
    answer = http.post([{"topic": f"a/{n % 3}", "type": "t", "data": [number * BATCH + n, "x" * SIZE]}
                        for n in range(BATCH)])
    assert answer.status_code == 201
    return answer.json()["ids"]


def slow_ones(server, token, n):
    """Readers that have subscribed and read no more: one half on WebSocket, one on SSE."""
    readers = []
    for i in range(n):
        if i % 2 == 0:
            reader = Ws(server, token=token, receive_buffer=8192)
            reader.subscribe("a/**")
        else:
            reader = Sse(server, "topic=a/*", token, receive_buffer=8192)
            reader.until("caught_up")
        readers.append(reader)
    return readers


def close(readers):
    for reader in readers:
        (reader if isinstance(reader, Ws) else reader.raw).socket.close()


def test_many_readers_that_do_not_read(server):
    token = server.token()
    http = Http(server, token)
    slow = slow_ones(server, token, SLOW)
    try:
        with Ws(server, token=token) as quick:
            quick.subscribe("a/**")
            before, ids = rss_bytes(server), []
            for number in range(BATCHES):
                ids += batch(http, number)
                assert [e["id"] for e in quick.receive_events(BATCH)] == ids[-BATCH:], "others go on"
        grown = rss_bytes(server) - before
        assert grown < 40 << 20, f"{grown >> 20} MiB for what {SLOW} readers owe: {SLOW * BATCHES * BATCH * SIZE >> 20} MiB"
        for reader in slow[:6]:  # in turn, each on its own transport
            events = reader.receive_events(len(ids))
            assert [e["id"] for e in events] == ids
            assert [e["data"][0] for e in events] == list(range(len(ids)))
        # They are live again.
        last = http.publish("a/0", "live")
        assert all(r.receive_events(1)[0]["id"] == last for r in slow[:6])
    finally:
        close(slow)
    assert http.call("GET", "/healthz").status_code == 200


def test_slow_and_quick_readers_read_at_the_same_time(server):
    """Twenty that come back at once, while publishing goes on."""
    token = server.token()
    http = Http(server, token)
    slow = slow_ones(server, token, 20)
    got, errors = {}, []
    try:
        ids = [i for number in range(4) for i in batch(http, number)]
        total = len(ids) + 2 * BATCH

        def read(n, reader):
            try:
                got[n] = [e["id"] for e in reader.receive_events(total)]
            except Exception as error:  # a thread's failure is the test's
                errors.append(error)

        threads = [threading.Thread(target=read, args=pair) for pair in enumerate(slow)]
        for thread in threads:
            thread.start()
        for number in (4, 5):
            ids += batch(http, number)
        for thread in threads:
            thread.join()
        assert not errors and all(got[n] == ids for n in range(20))
    finally:
        close(slow)


def test_a_slow_reader_that_resumes_elsewhere(server):
    """It hangs up in the middle of an event and goes on with the last one that it had whole."""
    token = server.token()
    http = Http(server, token)
    [ws, sse] = slow_ones(server, token, 2)
    ids = [i for number in range(4) for i in batch(http, number)]
    try:
        for reader in (ws, sse):
            had = [e["id"] for e in reader.receive_events(10)]
            assert had == ids[:10]
            with Ws(server, path=f"{EVENTS}?topic=a/**&since={had[-1]}", token=token) as other:
                assert [e["id"] for e in other.receive_events(len(ids) - 10)] == ids[10:]
    finally:
        close([ws, sse])


@pytest.mark.options("--heartbeat.behind", "2s")
def test_a_reader_that_acknowledges_nothing_is_closed(server):
    """And not before: one that reads slowly, but reads, stays."""
    token = server.token()
    http = Http(server, token)
    dead, alive = slow_ones(server, token, 2)
    try:
        ids = [i for number in range(4) for i in batch(http, number)]
        read = []

        def closed():
            read.extend(alive.receive_events(1))
            return any("4008" in line or "acknowledges" in line for line in server.log().splitlines())

        until(closed, "it is closed")
        read += alive.receive_events(len(ids) - len(read))
        assert [e["id"] for e in read] == ids
    finally:
        close([dead, alive])


@pytest.mark.options("--segment_bytes", "1MiB", "--retention.bytes", "2MiB", "--limits.body_bytes", "512KiB",
                     "--limits.message_bytes", "64KiB")
def test_a_reader_slower_than_retention_is_told(server):
    token = server.token()
    http = Http(server, token)
    [ws, sse] = slow_ones(server, token, 2)
    try:
        def publish():
            answer = http.post([{"topic": "a/1", "type": "t", "data": "x" * 8000}] * 50)
            return answer.json()["ids"]

        ids = publish()
        until(lambda: ids.extend(publish()) or (
            len(ids) > 2500 and http.page("a/1", since=ids[0], limit=1).get("gap")), "much has been dropped", 60)
        end = http.publish("a/end", "end")
        number = {id_: int(id_.split(".")[1]) for id_ in [*ids, end]}
        for reader in (ws, sse):
            got, gaps = read_to(server, token, reader, end)
            assert [number[i] for i in got] == sorted({number[i] for i in got}), "in order, each once"
            missing = [number[i] for i in ids if i not in set(got)]
            assert missing and gaps, "it had been left behind"
            assert all(any(a < n <= b for a, b in gaps) for n in missing), "nothing is missing silently"
    finally:
        close([ws, sse])


def read_to(server, token, reader, end):
    """Reads to an id.  Who was in the middle of an event when it was dropped can't be told so: its connection is closed, and it
    resumes, as a client does.  Returns the ids and the gaps."""
    got, gaps = [], []
    while not got or got[-1] != end:
        message = reader.receive() if isinstance(reader, Ws) else (reader.message() or (None, None))[1]
        if message is None:
            reader = Ws(server, path=f"{EVENTS}?topic=a/**&since={got[-1]}", token=token)
        elif not message.get("control"):
            got.append(message["id"])
        elif message["type"] == "gap":
            assert message["reason"] == "retention"
            gaps.append(tuple(int(message[side].split(".")[1]) for side in ("from", "to")))
    return got, gaps
