# SPDX-License-Identifier: Apache-2.0
"""Event streams as WHATWG HTML 9.2.6 reads them: bytes in, events out."""
from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class StreamEvent:
    """What a browser's EventSource would dispatch."""

    type: str
    data: str
    last_event_id: str


class EventStreamParser:
    """Reads one stream.  What no blank line follows when the stream ends is not dispatched."""

    def __init__(self) -> None:
        self.last_event_id = ""
        """Where to come back with, moved also by an `id:` without data."""
        self.retry_ms: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._started = False
        self._line = ""
        self._behind_cr = False
        self._id, self._type = "", ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Takes what was received; returns the events that it ends."""
        text = self._decoder.decode(chunk)
        if text and not self._started:
            self._started = True
            text = text.removeprefix("\ufeff")
        if text and self._behind_cr:
            # The CR before has ended its line; this LF is the rest of that end.
            self._behind_cr = False
            text = text.removeprefix("\n")
        if not text:
            return []
        self._behind_cr = text.endswith("\r")
        lines = _LINE_END.split(self._line + text)
        self._line = lines.pop()
        return [event for line in lines if (event := self._take(line))]

    def _take(self, line: str) -> StreamEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value)
        return None

    def _dispatch(self) -> StreamEvent | None:
        self.last_event_id = self._id
        type_, data = self._type, self._data
        self._type, self._data = "", []
        return StreamEvent(type_ or "message", "\n".join(data), self._id) if data else None
