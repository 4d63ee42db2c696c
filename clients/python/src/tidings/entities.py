# SPDX-License-Identifier: Apache-2.0
"""Entities: versioned JSON documents, each change of which is an event."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .core import Core, Operation, encode, new_key, segment


@dataclass(frozen=True)
class Entity:
    """A document as it was at a version; after `delete` the last one."""

    type: str
    id: str
    version: int
    payload: Any
    event_id: str
    """The position of the change: subscribing `since` it misses nothing."""
    timestamp: str
    actor: str | None = None


def read_entity(said: Mapping[str, Any]) -> Entity:
    return Entity(
        said["entity_type"],
        said["entity_id"],
        said.get("version", 0),
        said.get("payload"),
        said.get("event_id", ""),
        said.get("timestamp", ""),
        said.get("actor"),
    )


def _path(type: str, id: str) -> str:
    return f"/api/v1/entities/{segment(type)}/{segment(id)}"


def _change(
    core: Core,
    method: str,
    type: str,
    id: str,
    body: bytes | None,
    if_match: Entity | int | str | None,
    new: bool = False,
) -> Operation[Entity]:
    headers = {"Idempotency-Key": new_key()}
    if isinstance(if_match, Entity):
        if_match = if_match.event_id
    if if_match is not None:
        headers["If-Match"] = "*" if if_match == "*" else f'"{if_match}"'
    if new:
        headers["If-None-Match"] = "*"
    answer = yield from core.call(method, _path(type, id), body, headers=headers)
    return read_entity(answer.json())


def get(core: Core, type: str, id: str) -> Operation[Entity]:
    """The entity; NotFound when there is none."""
    answer = yield from core.call("GET", _path(type, id))
    return read_entity(answer.json())


def put(
    core: Core, type: str, id: str, payload: Any, *, if_match: Entity | int | str | None = None, new: bool = False
) -> Operation[Entity]:
    """Makes or replaces it.  `if_match`, an Entity as it was read, its version, or "*" (it exists), and `new` (there is none) are
    conditions; VersionConflict carries the `current` one."""
    return (yield from _change(core, "PUT", type, id, encode(payload), if_match, new))


def patch(
    core: Core, type: str, id: str, changes: Mapping[str, Any], *, if_match: Entity | int | str | None = None
) -> Operation[Entity]:
    """A JSON merge patch: members that are None go, others are set."""
    return (yield from _change(core, "PATCH", type, id, encode(changes), if_match))


def delete(core: Core, type: str, id: str, *, if_match: Entity | int | str | None = None) -> Operation[Entity]:
    """Removes it; returns the last one."""
    return (yield from _change(core, "DELETE", type, id, None, if_match))


def list_(core: Core, type: str) -> Operation[list[Entity]]:
    """All of a type that may be seen, by id."""
    found: list[Entity] = []
    while True:
        query = [("limit", "1000"), *([("after", found[-1].id)] if found else [])]
        answer = yield from core.call("GET", f"/api/v1/entities/{segment(type)}", query=query)
        page = answer.json()
        found += map(read_entity, page["entities"])
        if not page["more"] or not page["entities"]:
            return found
