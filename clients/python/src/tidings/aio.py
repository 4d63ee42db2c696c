# SPDX-License-Identifier: Apache-2.0
"""The client for asyncio.  Subscriptions are WebSockets, on which the token is renewed in place; leases are kept by a task each."""
from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatusCode
from websockets.legacy.client import WebSocketClientProtocol, connect

from . import core as _core
from . import entities as _entities
from . import errors, feed as _feed, jobs as _jobs, locks as _locks, publishing, worker
from .backoff import Profile, after_close, after_status
from .core import Answer, AskToken, Core, Operation, Request
from .events import Item
from .feed import Feed, Status
from .jobs import Job

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
Token = str | Callable[[_core.Why], str | None | Awaitable[str | None]]
_MESSAGE_BYTES_MAX = 16 * 1024 * 1024  # chunks of a text come joined


def _awaiting(
    operation: Callable[Concatenate[Core, P], Operation[T]]
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The method that carries out an operation."""

    @functools.wraps(operation)
    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await self._driver.run(operation(self._driver.core, *args, **kwargs))
        return result

    return method


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

    def __init__(self, core: Core, token: Token | None, http: httpx.AsyncClient | None) -> None:
        self.core = core
        self.http = http or httpx.AsyncClient(verify=core.tls)
        self._token = token if token is not None else os.environ.get("TIDINGS_TOKEN")

    async def run(self, operation: Operation[T]) -> T:
        result: Any = None
        while True:
            try:
                effect = operation.send(result)
            except StopIteration as stop:
                value: T = stop.value
                return value
            if isinstance(effect, Request):
                result = await self._request(effect)
            elif isinstance(effect, AskToken):
                result = await self.ask(effect.why)
            else:
                await asyncio.sleep(effect.seconds)
                result = None

    async def ask(self, why: _core.Why) -> str | None:
        token = self._token(why) if callable(self._token) else self._token
        return token if token is None or isinstance(token, str) else await token

    async def _request(self, request: Request) -> Answer:
        try:
            answer = await self.http.request(
                request.method,
                request.url,
                content=request.body,
                headers=dict(request.headers),
                timeout=request.timeout_s,
            )
        except httpx.HTTPError as error:
            return Answer(0, {}, repr(error).encode())
        return Answer(answer.status_code, answer.headers, answer.content)


class _Group:
    def __init__(self, driver: _Driver) -> None:
        self._driver = driver


class AsyncEntities(_Group):
    """Versioned documents: `client.entities`."""

    get = _awaiting(_entities.get)
    put = _awaiting(_entities.put)
    patch = _awaiting(_entities.patch)
    delete = _awaiting(_entities.delete)
    list = _awaiting(_entities.list_)


class AsyncJobs(_Group):
    """Jobs that the server or others run: `client.jobs`."""

    start = _awaiting(_jobs.start)
    get = _awaiting(_jobs.get)
    list = _awaiting(_jobs.list_)
    cancel = _awaiting(_jobs.cancel)
    wait = _awaiting(_jobs.wait)

    async def watch(self, job_id: str) -> AsyncIterator[Job]:
        """The job whenever it changes, to its end."""
        async with AsyncSubscription(self._driver, Feed(path=_jobs.endpoint(job_id))) as items:
            async for item in items:
                if job := _jobs.job_of(item):
                    yield job
                    if job.has_ended:
                        return


class AsyncSubscription(AsyncIterator[Item]):
    """What comes, for ever.  With `position`, which is behind what was given last, as `since` another subscription misses nothing."""

    def __init__(self, driver: _Driver, feed: Feed) -> None:
        self.position = feed.position
        self._driver = driver
        self._feed = feed
        self._socket: WebSocketClientProtocol | None = None
        self._token: str | None = None  # the one that the connection was opened with, or renewed to
        self._offered: str | None = None  # to renew it with, and not answered yet
        self._closed = asyncio.Event()

    @property
    def status(self) -> Status:
        return self._feed.status

    async def __aenter__(self) -> AsyncSubscription:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends it, also from another task."""
        self._closed.set()
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def __anext__(self) -> Item:
        # What was received outlives the connection, and a cancelled wait.
        while not self._closed.is_set():
            while self._feed.taken:
                item, self.position = self._feed.taken.popleft()
                if item is not None:
                    return item
            await self._more()
        raise StopAsyncIteration

    async def _more(self) -> None:
        """Receives one message; at the end of a connection waits for the time of the next."""
        feed = self._feed
        try:
            if self._socket is None:
                self._socket = await self._connect()
            if self._closed.is_set():  # before there was a connection to close
                await self.close()
                return
            message = json.loads(await asyncio.wait_for(self._socket.recv(), feed.deadline_s))
            if message.get("control"):
                await self._take_control(self._socket, message)
            feed.take(message)
            return
        except InvalidStatusCode as refused:
            error = errors.from_answer(refused.status_code, refused.headers, b"")
            after = after_status(refused.status_code, error.retry_after)
        except ConnectionClosed as closed:
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
            error, after = errors.from_close(code, reason), after_close(code)
        except (OSError, asyncio.TimeoutError, InvalidHandshake) as broken:
            error, after = errors.no_answer(repr(broken)), after_status(0)
        dead, self._socket = self._socket, None
        if dead is not None:
            dead.transport.abort()  # a peer that is silent would not answer the close either
        if self._closed.is_set() or await self._driver.run(
            feed.recovers(self._driver.core, after, error, self._token)
        ):
            return
        delay = feed.ended(after, error)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closed.wait(), delay)

    async def _connect(self) -> WebSocketClientProtocol:
        feed, core = self._feed, self._driver.core
        feed.tell("connecting")
        headers = await self._driver.run(core.authorization())
        self._token, self._offered = core.token, None
        return await connect(
            "ws" + core.address(feed.path, feed.query()).removeprefix("http"),
            extra_headers=headers,
            open_timeout=core.timeout_s,
            ping_interval=None,  # the server asks; its silence is what `deadline_s` bounds
            close_timeout=1,
            ssl=core.tls if core.url.startswith("https") else None,
            max_size=_MESSAGE_BYTES_MAX,
        )

    async def _take_control(self, socket: WebSocketClientProtocol, message: Mapping[str, Any]) -> None:
        """Renews the token.  The new one counts from where it is accepted: until then the old one is good."""
        kind, core = message["type"], self._driver.core
        if kind == "token_expiring":
            token = await self._driver.ask("expiring")
            if token and token not in (self._token, core.refused):
                self._offered = token
                await socket.send(json.dumps({"type": "auth", "token": token}))
        elif kind == "authenticated":
            self._token = core.token = self._offered
        elif kind == "command_error" and message["code"] in ("unauthorized", "token_expired"):
            core.refused = self._offered


class AsyncJobWorker(worker.Worker[Awaitable[None]]):
    """A job that this process works on, to be used in an `async with`.  Leaving it ends the job: as `complete` or `fail` said, as failed
    when an exception leaves it, as cancelled when that is JobCancelled (which goes no further), else as done.  What is
    said is sent by a task, in order, which also keeps the lease."""

    def __init__(self, driver: _Driver, start: Operation[worker.Reports]) -> None:
        self._driver = driver
        self._start = start
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> AsyncJobWorker:
        """Starts it before the `async with` does, for who hands it on: `async with` it in the end all the same."""
        if self._task is None:
            self._reports = await self._driver.run(self._start)
            self._task = asyncio.create_task(self._keep())
        return self

    async def __aenter__(self) -> AsyncJobWorker:
        return await self.start()

    async def __aexit__(
        self, _: type[BaseException] | None, raised: BaseException | None, __: TracebackType | None
    ) -> bool:
        self._reports.end_by(raised, self._outcome)
        self._wake.set()
        if self._task:
            await self._task
        if raised is None and (error := self._reports.lost or self._reports.refused):
            raise error
        return isinstance(raised, errors.JobCancelled)

    async def _add(self, event: dict[str, Any] | None, progress: Mapping[str, Any] | None = None) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._reports.has_room)
        self._reports.add(event, progress)
        self._wake.set()

    async def _keep(self) -> None:
        pause: float | None = self._reports.lease_s / 3
        while pause is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
            self._wake.clear()
            await self._driver.run(self._reports.send(self._driver.core, self._reports.take()))
            async with self._changed:
                self._changed.notify_all()
            pause = self._reports.pause_s


class AsyncLock(_locks.HeldLock):
    """A lock, to be used in an `async with`; a task keeps its lease."""

    def __init__(self, driver: _Driver, name: str, ttl: int, wait: float) -> None:
        super().__init__(name, ttl, wait)
        self._driver = driver

    async def __aenter__(self) -> AsyncLock:
        await self._driver.run(self.acquire(self._driver.core))
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._driver.run(self.release(self._driver.core))

    async def _keep(self) -> None:
        pause: float | None = self.ttl / 3
        while pause is not None:
            await asyncio.sleep(pause)
            pause = await self._driver.run(self.renew(self._driver.core))


class AsyncTidings:
    """A server, as one subject sees it; see Tidings.  A function that gets tokens may be async, and is also called with "expiring":
    the one in use ends soon, and the new one takes its place on open subscriptions."""

    def __init__(
        self,
        url: str | None = None,
        token: Token | None = None,
        *,
        ca: str | None = None,
        timeout: float = 10.0,
        retries: Profile = _core.RETRIES,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._driver = _Driver(Core(url, ca, timeout, retries), token, http)
        self.entities = AsyncEntities(self._driver)
        self.jobs = AsyncJobs(self._driver)

    async def __aenter__(self) -> AsyncTidings:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._driver.http.aclose()

    publish = _awaiting(publishing.publish)
    publish_many = _awaiting(publishing.publish_many)
    broadcast_to_project = _awaiting(publishing.broadcast_to_project)
    broadcast_status_update = _awaiting(publishing.broadcast_status_update)
    broadcast_agent_update = _awaiting(publishing.broadcast_agent_update)
    broadcast_log = _awaiting(publishing.broadcast_log)
    broadcast_completion = _awaiting(publishing.broadcast_completion)
    presence = _awaiting(_locks.presence)
    lock_holder = _awaiting(_locks.get)
    subscribe = _opening(_feed.subscribe, AsyncSubscription)
    job = _opening(worker.start, AsyncJobWorker)

    def lock(self, name: str, *, ttl: int = 30, wait: float = 0.0) -> AsyncLock:
        """See Tidings.lock."""
        return AsyncLock(self._driver, name, ttl, wait)
