# SPDX-License-Identifier: Apache-2.0
"""kill -9, again and again, while publishers publish and readers read.

Publishers keep requests in flight and repeat what was not acknowledged under the same Idempotency-Key.  Readers come on three
transports, know nothing but their last position, and resume with it.  At the end a checker that has seen every
acknowledgement and every delivery counts:

  lost       acknowledged, but missing at a reader
  doubled    delivered to one reader more than once
  disordered delivered to a reader out of order
  repeated   in the log more than once (a publish without acknowledgement may be there once, or not)

    TIDINGS=build/release/tidings python3 tests/server/kill_test.py --rounds 200 --readers 100 --in-flight 64
"""
import argparse
import asyncio
import collections
import json
import logging
import pathlib
import random
import sys
import tempfile
import time

import httpx
import websockets

from conftest import Server

TOPICS = "load"
END = -1  # the publisher of the last event of all
RECOVER_S = 30.0  # for one restart, and for the readers at the end


class World:
    """What the publishers and the readers have to know of each other, and what the checker wants to know of them."""

    def __init__(self, options, server, token):
        self.options, self.server, self.token = options, server, token
        self.random = random.Random(options.seed)
        self.acked = {}  # (publisher, n): id
        self.sent = [0] * options.publishers
        self.stopping = False  # no new publishes, no repeats
        self.in_flight_at_kills = 0
        self.progress = asyncio.Condition()

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def kill(self):
        self.in_flight_at_kills += sum(self.sent) - len(self.acked)
        self.server.kill9()

    async def tell(self):
        async with self.progress:
            self.progress.notify_all()

    async def wait_for(self, condition, deadline_s=RECOVER_S):
        async with self.progress:
            await asyncio.wait_for(self.progress.wait_for(condition), deadline_s)


class Publisher:
    """Pipelines over one connection, so that its events are appended in the order of their numbers."""

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.unacked = collections.deque()
        self.random = random.Random(world.options.seed * 1000 + number)

    def request(self, n):
        body = json.dumps({"topic": f"{TOPICS}/{self.number}", "type": "t",
                           "data": {"p": self.number, "n": n}}).encode()
        return (f"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Bearer {self.world.token}\r\nContent-Type: application/json\r\n"
                f"Idempotency-Key: {self.number}-{n}\r\nContent-Length: {len(body)}\r\n\r\n"
                ).encode() + body

    async def read_answer(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                      if line.lower().startswith(b"content-length"))
        body = json.loads(await reader.readexactly(length))
        assert status == 201, (status, body)
        return body["id"]

    async def publish(self, reader, writer):
        for n in self.unacked:  # under the same keys
            writer.write(self.request(n))
        while not self.world.stopping:
            if len(self.unacked) < self.world.options.in_flight // 2:
                # A load that the readers, all in this one process, can follow.
                await asyncio.sleep(self.random.uniform(0, 0.02))
                while len(self.unacked) < self.world.options.in_flight:
                    n = self.world.sent[self.number]
                    self.world.sent[self.number] += 1
                    self.unacked.append(n)
                    writer.write(self.request(n))
            await writer.drain()
            id_ = await self.read_answer(reader)
            self.world.acked[self.number, self.unacked.popleft()] = id_
            await self.world.tell()

    async def run(self):
        while not self.world.stopping:
            writer = None
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.world.server.port)
                await self.publish(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.005)  # the client's backoff
            finally:
                if writer:
                    writer.close()


class Reader:
    """Keeps what it was sent, and the last position."""

    def __init__(self, world, number, pattern):
        self.world, self.number, self.pattern = world, number, pattern
        self.events = []  # (id, publisher, n)
        self.position = "earliest"
        self.connected, self.resumes, self.gaps = False, -1, []

    @property
    def url(self):
        return f"{self.world.server.url}/api/v1/events"

    def done(self):
        return bool(self.events) and self.events[-1][1] == END

    async def take(self, message):
        if message.get("control"):
            if message["type"] == "gap":
                self.gaps.append(message)
            elif message["type"] == "caught_up":
                self.position = message["position"]
            return
        data = message["data"]
        self.events.append((message["id"], data["p"], data["n"]))
        self.position = message["id"]
        if data["p"] == END:
            await self.world.tell()

    async def met(self):
        self.connected = True
        self.resumes += 1
        await self.world.tell()

    async def run(self):
        backoff = random.Random(self.world.options.seed * 1000 + self.number)
        while not self.done():
            try:
                await self.read()
            except (OSError, httpx.TransportError, websockets.WebSocketException,
                    asyncio.IncompleteReadError, asyncio.TimeoutError):
                pass
            self.connected = False
            await asyncio.sleep(backoff.uniform(0, 0.1))


class WsReader(Reader):
    """Half of them by the URL's topics, half by SUBSCRIBE."""

    transport = "websocket"

    async def read(self):
        base = f"ws://127.0.0.1:{self.world.server.port}"
        named = self.number % 2 == 0
        url = (f"{base}/api/v1/events?topic={self.pattern}&since={self.position}" if named
               else f"{base}/ws?format=event")
        async with websockets.connect(url, extra_headers=self.world.headers, ping_interval=None,
                                      compression=None, close_timeout=1) as connection:
            if not named:
                await connection.send(json.dumps({"type": "SUBSCRIBE", "topics": [self.pattern],
                                                  "since": self.position}))
            await self.met()
            while not self.done():
                await self.take(json.loads(await connection.recv()))


class SseReader(Reader):
    transport = "sse"

    async def read(self):
        headers = {**self.world.headers, "Accept": "text/event-stream"}
        query = {"topic": self.pattern}
        if self.position == "earliest":
            query["since"] = self.position
        else:
            headers["Last-Event-ID"] = self.position
        # What is cut off in the middle of an event is not dispatched: the block ends with an empty line.
        async with self.world.http.stream("GET", self.url, params=query, headers=headers) as answer:
            assert answer.status_code == 200, answer
            await self.met()
            fields = {}
            async for line in answer.aiter_lines():
                line = line.rstrip("\n")
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    continue
                if "data" in fields:
                    await self.take(json.loads(fields["data"]))
                if "id" in fields:
                    self.position = fields["id"]
                fields = {}
                if self.done():
                    return


class PollReader(Reader):
    transport = "long-poll"

    async def read(self):
        first = True
        while not self.done():
            answer = await self.world.http.get(
                self.url, headers=self.world.headers,
                params={"topic": self.pattern, "since": self.position, "wait": 25})
            assert answer.status_code == 200, answer.text
            if first:
                first = False
                await self.met()
            page = answer.json()
            if "gap" in page:
                self.gaps.append(page["gap"])
            for event in page["events"]:
                await self.take(event)
            self.position = page["position"]


def make_readers(world):
    kinds = (WsReader, SseReader, PollReader)
    patterns = (f"{TOPICS}/**", f"{TOPICS}/*", "**")
    return [kinds[i % 3](world, i, patterns[i // 3 % 3]) for i in range(world.options.readers)]


async def one_round(world, readers):
    """Waits for a random moment, kills, and starts again."""
    start = len(world.acked)
    # Sometimes while all read along, sometimes while most are still on their way back.
    wanted = world.random.choice((0, len(readers) // 2, len(readers)))
    more = world.random.randint(1, world.options.round_events)
    await world.wait_for(lambda: sum(r.connected for r in readers) >= wanted)
    await world.wait_for(lambda: len(world.acked) >= start + more)
    world.kill()
    await asyncio.to_thread(world.server.start)


async def finish(world, readers, publishers):
    """The last kill: nothing is repeated any more.  One more event is the mark that everybody has to reach."""
    world.stopping = True
    world.kill()
    await asyncio.gather(*publishers)
    await asyncio.to_thread(world.server.start)
    answer = await world.http.post(
        f"{world.server.url}/api/v1/events", headers=world.headers,
        json={"topic": f"{TOPICS}/end", "type": "t", "data": {"p": END, "n": 0}})
    assert answer.status_code == 201, answer.text
    world.acked[END, 0] = answer.json()["id"]
    await world.wait_for(lambda: all(r.done() for r in readers))


def sequence(id_):
    epoch, _, number = id_.partition(".")
    return epoch, int(number)


def check(world, readers, log):
    """Returns what was counted and what was found to be wrong."""
    wrong = collections.Counter()
    in_log = collections.Counter((e["data"]["p"], e["data"]["n"]) for e in log)
    wrong["repeated in the log"] = sum(n - 1 for n in in_log.values())
    ids = {(e["data"]["p"], e["data"]["n"]): e["id"] for e in log}
    wrong["acknowledged with another id"] = sum(ids.get(k) != v for k, v in world.acked.items())
    for reader in readers:
        seen = collections.Counter((p, n) for _, p, n in reader.events)
        wrong["lost"] += sum(key not in seen for key in world.acked)
        wrong["doubled"] += sum(n - 1 for n in seen.values())
        wrong["not in the log"] += sum(key not in in_log for key in seen)
        order = [sequence(id_) for id_, _, _ in reader.events]
        wrong["disordered"] += sum(a >= b for a, b in zip(order, order[1:]))
        numbers = collections.defaultdict(lambda: -1)
        for _, p, n in reader.events:  # of one publisher too, which had sent them in this order
            wrong["disordered"] += n < numbers[p]
            numbers[p] = n
        wrong["gaps told"] += len(reader.gaps)
    counts = {
        "rounds": world.options.rounds, "acked": len(world.acked), "sent": sum(world.sent) + 1,
        "unacked": sum(world.sent) + 1 - len(world.acked),
        "readers_saw_each": len(log), "in_flight_at_kills": world.in_flight_at_kills,
        "delivered": sum(len(r.events) for r in readers),
        "resumes": {kind.transport: sum(r.resumes for r in readers if isinstance(r, kind))
                    for kind in (WsReader, SseReader, PollReader)},
    }
    return counts, {what: n for what, n in wrong.items() if n}


async def run(options, server):
    world = World(options, server, server.token())
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as world.http:
        readers = make_readers(world)
        reading = [asyncio.create_task(r.run()) for r in readers]
        publishing = [asyncio.create_task(Publisher(world, i).run())
                      for i in range(options.publishers)]
        try:
            for _ in range(options.rounds - 1):
                await one_round(world, readers)
                for task in reading + publishing:
                    if task.done():
                        task.result()
            await finish(world, readers, publishing)
            await asyncio.wait_for(asyncio.gather(*reading), RECOVER_S)
        finally:
            for task in reading + publishing:
                task.cancel()
            await asyncio.gather(*reading, *publishing, return_exceptions=True)
        behind = [(r.transport, r.number, r.position) for r in readers if not r.done()]
        assert not behind, f"never came to the end: {behind}"
    return check(world, readers, await asyncio.to_thread(server.events, "**", world.token))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--publishers", type=int, default=4)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--readers", type=int, default=60)
    parser.add_argument("--round-events", type=int, default=400,
                        help="a kill comes after at most so many acknowledgements")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("server_options", nargs="*", metavar="-- OPTION",
                        help="of the server, such as: -- --workers 2 --durability fast")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {options.seed}", flush=True)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of writes after a reset
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(pathlib.Path(directory), options.server_options)
        server.start()
        try:
            counts, wrong = asyncio.run(run(options, server))
        except BaseException:
            print(server.log()[-4000:], file=sys.stderr)
            raise
        finally:
            server.process.kill()
            server.process.wait()
    print(json.dumps({"seed": options.seed, **counts, "wrong": wrong,
                      "seconds": round(time.monotonic() - began, 1)}), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
