# SPDX-License-Identifier: Apache-2.0
"""Growing texts: the chunks of an `append` key, put together by their offsets."""
from __future__ import annotations

from typing import Any


class Text:
    """One run of a text, whatever chunks it comes in: single, joined by the server, doubled, or from a replay."""

    def __init__(self) -> None:
        self.start = 0
        """The byte of the text where this run begins: 0 when nothing is missing before it."""
        self._bytes = bytearray()

    @property
    def end(self) -> int:
        """The byte behind the run: the offset of the chunk that goes on from here."""
        return self.start + len(self._bytes)

    @property
    def is_whole(self) -> bool:
        return self.start == 0

    def __str__(self) -> str:
        return self._bytes.decode()

    def put(self, data: dict[str, Any] | None) -> None:
        """Takes the `data` of one event; None, as the key was removed, empties the text."""
        if data is None:
            data = {"offset": 0, "content": ""}
        offset, content = int(data["offset"]), str(data["content"]).encode()
        at = offset - self.start
        if offset == 0 or not 0 <= at <= len(self._bytes) or self._is_inside_character(at):
            self.start, self._bytes = offset, bytearray(content)
        elif self._bytes[at : at + len(content)] != content:
            self._bytes[at:] = content

    def _is_inside_character(self, at: int) -> bool:
        return at < len(self._bytes) and self._bytes[at] & 0xC0 == 0x80
