# SPDX-License-Identifier: Apache-2.0
"""When to come back: how long to wait behind a failure, and behind which not to try again."""
from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

STABLE_S = 10.0
"""A connection that lasted so long was good: the count of failures begins anew."""


@dataclass(frozen=True)
class Profile:
    """delay(n) = min(max_s, base_s × factor**n), then jitter, so that clients never come back in step."""

    base_s: float
    factor: float
    max_s: float
    attempts: int | None = None
    jitter: Literal["equal", "full", "none"] = "equal"


STEADY = Profile(1.0, 2.0, 30.0)
"""1, 2, 4, 8 … 30 s, without end."""
BRIEF = Profile(2.0, 1.5, 30.0, attempts=5)
"""2, 3, 4.5 … s, five tries."""


class Backoff:
    """Counts failures in a row."""

    def __init__(self, profile: Profile = STEADY) -> None:
        self.profile = profile
        self.failures = 0

    def delay(self, connected_s: float = 0.0, retry_after: float | None = None, slow: bool = False) -> float | None:
        """Seconds to wait behind one more failure, None when the tries are used up.  `retry_after`, from the server, counts as
        it is; `slow` asks for the longest delay."""
        p = self.profile
        if connected_s >= STABLE_S:
            self.failures = 0
        if p.attempts is not None and self.failures >= p.attempts:
            return None
        n = self.failures
        self.failures += 1
        if retry_after is not None:
            return retry_after
        # Beyond 64 doublings everything is above the cap, and floats have an end.
        capped = p.max_s if slow else min(p.max_s, p.base_s * p.factor ** min(n, 64))
        part = {"equal": 0.5, "full": 1.0, "none": 0.0}[p.jitter]
        return int(1000 * capped * (1 - part * random.random())) / 1000


@dataclass(frozen=True)
class After:
    """What to do behind the end of a connection: `retry`, `token` (only with another one), `never`, or `used` (when the
    client is used again)."""

    action: Literal["retry", "token", "never", "used"]
    retry_after: float | None = None
    slow: bool = False


def after_close(code: int, retry_after: float | None = None) -> After:
    """What to do behind a WebSocket's close code; `retry_after` as `draining` gave it."""
    if code == 4001:
        return After("token")
    if code in (4003, 4004):
        return After("never")
    if code == 4009:
        return After("used")
    return After("retry", retry_after, slow=code == 4029 and retry_after is None)


def after_status(status: int, retry_after: float | None = None) -> After:
    """What to do behind an HTTP status, 0 where there was no answer; `retry_after` as `Retry-After` gave it."""
    if status == 401:
        return After("token")
    if 400 <= status < 500 and status not in (408, 429):
        return After("never")
    return After("retry", retry_after, slow=status == 429 and retry_after is None)
