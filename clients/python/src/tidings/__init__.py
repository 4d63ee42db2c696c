# SPDX-License-Identifier: Apache-2.0
"""Tidings from Python: publish, follow, work on jobs; `Tidings` blocks, `AsyncTidings` is for asyncio."""
from .aio import AsyncJobWorker, AsyncLock, AsyncSubscription, AsyncTidings
from .backoff import BRIEF, STEADY, Profile
from .entities import Entity
from .errors import (
    BadRequest,
    ConnectionFailed,
    Forbidden,
    IdempotencyMismatch,
    JobCancelled,
    LeaseLost,
    LockHeld,
    LockLost,
    NotFound,
    RateLimited,
    Replaced,
    TidingsError,
    TooLarge,
    Unauthorized,
    Unavailable,
    VersionConflict,
)
from .events import AccessLost, CaughtUp, Event, Gap, Item
from .jobs import Job
from .locks import LockState, Presence, Present
from .merge import Merge, merge
from .publishing import Published
from .sync import JobWorker, Lock, Subscription, Tidings
from .text import Text

__all__ = [
    "AccessLost",
    "AsyncJobWorker",
    "AsyncLock",
    "AsyncSubscription",
    "AsyncTidings",
    "BRIEF",
    "BadRequest",
    "CaughtUp",
    "ConnectionFailed",
    "Entity",
    "Event",
    "Forbidden",
    "Gap",
    "IdempotencyMismatch",
    "Item",
    "Job",
    "JobCancelled",
    "JobWorker",
    "LeaseLost",
    "Lock",
    "LockHeld",
    "LockLost",
    "LockState",
    "Merge",
    "NotFound",
    "Presence",
    "Present",
    "Profile",
    "Published",
    "RateLimited",
    "Replaced",
    "STEADY",
    "Subscription",
    "Text",
    "Tidings",
    "TidingsError",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "VersionConflict",
    "merge",
]
