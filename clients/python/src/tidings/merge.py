# SPDX-License-Identifier: Apache-2.0
"""Three versions of a document: what somebody else changed while one was editing."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

_ABSENT = object()


@dataclass(frozen=True)
class Merge:
    """`remote`: the fields that they changed, and I not in the same way; `both`: those of them that I changed too; `merged`:
    theirs with my changes over it, None when they deleted it."""

    conflict: Literal["none", "other-fields", "same-fields", "deleted"]
    remote: list[str]
    both: list[str]
    merged: dict[str, Any] | None


def _same(a: Any, b: Any) -> bool:
    """Equal as JSON: unlike Python's ==, a bool is no number."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def merge(base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> Merge:
    """Compares the fields of the top level, each as a whole."""
    if theirs is None:
        return Merge("deleted", [], [], None)
    remote, both, merged = [], [], dict(theirs)
    for name in sorted({*base, *mine, *theirs}):
        b, m, t = (document.get(name, _ABSENT) for document in (base, mine, theirs))
        if not _same(m, b):
            merged.pop(name, None)
            if m is not _ABSENT:
                merged[name] = m
        if not _same(t, b) and not _same(t, m):
            remote.append(name)
            if not _same(m, b):
                both.append(name)
    return Merge("same-fields" if both else "other-fields" if remote else "none", remote, both, merged)
