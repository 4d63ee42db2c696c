# SPDX-License-Identifier: Apache-2.0
"""A subscription without I/O: what survives the connections that it is read from."""
from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from . import errors
from .backoff import STEADY, After, Backoff, Profile
from .core import EVENTS, Core, Operation
from .eventstream import EventStreamParser
from .events import AccessLost, CaughtUp, Event, Gap, Item, read_event

Status = Literal["connecting", "connected", "disconnected", "error"]
OnStatus = Callable[[Status, Exception | None], None]
_RECENT = 100


@dataclass(kw_only=True)
class Feed:
    """Remembers where it stands, and says how to go on.

    `taken` is what came and was not given to the user yet, each with the position behind it; it outlives connections, so
    a new one begins at `position`, behind what was taken, while the user may be further back.
    """

    path: str = EVENTS
    patterns: Sequence[str] = ()
    since: str | None = None
    types: Iterable[str] = ()
    state: bool | None = None
    caught_up: bool = False
    backoff: Profile = STEADY
    on_status: OnStatus | None = None

    def __post_init__(self) -> None:
        self.position = None if self.since in (None, "now", "earliest") else self.since
        self.deadline_s = 45.0
        """Nothing heard for so long: the connection is taken for dead."""
        self.status: Status = "connecting"
        self.taken: deque[tuple[Item | None, str | None]] = deque()
        self.has_renewed = False
        """Whether the token was renewed since the last connection that was good."""
        self._was_open = False
        self._lost: set[str] = set()
        self._is_caught_up = False
        self._failures = Backoff(self.backoff)
        self._opened_at: float | None = None
        self._retry_after: float | None = None
        self._recent: deque[str] = deque(maxlen=_RECENT)

    # ---- a connection ----

    @property
    def granted(self) -> Sequence[str]:
        """The patterns without those that were lost: one of them would have all refused."""
        return [pattern for pattern in self.patterns if pattern not in self._lost]

    def query(self) -> list[tuple[str, str]]:
        """The parameters that go on from here.  With nothing left they ask for all, and are told why not."""
        query = [("topic", pattern) for pattern in self.granted or self.patterns]
        query += [("type", type) for type in self.types]
        if since := self.position or self.since:
            query.append(("since", since))
        if self.state is False:
            query.append(("state", "0"))
        elif not self._is_caught_up and (self.state or self.since in (None, "now")):
            query.append(("state", "1"))
        return [*query, ("format", "event")]

    def opened(self, position: str | None = None) -> None:
        """Connected.  `position` is where the answer stands: from there on a newcomer misses nothing, though this connection
        should break before it has caught up."""
        self._was_open = True
        self._opened_at = time.monotonic()
        self._retry_after = None
        self.has_renewed = False
        if self.position is None and self.since in (None, "now"):
            self.position = position
        self.tell("connected")

    def take(self, message: Mapping[str, Any]) -> None:
        """Takes one message of the server."""
        if message.get("control") is True:
            self._take_control(message)
            return
        event = read_event(message)
        if event.id is None or event.state:
            self.taken.append((event, self.position))
        elif event.id not in self._recent:
            self._recent.append(event.id)
            self.position = event.id
            self.taken.append((event, event.id))

    def _take_control(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "connection":
            beat = message.get("heartbeat") or {}
            self.deadline_s = beat.get("interval", 30) + beat.get("timeout", 10) + 5.0
            self.opened(message.get("position"))
        elif kind == "caught_up":
            self._is_caught_up = True
            self.position = message["position"]
            self.taken.append((CaughtUp(message["position"]) if self.caught_up else None, self.position))
        elif kind == "heartbeat":
            self.move(message["position"])
        elif kind == "gap":
            self.taken.append((Gap(message.get("from", ""), message["to"], message["reason"]), self.position))
        elif kind == "access_lost" or (kind == "authenticated" and message.get("lost")):
            topics = tuple(message.get("topics") or message.get("lost") or ())
            self._lose(topics, message.get("reason", "the new token does not grant them"))
        elif kind == "draining":
            self._retry_after = message.get("retry_after")

    def _lose(self, topics: tuple[str, ...], reason: str) -> None:
        self._lost.update(topics)
        self.taken.append((AccessLost(topics, reason), self.position))

    def move(self, position: str) -> None:
        """Nothing up to there is owed any more."""
        if position and position != self.position:
            self.position = position
            self.taken.append((None, position))

    def recovers(self, core: Core, after: After, error: errors.TidingsError, token: str | None) -> Operation[bool]:
        """Whether a connection that was refused, or ended, with this token may be made again at once: with another token, or
        without the patterns of which nothing is granted any more."""
        if after.action == "token" and not self.has_renewed:
            self.has_renewed = yield from core.renew(token)
            return self.has_renewed
        if not isinstance(error, errors.Forbidden) or not self._was_open:
            return False
        granted = self.granted
        # The answer does not say which it is.
        lost = []
        for pattern in granted if len(granted) > 1 else ():
            try:
                yield from core.call("GET", self.path, query=[("topic", pattern), ("since", "now"), ("limit", "1")])
            except errors.Forbidden:
                lost.append(pattern)
            except errors.TidingsError:
                pass  # the next connection meets it, if it lasts
        if not lost or len(lost) == len(granted):
            return False
        self._lose(tuple(lost), "they are not granted any more")
        return True

    def ended(self, after: After, error: errors.TidingsError) -> float:
        """The connection is over: how long to wait before the next.  Raises the error when there is to be none."""
        lasted = 0.0 if self._opened_at is None else time.monotonic() - self._opened_at
        self._opened_at = None
        delay = None
        if after.action == "retry":
            given = self._retry_after if after.retry_after is None else after.retry_after
            delay = self._failures.delay(lasted, given, after.slow and given is None)
        if delay is None:
            self.tell("error", error)
            raise error
        self.tell("disconnected", error)
        return delay

    def tell(self, status: Status, error: Exception | None = None) -> None:
        if status != self.status or error is not None:
            self.status = status
            if self.on_status:
                self.on_status(status, error)


def subscribe(
    core: Core,
    *patterns: str,
    since: str | None = None,
    types: Iterable[str] = (),
    state: bool | None = None,
    caught_up: bool = False,
    backoff: Profile = STEADY,
    on_status: OnStatus | None = None,
) -> Feed:
    """Follows patterns: events in order, each once, over any number of connections, and a Gap where the server has dropped something.

    `since` is a position, "earliest" or "now"; without it the state comes first (unless `state=False`).  `caught_up=True` tells
    with a CaughtUp where the past ends.  `on_status` is told connecting, connected, disconnected (with the reason) and
    error."""
    if not patterns:
        raise ValueError("a subscription needs a pattern at least")
    return Feed(
        patterns=patterns,
        since=since,
        types=tuple(types),
        state=state,
        caught_up=caught_up,
        backoff=backoff,
        on_status=on_status,
    )


class StreamReader:
    """One event stream that a feed is read from."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._parser = EventStreamParser()

    @property
    def retry_after(self) -> float | None:
        """Seconds that the stream asked to wait behind its end."""
        retry = self._parser.retry_ms
        return None if retry is None else retry / 1000

    def feed(self, chunk: bytes) -> None:
        for event in self._parser.feed(chunk):
            self._feed.take(json.loads(event.data))
        # An `id:` alone moves a quiet reader on; that of an event was taken with it.
        self._feed.move(self._parser.last_event_id)
