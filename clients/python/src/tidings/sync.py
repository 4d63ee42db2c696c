# SPDX-License-Identifier: Apache-2.0
"""The blocking client.  Subscriptions are event streams (SSE), leases are kept by a thread each."""
from __future__ import annotations

import contextlib
import functools
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from . import core as _core
from . import entities as _entities
from . import errors, feed as _feed, jobs as _jobs, locks as _locks, publishing, worker
from .backoff import Profile, after_status
from .core import Answer, AskToken, Core, Operation, Request
from .events import Item
from .feed import Feed, Status, StreamReader
from .jobs import Job

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
Token = str | Callable[[_core.Why], str | None]


def _blocking(operation: Callable[Concatenate[Core, P], Operation[T]]) -> Callable[Concatenate[Any, P], T]:
    """The method that carries out an operation."""

    @functools.wraps(operation)
    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._driver.run(operation(self._driver.core, *args, **kwargs))
        return result

    return method


def _send_at_once(event: str, info: Mapping[str, Any]) -> None:
    """Head and body of a request are written one behind the other: without this the body would wait 40 ms for the peer to
    acknowledge the head."""
    if event == "connection.connect_tcp.complete":
        info["return_value"].get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _opening(
    make: Callable[Concatenate[Core, P], A], what: Callable[[_Driver, A], B]
) -> Callable[Concatenate[Any, P], B]:
    """The method that makes something which is then iterated over, or used in a `with`."""

    @functools.wraps(make)
    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> B:
        return what(self._driver, make(self._driver.core, *args, **kwargs))

    return method


class _Driver:
    """Carries out operations."""

    def __init__(self, core: Core, token: Token | None, http: httpx.Client | None) -> None:
        self.core = core
        self.http = http or httpx.Client(verify=core.tls)
        self._token = token if token is not None else os.environ.get("TIDINGS_TOKEN")

    def run(self, operation: Operation[T]) -> T:
        result: Any = None
        while True:
            try:
                effect = operation.send(result)
            except StopIteration as stop:
                value: T = stop.value
                return value
            if isinstance(effect, Request):
                result = self._request(effect)
            elif isinstance(effect, AskToken):
                result = self._token(effect.why) if callable(self._token) else self._token
            else:
                time.sleep(effect.seconds)
                result = None

    def _request(self, request: Request) -> Answer:
        try:
            answer = self.http.request(
                request.method,
                request.url,
                content=request.body,
                headers=dict(request.headers),
                timeout=request.timeout_s,
                extensions={"trace": _send_at_once},
            )
        except httpx.HTTPError as error:
            return Answer(0, {}, repr(error).encode())
        return Answer(answer.status_code, answer.headers, answer.content)


class _Group:
    def __init__(self, driver: _Driver) -> None:
        self._driver = driver


class Entities(_Group):
    """Versioned documents: `client.entities`."""

    get = _blocking(_entities.get)
    put = _blocking(_entities.put)
    patch = _blocking(_entities.patch)
    delete = _blocking(_entities.delete)
    list = _blocking(_entities.list_)


class Jobs(_Group):
    """Jobs that the server or others run: `client.jobs`."""

    start = _blocking(_jobs.start)
    get = _blocking(_jobs.get)
    list = _blocking(_jobs.list_)
    cancel = _blocking(_jobs.cancel)
    wait = _blocking(_jobs.wait)

    def watch(self, job_id: str) -> Iterator[Job]:
        """The job whenever it changes, to its end."""
        with Subscription(self._driver, Feed(path=_jobs.endpoint(job_id))) as items:
            for item in items:
                if job := _jobs.job_of(item):
                    yield job
                    if job.has_ended:
                        return


class Subscription(Iterator[Item]):
    """What comes, for ever.  With `position`, which is behind what was given last, as `since` another subscription misses nothing."""

    def __init__(self, driver: _Driver, feed: Feed) -> None:
        self.position = feed.position
        self._driver = driver
        self._feed = feed
        self._items = self._follow()
        self._stream: httpx.Response | None = None
        self._closed = threading.Event()

    @property
    def status(self) -> Status:
        return self._feed.status

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._items.close()

    def __next__(self) -> Item:
        return next(self._items)

    def close(self) -> None:
        """Ends it, also from another thread."""
        self._closed.set()
        if stream := self._stream:
            with contextlib.suppress(OSError, KeyError):
                stream.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def _follow(self) -> Generator[Item, None, None]:
        while not self._closed.is_set():
            for _ in self._connection():
                while self._feed.taken and not self._closed.is_set():
                    item, self.position = self._feed.taken.popleft()
                    if item is not None:
                        yield item

    def _connection(self) -> Iterator[None]:
        """One connection, and the wait behind it; yields whenever something was received."""
        feed, driver, reader = self._feed, self._driver, StreamReader(self._feed)
        feed.tell("connecting")
        headers = {**driver.run(driver.core.authorization()), "Accept": "text/event-stream"}
        token, timeout = driver.core.token, httpx.Timeout(driver.core.timeout_s, read=feed.deadline_s)
        try:
            with driver.http.stream(
                "GET",
                driver.core.address(feed.path, feed.query()),
                headers=headers,
                timeout=timeout,
            ) as stream:
                self._stream = stream
                if self._closed.is_set():
                    return  # before there was something to shut down
                if stream.status_code != 200:
                    error = errors.from_answer(stream.status_code, stream.headers, stream.read())
                    after = after_status(stream.status_code, error.retry_after)
                else:
                    feed.opened(stream.headers.get("tidings-position"))
                    for chunk in stream.iter_raw():
                        reader.feed(chunk)
                        yield
                    error, after = errors.no_answer("the stream ended"), after_status(0, reader.retry_after)
        except httpx.HTTPError as broken:
            error, after = errors.no_answer(repr(broken)), after_status(0)
        finally:
            self._stream = None
        if self._closed.is_set():
            return
        if driver.run(feed.recovers(driver.core, after, error, token)):
            # What has been lost is told before the next connection.
            yield
            return
        self._closed.wait(feed.ended(after, error))


class _Keeper:
    """A thread that does something again and again, `once` by once, which says how long to wait, or None: no more."""

    def __init__(self, name: str, first_s: float, once: Callable[[], float | None]) -> None:
        self._first_s = first_s
        self._once = once
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause: float | None = self._first_s
        while pause is not None:
            self._wake.wait(pause)
            self._wake.clear()
            if self._stopped:
                return
            pause = self._once()

    def wake(self) -> None:
        self._wake.set()

    def join(self, stop: bool = False) -> None:
        self._stopped = stop
        self._wake.set()
        self._thread.join()


class JobWorker(worker.Worker[None]):
    """A job that this process works on, to be used in a `with`.  Leaving it ends the job: as `complete` or `fail` said, as failed
    when an exception leaves it, as cancelled when that is JobCancelled (which goes no further), else as done.  What is
    said is sent by a thread, in order, which also keeps the lease."""

    def __init__(self, driver: _Driver, start: Operation[worker.Reports]) -> None:
        self._driver = driver
        self._start = start
        self._changed = threading.Condition()
        self._keeper: _Keeper | None = None

    def start(self) -> JobWorker:
        """Starts it before the `with` does, for who hands it on: `with` it in the end all the same."""
        if self._keeper is None:
            self._reports = self._driver.run(self._start)
            self._keeper = _Keeper("tidings-job", self._reports.lease_s / 3, self._report)
        return self

    def __enter__(self) -> JobWorker:
        return self.start()

    def __exit__(self, _: type[BaseException] | None, raised: BaseException | None, __: TracebackType | None) -> bool:
        with self._changed:
            self._reports.end_by(raised, self._outcome)
        if self._keeper:
            self._keeper.join()
        if raised is None and (error := self._reports.lost or self._reports.refused):
            raise error
        return isinstance(raised, errors.JobCancelled)

    def _add(self, event: dict[str, Any] | None, progress: Mapping[str, Any] | None = None) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._reports.has_room)
            self._reports.add(event, progress)
        if self._keeper:
            self._keeper.wake()

    def _report(self) -> float | None:
        with self._changed:
            report = self._reports.take()
        self._driver.run(self._reports.send(self._driver.core, report))
        with self._changed:
            self._changed.notify_all()
            return self._reports.pause_s


class Lock(_locks.HeldLock):
    """A lock, to be used in a `with`; a thread keeps its lease."""

    def __init__(self, driver: _Driver, name: str, ttl: int, wait: float) -> None:
        super().__init__(name, ttl, wait)
        self._driver = driver

    def __enter__(self) -> Lock:
        self._driver.run(self.acquire(self._driver.core))
        self._keeper = _Keeper("tidings-lock", self.ttl / 3, lambda: self._driver.run(self.renew(self._driver.core)))
        return self

    def __exit__(self, *_: object) -> None:
        self._keeper.join(stop=True)
        self._driver.run(self.release(self._driver.core))


class Tidings:
    """A server, as one subject sees it.  Threads may share it.

    `url` is the base of the server (TIDINGS_URL when absent), `token` a token (TIDINGS_TOKEN) or a function that gets one: it is
    called with "first" or "rejected", where the last was refused, and returns None when there is none.  `ca` names the file of
    certificates that are trusted (TIDINGS_CA), by default those that the system trusts; `retries` says how requests are
    repeated."""

    def __init__(
        self,
        url: str | None = None,
        token: Token | None = None,
        *,
        ca: str | None = None,
        timeout: float = 10.0,
        retries: Profile = _core.RETRIES,
        http: httpx.Client | None = None,
    ) -> None:
        self._driver = _Driver(Core(url, ca, timeout, retries), token, http)
        self.entities = Entities(self._driver)
        self.jobs = Jobs(self._driver)

    def __enter__(self) -> Tidings:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._driver.http.close()

    publish = _blocking(publishing.publish)
    publish_many = _blocking(publishing.publish_many)
    broadcast_to_project = _blocking(publishing.broadcast_to_project)
    broadcast_status_update = _blocking(publishing.broadcast_status_update)
    broadcast_agent_update = _blocking(publishing.broadcast_agent_update)
    broadcast_log = _blocking(publishing.broadcast_log)
    broadcast_completion = _blocking(publishing.broadcast_completion)
    presence = _blocking(_locks.presence)
    lock_holder = _blocking(_locks.get)
    subscribe = _opening(_feed.subscribe, Subscription)
    job = _opening(worker.start, JobWorker)

    def lock(self, name: str, *, ttl: int = 30, wait: float = 0.0) -> Lock:
        """A lock on a name, which is a topic; LockHeld when somebody else has it, still behind `wait` seconds.  Whoever has
        the same `sub` is the same holder."""
        return Lock(self._driver, name, ttl, wait)
