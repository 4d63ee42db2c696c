# SPDX-License-Identifier: Apache-2.0
"""Work done elsewhere, without I/O: what is to be reported of a job, in order, each once."""
from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from . import errors, jobs
from .core import Core, Operation, encode, segment
from .jobs import Job

EVENTS_MAX = 200
QUEUE_MAX = 1000
"""So many events may wait to be sent; who reports more waits."""
_BYTES_MAX = 256 * 1024


class Reports:
    """Gathers what a worker says.  One report is under way at a time; what comes meanwhile goes with the next.

    Each report has a number, `seq`: repeated without an answer, it is not taken twice.
    """

    def __init__(self, started: Mapping[str, Any]) -> None:
        self.job: Job = jobs.read_job(started)
        self.lease_s: int = started["lease"]
        self.lost: errors.TidingsError | None = None
        """Why nothing more can be reported."""
        self.refused: errors.TidingsError | None = None
        """What the server did not take; the job fails by it."""
        self.has_ended = False
        self._token: str = started["lease_token"]
        self._events: deque[tuple[dict[str, Any], int]] = deque()  # with their bytes
        self._progress: dict[str, Any] = {}
        self._end: dict[str, Any] | None = None
        self._ends = False  # the report under way is the last
        self._seq = 0

    @property
    def has_room(self) -> bool:
        """Whether more can be added, or an error is to be raised by trying."""
        return len(self._events) < QUEUE_MAX or bool(self.lost or self.refused)

    @property
    def is_over(self) -> bool:
        return self.has_ended or self.lost is not None

    @property
    def pause_s(self) -> float | None:
        """How long until the next report is due, if nothing is said meanwhile; None behind the last."""
        if self.is_over:
            return None
        return 0.0 if self.is_due else self.lease_s / 3

    @property
    def is_due(self) -> bool:
        """Whether there is something to report, besides that the worker lives."""
        return bool(self._events or self._progress or self._end)

    def check(self) -> None:
        """Raises JobCancelled when the job is to stop, LeaseLost when it has ended without this worker."""
        self._check_reports()
        if self.job.state == "cancelling":
            raise errors.JobCancelled("cancelled", "the job was cancelled", "Stop, and leave the block.")

    def _check_reports(self) -> None:
        if error := self.lost or self.refused:
            raise error

    def add(self, event: dict[str, Any] | None, progress: Mapping[str, Any] | None) -> None:
        self._check_reports()
        if event is not None:
            self._events.append((event, len(json.dumps(event))))
        self._progress |= {name: value for name, value in (progress or {}).items() if value is not None}

    def end(self, state: str, **members: Any) -> None:
        """The first end is the one."""
        self._end = self._end or {"state": state, **members}

    def end_by(self, raised: BaseException | None, outcome: Mapping[str, Any] | None) -> None:
        """Ends it as the block of the worker did."""
        if isinstance(raised, errors.JobCancelled):
            self.end("cancelled")
        elif raised is not None:
            what = str(raised) or type(raised).__name__
            self.end(
                "failed",
                error={
                    "code": "exception",
                    "message": what[:1000],
                    "details": type(raised).__name__,
                    "suggested_actions": [],
                },
            )
        else:
            self.end(**(outcome or {"state": "done"}))

    def take(self) -> dict[str, Any]:
        """The next report; empty but for the token it only renews the lease."""
        events: list[dict[str, Any]] = []
        size = 0
        while self._events and len(events) < EVENTS_MAX and size < _BYTES_MAX:
            event, n = self._events.popleft()
            events.append(event)
            size += n
        self._seq += 1
        report = {
            "lease_token": self._token,
            "seq": self._seq,
            **self._progress,
            **({"events": events} if events else {}),
        }
        self._progress = {}
        if self._end and not self._events:
            self._ends = True
            report |= self._end
        return report

    def send(self, core: Core, report: Mapping[str, Any]) -> Operation[None]:
        """Sends it, for as long as the lease may last; sets `lost` when that failed."""
        path = f"/api/v1/jobs/{segment(self.job.id)}/events"
        try:
            answer = yield from core.call("POST", path, encode(report), until=time.monotonic() + self.lease_s)
            self.job = jobs.read_job(answer.json())
            self.has_ended = self._ends
        except errors.NotFound:
            yield from self._look(core, report)
        except (errors.BadRequest, errors.TooLarge) as error:
            if self.refused:
                self.lost = error
            self.refused, self._ends = error, False
            self._events.clear()
            failure = {"code": error.code, "message": error.detail, "suggested_actions": [error.what_to_do]}
            self._end = {"state": "failed", "error": failure}
        except errors.TidingsError as error:
            self.lost = error

    def _look(self, core: Core, report: Mapping[str, Any]) -> Operation[None]:
        """The job has ended: by this report, when the answer to its first try was lost, or without this worker."""
        with contextlib.suppress(errors.TidingsError):
            self.job = yield from jobs.get(core, self.job.id)
        code = (self.job.error or {}).get("code")
        if self._ends and self.job.state == report["state"] and code == report.get("error", {}).get("code"):
            self.has_ended = True
            return
        detail = f"job {self.job.id} has ended without this worker: {self.job.state}"
        self.lost = errors.LeaseLost("lease_lost", detail, "Throw away what was done, or start anew.")


R = TypeVar("R")


class Worker(Generic[R]):
    """What a worker says of its job; R is what a method returns: None of the blocking one, else an awaitable."""

    _reports: Reports
    _outcome: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        return self._reports.job.id

    @property
    def job(self) -> Job:
        """The job as the last report found it."""
        return self._reports.job

    @property
    def cancelling(self) -> bool:
        """Whether somebody has asked for its end, as of the last report."""
        return self._reports.job.state == "cancelling"

    def check(self) -> None:
        """Raises JobCancelled when it is to stop, LeaseLost when it has ended without this worker."""
        self._reports.check()

    def complete(self, result: Any = None) -> None:
        """It is done once the block is left, with that result."""
        json.dumps(result)  # what can't be written is told here, not behind the block
        self._outcome = {"state": "done", "result": result}

    def fail(
        self, message: str, *, code: str = "failed", details: str = "", suggested_actions: Sequence[str] = ()
    ) -> None:
        """It has failed once the block is left."""
        error = {"code": code, "message": message, "details": details, "suggested_actions": list(suggested_actions)}
        self._outcome = {"state": "failed", "error": error}

    def progress(self, percent: float | None = None, message: str | None = None) -> R:
        """How far it is, 0 to 100; the newest is what counts."""
        return self._add(None, {"progress": percent, "message": message})

    def partial(self, text: str) -> R:
        """A piece of the text that it writes."""
        return self._add({"text": text})

    def output(self, line: str, stream: str = "stdout") -> R:
        """A line of output."""
        return self._add({"line": line, "stream": stream})

    def log(self, message: str, level: str = "info") -> R:
        """A line for people; `level` is debug, info, warn or error."""
        return self._add({"log": message, "level": level})

    def event(self, type: str, data: Mapping[str, Any] | None = None) -> R:
        """An event of its own on the topic of its kind."""
        return self._add({"type": type, "data": dict(data or {})})

    def _add(self, event: dict[str, Any] | None, progress: Mapping[str, Any] | None = None) -> R:
        raise NotImplementedError


def start(
    core: Core,
    kind: str,
    params: Mapping[str, Any] | None = None,
    *,
    lease: int = 30,
    viewers: Sequence[str] = (),
    idempotency_key: str | None = None,
) -> Operation[Reports]:
    """Starts a job that this process works on; it fails by itself when nothing was heard of it for `lease` seconds."""
    members = {"params": dict(params or {}), "viewers": list(viewers), "external": True, "lease": lease}
    return Reports((yield from jobs.start_raw(core, kind, members, idempotency_key)))
