# SPDX-License-Identifier: Apache-2.0
"""Locks, leases on a name; and presence, who follows a topic."""
from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import errors
from .core import Core, Operation, Sleep, encode, segment


@dataclass(frozen=True)
class LockState:
    """Who holds a lock.  `fence` never falls: send it along where you write under the lock, and refuse lower ones there."""

    name: str
    holder: str
    fence: int
    expires_in: float


@dataclass(frozen=True)
class Present:
    user: str
    connection_id: str
    since: str


@dataclass(frozen=True)
class Presence:
    """Who follows a topic; `users` are the first of `count`."""

    topic: str
    count: int
    users: tuple[Present, ...]


class HeldLock:
    """A lock that is held, and renewed while it is."""

    def __init__(self, name: str, ttl: int, wait: float) -> None:
        self.name = name
        self.ttl = ttl
        self.wait = wait
        self.lost: errors.TidingsError | None = None
        """Why it is not held any more."""
        self._state: LockState | None = None

    @property
    def fence(self) -> int:
        """Never falls: send it along where you write under the lock, and refuse lower ones there."""
        if self._state is None:
            raise errors.LockLost("lock_lost", f"{self.name} is not locked", "Use it in a `with`.")
        return self._state.fence

    def check(self) -> None:
        """Raises LockLost when the lock is not held any more."""
        if self.lost:
            raise errors.LockLost(
                "lock_lost", f"{self.name} was lost: {self.lost.detail}", "Stop what needs it."
            ) from self.lost

    def acquire(self, core: Core) -> Operation[None]:
        self._state = yield from acquire(core, self.name, self.ttl, self.wait)

    def renew(self, core: Core) -> Operation[float | None]:
        """Renews it; how long until the next time, None when it is lost."""
        fence = self.fence
        try:
            state = yield from renew(core, self.name, self.ttl)
        except errors.TidingsError as error:
            self.lost = error
            return None
        if state.fence != fence:
            # The lease had ended, and this took it anew: what others did in between is not known here.
            self.lost = errors.LockLost("lock_lost", "its lease had ended", "")
            return None
        return self.ttl / 3

    def release(self, core: Core) -> Operation[None]:
        if not self.lost or isinstance(self.lost, errors.LockLost):
            yield from release(core, self.name)


def _path(name: str) -> str:
    return "/api/v1/locks/" + "/".join(map(segment, name.split("/")))


def _read(said: Mapping[str, Any]) -> LockState:
    return LockState(said["name"], said["holder"], said["fence"], said["expires_in"])


def get(core: Core, name: str) -> Operation[LockState | None]:
    """Who holds a lock; None when nobody does."""
    try:
        answer = yield from core.call("GET", _path(name))
    except errors.NotFound:
        return None
    return _read(answer.json())


def renew(core: Core, name: str, ttl: int) -> Operation[LockState]:
    answer = yield from core.call("PUT", _path(name), encode({"ttl": ttl}), until=time.monotonic() + ttl)
    return _read(answer.json())


def acquire(core: Core, name: str, ttl: int, wait: float) -> Operation[LockState]:
    end = time.monotonic() + wait
    while True:
        try:
            return (yield from renew(core, name, ttl))
        except errors.LockHeld as held:
            # Its holder may give it back earlier than it said.
            pause = min(held.retry_after or 1.0, 1.0, end - time.monotonic())
            if pause <= 0:
                raise
        yield Sleep(pause)


def release(core: Core, name: str) -> Operation[None]:
    try:
        yield from core.call("DELETE", _path(name))
    except errors.NotFound:
        pass  # the lease has ended, or the answer of the first try was lost


def presence(core: Core, topic: str, *, limit: int = 100) -> Operation[Presence]:
    """Who follows a topic; NotFound when the server keeps no presence of it (`presence.topics`)."""
    answer = yield from core.call("GET", "/api/v1/presence", query=[("topic", topic), ("limit", str(limit))])
    said = answer.json()
    users = tuple(Present(user["user"], user["connection_id"], user["since"]) for user in said["users"])
    return Presence(said["topic"], said["count"], users)
