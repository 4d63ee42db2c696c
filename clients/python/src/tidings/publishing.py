# SPDX-License-Identifier: Apache-2.0
"""Publishing, and what is said in a project."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .core import EVENTS, Core, Operation, encode, new_key

EventClass = Literal["log", "latest", "append", "ephemeral"]


@dataclass(frozen=True)
class Published:
    """Stored: `durable` when it is on disk."""

    ids: tuple[str | None, ...]
    """In the order in which they were given; None of an ephemeral event."""
    position: str | None
    durable: bool

    @property
    def id(self) -> str | None:
        return self.ids[0]


def _send(core: Core, body: Any, ephemeral: bool, idempotency_key: str | None) -> Operation[Published]:
    # What is ephemeral goes at most once: it has no key, and is not repeated where it may have arrived.
    headers = {} if ephemeral else {"Idempotency-Key": idempotency_key or new_key()}
    answer = yield from core.call("POST", EVENTS, encode(body), headers=headers, repeats_unanswered=not ephemeral)
    said = answer.json()
    ids = said["ids"] if "ids" in said else [said["id"]]
    return Published(tuple(ids), said.get("position"), said["durable"])


def publish(
    core: Core,
    topic: str | Iterable[str],
    type: str,
    data: Any = None,
    *,
    key: str | None = None,
    event_class: EventClass = "log",
    idempotency_key: str | None = None,
) -> Operation[Published]:
    """Publishes an event to a topic, or to several at once, all or none.  It is on disk when this returns.

    A request that was not answered is repeated with the same `idempotency_key`, a new one unless you give yours, so
    that it can't double.  `key` makes it state: the latest event of each topic and key is shown to who comes new."""
    event: dict[str, Any] = {"type": type, "data": data}
    if isinstance(topic, str):
        event["topic"] = topic
    else:
        event["topics"] = list(topic)
    if key is not None:
        event["key"] = key
    if event_class != "log":
        event["class"] = event_class
    return (yield from _send(core, event, event_class == "ephemeral", idempotency_key))


def publish_many(
    core: Core, events: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None
) -> Operation[Published]:
    """Publishes up to 1000 events, objects as docs/protocol.md has them, all or none, next to each other."""
    batch = [dict(event) for event in events]
    ephemeral = any(event.get("class") == "ephemeral" for event in batch)
    return (yield from _send(core, batch, ephemeral, idempotency_key))


def broadcast_to_project(
    core: Core, project_id: str, type: str, data: Mapping[str, Any] | None = None
) -> Operation[Published]:
    """Tells all who follow a project."""
    return (yield from publish(core, f"projects/{project_id}", type, dict(data or {})))


def _told(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def broadcast_status_update(
    core: Core,
    project_id: str,
    status: str,
    progress: float | None = None,
    *,
    job_id: str | None = None,
    message: str | None = None,
) -> Operation[Published]:
    """`status_update`: how far the generation of a project is; `progress` from 0 to 100."""
    data = _told(project_id=project_id, job_id=job_id, status=status, progress=progress, message=message)
    return (yield from broadcast_to_project(core, project_id, "status_update", data))


def broadcast_agent_update(
    core: Core,
    project_id: str,
    agent: str,
    status: Literal["started", "completed", "failed"],
    *,
    agent_name: str | None = None,
    duration: float | None = None,
    message: str | None = None,
) -> Operation[Published]:
    """`agent_update`: an agent began, or ended behind `duration` seconds.  Without a `message` it is "Starting … agent" and so on."""
    name = agent_name or agent
    if message is None:
        behind = f" in {duration:.1f}s" if duration is not None else ""
        message = f"Starting {name} agent" if status == "started" else f"{status.capitalize()} {name} agent{behind}"
    data = _told(project_id=project_id, agent=agent, agent_name=name, status=status, duration=duration, message=message)
    return (yield from broadcast_to_project(core, project_id, "agent_update", data))


def broadcast_log(
    core: Core, project_id: str, message: str, level: str = "info", *, agent: str | None = None
) -> Operation[Published]:
    """`log`: a line for people; `level` is debug, info, warn or error."""
    return (
        yield from broadcast_to_project(
            core, project_id, "log", _told(project_id=project_id, message=message, level=level, agent=agent)
        )
    )


def broadcast_completion(
    core: Core,
    project_id: str,
    status: Literal["completed", "failed", "cancelled"] = "completed",
    *,
    job_id: str | None = None,
    duration: float | None = None,
    result: Any = None,
    error: str | None = None,
) -> Operation[Published]:
    """`completion`: the generation of a project has ended."""
    data = _told(project_id=project_id, job_id=job_id, status=status, duration=duration, result=result, error=error)
    return (yield from broadcast_to_project(core, project_id, "completion", data))
