# SPDX-License-Identifier: Apache-2.0
"""Jobs: started, looked at, cancelled, waited for."""
from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .core import Core, Operation, encode, new_key, segment
from .events import Event, Item, read_event

JobState = Literal["queued", "running", "cancelling", "done", "failed", "cancelled"]
ENDS = ("done", "failed", "cancelled")
_WAIT_S = 25


@dataclass(frozen=True)
class Job:
    """A job as it was at `position`."""

    id: str
    kind: str
    state: JobState
    owner: str
    topic: str | None
    progress: float
    message: str | None
    step: Mapping[str, Any] | None
    result: Any
    error: Mapping[str, Any] | None
    """{code, message, details, suggested_actions} of one that failed."""
    position: str
    raw: Mapping[str, Any] = field(repr=False)
    """All that the server said of it."""

    @property
    def has_ended(self) -> bool:
        return self.state in ENDS


def read_job(said: Mapping[str, Any], position: str | None = None) -> Job:
    error = said.get("error")
    if isinstance(error, str):  # events have it flat
        names = ("code", "details", "suggested_actions")
        error = {"message": error, **{name: said.get(name) for name in names}}
    return Job(
        said["job_id"],
        said["kind"],
        said["state"],
        said.get("owner", ""),
        said.get("topic"),
        said.get("progress") or 0,
        said.get("message"),
        said.get("step"),
        said.get("result"),
        error,
        position or str(said.get("position", "")),
        said,
    )


def job_of(item: Item) -> Job | None:
    """The job that an event of its topic carries."""
    if isinstance(item, Event) and item.topic.startswith("jobs/") and isinstance(item.data, Mapping):
        return read_job(item.data, item.id)
    return None


def _path(job_id: str) -> str:
    return f"/api/v1/jobs/{segment(job_id)}"


def endpoint(job_id: str) -> str:
    """Where the events of a job are read by all who may see it."""
    return f"/ws/job/{segment(job_id)}"


def start_raw(core: Core, kind: str, members: Mapping[str, Any], idempotency_key: str | None) -> Operation[Any]:
    headers = {"Idempotency-Key": idempotency_key or new_key()}
    answer = yield from core.call("POST", "/api/v1/jobs", encode({"kind": kind, **members}), headers=headers)
    return answer.json()


def start(
    core: Core,
    kind: str,
    params: Mapping[str, Any] | None = None,
    *,
    viewers: Sequence[str] = (),
    idempotency_key: str | None = None,
) -> Operation[Job]:
    """Starts a job of a kind that the server's configuration declares.  The same `idempotency_key` finds the same job again."""
    members = {"params": dict(params or {}), "viewers": list(viewers)}
    return read_job((yield from start_raw(core, kind, members, idempotency_key)))


def get(core: Core, job_id: str) -> Operation[Job]:
    """The job; NotFound when there is none, or it is not yours to see."""
    answer = yield from core.call("GET", _path(job_id))
    return read_job(answer.json())


def list_(core: Core, *, kind: str | None = None, state: JobState | None = None) -> Operation[list[Job]]:
    """All that you may see, by id."""
    found: list[Job] = []
    wanted = [(name, value) for name, value in (("kind", kind), ("state", state)) if value]
    after: str | None = None
    while True:
        query = [*wanted, ("limit", "1000"), *([("after", after)] if after else [])]
        page = (yield from core.call("GET", "/api/v1/jobs", query=query)).json()
        found += map(read_job, page["jobs"])
        after = page["next"]
        if not after:
            return found


def cancel(core: Core, job_id: str) -> Operation[JobState]:
    """Asks a job to end; returns the state that it is in by then.  Again and again the same."""
    answer = yield from core.call("POST", _path(job_id) + "/cancel")
    state: JobState = answer.json()["state"]
    return state


def wait(core: Core, job_id: str, *, timeout: float | None = None) -> Operation[Job]:
    """Waits for the end of a job, whatever it is; TimeoutError behind `timeout` seconds."""
    end = None if timeout is None else time.monotonic() + timeout
    job = yield from get(core, job_id)
    position = job.position
    while not job.has_ended:
        wait_s = _WAIT_S if end is None else min(_WAIT_S, int(end - time.monotonic()) + 1)
        if end is not None and time.monotonic() >= end:
            raise TimeoutError(f"job {job_id} is {job.state} after {timeout} s")
        query = [("since", position), ("wait", str(wait_s)), ("format", "event")]
        page = (yield from core.call("GET", endpoint(job_id), query=query, wait_s=wait_s)).json()
        position = page["position"]
        for event in page["events"]:
            job = job_of(read_event(event)) or job
        if page.get("gap"):
            job = yield from get(core, job_id)
    return job
