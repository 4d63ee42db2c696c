# SPDX-License-Identifier: Apache-2.0
"""Topics and patterns, as docs/protocol.md has them."""
from __future__ import annotations

import re

_SEGMENT = re.compile(r"[A-Za-z0-9._~@:-]{1,64}")


def _is_path(text: str, wildcards: bool) -> bool:
    segments = text.split("/")
    return (
        len(text) <= 255
        and len(segments) <= 16
        and all(
            _SEGMENT.fullmatch(segment)
            or (wildcards and (segment == "*" or (segment == "**" and i == len(segments) - 1)))
            for i, segment in enumerate(segments)
        )
    )


def is_topic(text: str) -> bool:
    """Whether the text is a topic."""
    return _is_path(text, wildcards=False)


def is_pattern(text: str) -> bool:
    """Whether the text is a pattern; every topic is one."""
    return _is_path(text, wildcards=True)


def matches(pattern: str, topic: str) -> bool:
    """Whether a (valid) pattern matches a (valid) topic."""
    wanted, given = pattern.split("/"), topic.split("/")
    if wanted[-1] == "**":
        wanted.pop()
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given))


def subject_segment(sub: str) -> str:
    """A subject as topics write it, for `users/{sub}` and `enhance/{sub}`."""
    return re.sub(
        r"[^A-Za-z0-9._@:-]",
        lambda found: "".join(f"~{byte:02X}" for byte in found.group().encode()),
        sub,
    )
