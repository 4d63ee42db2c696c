# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as one family: each has a stable `code` for programs, and says what happened and what to do."""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class TidingsError(Exception):
    """The base of all.  `code` is one of docs/protocol.md, or of this package: connection_failed, replaced, lease_lost,
    lock_lost, cancelled."""

    def __init__(
        self,
        code: str,
        detail: str,
        what_to_do: str = "",
        *,
        status: int = 0,
        retry_after: float | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}" + (f" {what_to_do}" if what_to_do else ""))
        self.code = code
        self.detail = detail
        self.what_to_do = what_to_do
        self.status = status
        """Of HTTP, or the close code of a WebSocket; 0 when there was no answer."""
        self.retry_after = retry_after
        """Seconds, when the server said so."""
        self.more: Mapping[str, Any] = more or {}
        """What else the server said."""


class BadRequest(TidingsError):
    """The request is not what docs/protocol.md asks for."""


class Unauthorized(TidingsError):
    """No token, one that is not valid, or one that has expired."""


class Forbidden(TidingsError):
    """The token grants nothing of this, or only the server writes there."""


class NotFound(TidingsError):
    """There is none, or it is not yours to see."""


class IdempotencyMismatch(TidingsError):
    """The key was used before, with other content."""


class TooLarge(TidingsError):
    """A limit of the server."""


class RateLimited(TidingsError):
    """Too much at once; `retry_after` says when to come back."""


class Unavailable(TidingsError):
    """The server can't now, and may later: it is stopping, full, or its log is."""


class ConnectionFailed(Unavailable):
    """There was no answer, and nothing is known of what became of the request."""


class VersionConflict(TidingsError):
    """The entity is another one by now."""

    @property
    def current(self) -> Mapping[str, Any] | None:
        """The entity as it is, with its `version` and `payload`; None when there is none."""
        current = self.more.get("current")
        return current if isinstance(current, dict) else None


class LockHeld(TidingsError):
    """Somebody else has the lock."""

    @property
    def holder(self) -> str | None:
        return self.more.get("holder")

    @property
    def expires_in(self) -> float:
        return float(self.more.get("expires_in", 0))


class LockLost(TidingsError):
    """The lease ended, or the lock was given back, while it was held here."""


class LeaseLost(TidingsError):
    """The job has ended without this worker: its lease was over."""


class JobCancelled(TidingsError):
    """Somebody asked for the end of the job; raised by a worker's `check()`, and swallowed by its `with`."""


class Replaced(TidingsError):
    """A newer connection of the same user took the place of this one."""


_BY_CODE: dict[str, type[TidingsError]] = {
    "bad_request": BadRequest,
    "unauthorized": Unauthorized,
    "token_expired": Unauthorized,
    "forbidden": Forbidden,
    "reserved_topic": Forbidden,
    "not_found": NotFound,
    "version_conflict": VersionConflict,
    "lock_held": LockHeld,
    "idempotency_mismatch": IdempotencyMismatch,
    "too_large": TooLarge,
    "rate_limited": RateLimited,
    "replaced": Replaced,
    "connection_failed": ConnectionFailed,
}
# Where something else than the server answered, as a proxy does.
_STATUS_CODES = {401: "unauthorized", 403: "forbidden", 404: "not_found", 413: "too_large", 429: "rate_limited"}
_CLOSE_CODES = {4001: "unauthorized", 4003: "forbidden", 4004: "not_found", 4009: "replaced", 4029: "rate_limited"}


def _make(code: str, *said: Any, **more: Any) -> TidingsError:
    return _BY_CODE.get(code, Unavailable)(code, *said, **more)


def no_answer(why: object) -> TidingsError:
    """The connection could not be made, or broke."""
    return _make("connection_failed", f"no answer ({why})", "Check that the server runs, and its URL.")


def from_answer(status: int, headers: Mapping[str, str], body: bytes) -> TidingsError:
    """The error that an HTTP answer tells, a problem document or anything else."""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    code = problem.get("code") or _STATUS_CODES.get(status) or ("unavailable" if status >= 500 else "bad_request")
    after = headers.get("retry-after", "")
    return _make(
        code,
        problem.get("detail") or f"the answer was {status}",
        problem.get("what_to_do", ""),
        status=status,
        retry_after=float(after) if after.isascii() and after.isdigit() else None,
        more=problem,
    )


def from_close(code: int, reason: str) -> TidingsError:
    """The error that the end of a WebSocket tells."""
    if code in (1005, 1006):
        return no_answer("the connection broke")
    what_to_do = {
        4001: "Send another token.",
        4003: "Ask for a grant that covers the topic.",
        4009: "Follow again when it is needed.",
    }
    return _make(
        _CLOSE_CODES.get(code, "unavailable"), reason or f"closed with {code}", what_to_do.get(code, ""), status=code
    )
