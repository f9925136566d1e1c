"""The parser of the WHATWG's event streams, from bytes to events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from taskstream.client.errors import EventTooLarge

MAX_RECONNECTION_SECONDS = 86_400.0
"""A day: the standard sets no limit, but an event loop can't sleep for longer than its clock counts."""
MAX_EVENT_BYTES = 16 * 1024 * 1024
"""An endless event must not fill the memory: the standard sets no limit to this either."""

LINE_END = re.compile("\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Event:
    """One event, in the standard's words."""

    type: str
    data: str
    last_event_id: str


class LineDecoder:
    """Makes lines of bytes, wherever they are split; each is there with the first byte of its end."""

    def __init__(self) -> None:
        # One leading BOM is dropped, bytes that are not UTF-8 become U+FFFD: the standard's "UTF-8 decode".
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line: list[str] = []
        self._after_cr = False

    def decode(self, chunk: bytes) -> Iterator[str]:
        """The lines that are complete with this chunk, without their ends."""
        text = self._decoder.decode(chunk)
        if not text:
            return
        if self._after_cr and text[0] == "\n":  # a CR LF, split in two: the CR has ended the line
            text = text[1:]
        self._after_cr = text.endswith("\r")
        first, *others = LINE_END.split(text)
        self._line.append(first)
        for other in others:
            yield "".join(self._line)
            self._line = [other]


class Parser:
    """Makes events of bytes, wherever they are split (sections 9.2.5 and 9.2.6).

    An event that is incomplete at the end of the stream is discarded, by asking no more. One of more than
    `max_event_bytes`, by about a chunk, raises `EventTooLarge`. `on_comment` is called with the text of
    each comment, without its colon and one space; servers send them as heartbeats.
    """

    def __init__(
        self,
        last_event_id: str = "",
        max_event_bytes: int = MAX_EVENT_BYTES,
        on_comment: Callable[[str], object] | None = None,
    ) -> None:
        self.last_event_id = last_event_id
        self.reconnection_seconds: float | None = None
        self._lines = LineDecoder()
        self._on_comment = on_comment
        self._max_event_bytes = max_event_bytes
        self._event_bytes = 0
        self._id = last_event_id
        self._type = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete with this chunk."""
        return list(self.parse(chunk))

    def parse(self, chunk: bytes) -> Iterator[Event]:
        """The same, one by one: comments are told when the events before them have been taken."""
        self._event_bytes += len(chunk)
        for line in self._lines.decode(chunk):
            if event := self._parse(line):
                yield event
        check_size(self._event_bytes, self._max_event_bytes)

    def _parse(self, line: str) -> Event | None:
        """Take in one line; the event, if it is the blank line that ends one."""
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if (seconds := parse_retry(value)) is not None:
                self.reconnection_seconds = seconds
            case "" if self._on_comment:
                self._on_comment(value)
        return None

    def _dispatch(self) -> Event | None:
        self._event_bytes = 0
        self.last_event_id = self._id  # even without data: an id alone moves the cursor
        type_, data = self._type or "message", self._data
        self._type, self._data = "", []
        return Event(type_, "\n".join(data), self.last_event_id) if data else None


def check_size(event_bytes: int, max_event_bytes: int) -> None:
    """Raise `EventTooLarge` if an event has grown beyond the limit."""
    if event_bytes > max_event_bytes:
        raise EventTooLarge(f"Expected events of at most {max_event_bytes} bytes, got more.", 200)


def parse_retry(value: str) -> float | None:
    """The reconnection time in a `retry` field, in seconds; None unless it is ASCII digits only."""
    if value.isascii() and value.isdigit():
        # float and not int: Python refuses to read an int of 5 000 digits.
        return min(float(value) / 1000, MAX_RECONNECTION_SECONDS)
    return None
