# SPDX-License-Identifier: Apache-2.0
"""Operations without I/O: generators that yield what is to be done, and are sent what came of it.

Everything that the clients do is written once, here and in the modules of operations; sync.py and aio.py only carry it out,
the one blocking, the other awaiting.
"""
from __future__ import annotations

import json
import os
import ssl
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from . import errors
from .backoff import Backoff, Profile, after_status

EVENTS = "/api/v1/events"
RETRIES = Profile(0.25, 2.0, 10.0, attempts=6)
"""How requests are repeated: for a quarter of a minute or so."""

Why = Literal["first", "expiring", "rejected"]
Query = Sequence[tuple[str, str]]
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """To be sent; what comes back is an Answer."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout_s: float


@dataclass(frozen=True)
class Answer:
    """Status 0: there was none; `body` says why."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Sleep:
    """To be waited for."""

    seconds: float


@dataclass(frozen=True)
class AskToken:
    """A token is wanted; what comes back is one, or None: signed out."""

    why: Why


Operation = Generator[Request | Sleep | AskToken, Any, T]


def segment(text: str) -> str:
    """A segment of a path."""
    return quote(text, safe="")


def encode(value: Any) -> bytes:
    """A value as the body of a request."""
    return json.dumps(value).encode()


def new_key() -> str:
    """A key that no other request has: who repeats the request with it can't double what it does."""
    return uuid.uuid4().hex


class Core:
    """Where the server is, and who speaks."""

    def __init__(self, url: str | None, ca: str | None, timeout_s: float, retries: Profile) -> None:
        self.url = (url or os.environ.get("TIDINGS_URL") or "http://127.0.0.1:8000").rstrip("/")
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ValueError(f"the URL must begin with http:// or https://, unlike {self.url!r}")
        self.tls = ssl.create_default_context(cafile=ca or os.environ.get("TIDINGS_CA") or None)
        self.timeout_s = timeout_s
        self.retries = retries
        self.token: str | None = None
        self.refused: str | None = None
        """One that an open connection did not take for its own, which stayed."""

    def address(self, path: str, query: Query = ()) -> str:
        return self.url + path + ("?" + urlencode(query) if query else "")

    def authorization(self) -> Operation[dict[str, str]]:
        """The headers that say who speaks."""
        if self.token is None:
            self.token = yield AskToken("first")
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def renew(self, rejected: str | None) -> Operation[bool]:
        """Whether there is another token than the one that was refused, which is never sent again."""
        if self.token != rejected:
            return True  # somebody else has renewed it meanwhile
        token: str | None = yield AskToken("rejected")
        if token is None or token in (rejected, self.refused):
            return False
        self.token = token
        return True

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
        repeats_unanswered: bool = True,
        until: float | None = None,
    ) -> Operation[Answer]:
        """One request, repeated while that may help: without an answer (unless it could do harm), when the server can't now, and with
        a new token.  `until`, of time.monotonic(), takes the place of the number of tries."""
        tries = Backoff(self.retries)
        renewed = False
        while True:
            sent = yield from self.authorization()
            token = self.token
            answer: Answer = yield Request(
                method,
                self.address(path, query),
                {**sent, **(headers or {}), **({"Content-Type": "application/json"} if body is not None else {})},
                body,
                self.timeout_s + wait_s,
            )
            if 200 <= answer.status < 300:
                return answer
            if answer.status == 401 and not renewed and (yield from self.renew(token)):
                renewed = True
                continue
            error = (
                errors.from_answer(answer.status, answer.headers, answer.body)
                if answer.status
                else errors.no_answer(answer.body.decode())
            )
            after = after_status(answer.status, error.retry_after)
            if after.action != "retry" or (answer.status == 0 and not repeats_unanswered):
                raise error
            delay = tries.delay(retry_after=after.retry_after, slow=after.slow)
            if until is not None:
                delay = min(delay or self.retries.max_s, self.retries.max_s)
                if time.monotonic() + delay > until:
                    raise error
            if delay is None:
                raise error
            yield Sleep(delay)
