# SPDX-License-Identifier: Apache-2.0
"""What a subscription brings."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """What was published to a topic."""

    id: str | None
    """Its position; None of an ephemeral event, which is not stored."""
    topic: str
    type: str
    time: str
    """RFC 3339, UTC, with milliseconds."""
    data: Any = None
    key: str | None = None
    actor: str | None = None
    """The subject that published it."""
    origin: str | None = None
    """The connection that it was published on."""
    state: bool = False
    """It is retained state, shown to who comes new: not a change that happens now."""


@dataclass(frozen=True)
class Gap:
    """A part of what was asked for is gone.  The state follows, which holds what became of it; build anew from that."""

    start: str
    end: str
    reason: str
    """retention, epoch, unsynced or damaged."""


@dataclass(frozen=True)
class AccessLost:
    """A grant was taken away: nothing more of these topics comes."""

    topics: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class CaughtUp:
    """What was asked for from the past, and the state, has come; what follows is live."""

    position: str


Item = Event | Gap | AccessLost | CaughtUp


def read_event(message: Mapping[str, Any]) -> Event:
    """An event in the format `event`, which this package asks for everywhere."""
    return Event(
        message.get("id"),
        message["topic"],
        message["type"],
        message["time"],
        message.get("data"),
        message.get("key"),
        message.get("actor"),
        message.get("origin"),
        message.get("state") is True,
    )
