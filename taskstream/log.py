"""The log of a task: numbered events, encoded once, bounded."""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from taskstream.events import Event, Kind

PIECE_BYTES = 64 * 1024
"""A viewer that lags behind is given the log in pieces of about this size."""


class Log:
    """The events of one task, numbered from 1.

    The latest are kept, at most `history_length` of `history_bytes` in all, or a single one; of snapshots,
    the latest always is, so that whoever comes late has a bar to show.
    """

    def __init__(self, history_length: int, history_bytes: int = 1024 * 1024) -> None:
        self.last_id = 0
        self.latest, self.latest_id = b"", 0
        """The latest snapshot: its data, and its number."""
        self.ended = False
        """Whether the last event is here, so that viewers see it."""
        self.sealed = False
        """Whether the last event was appended: in a file, that is a moment before viewers see it."""
        self.closed = False
        """Whether viewers wait for nothing more: the task has ended, or the server stops."""
        self.listeners: set[Callable[[], object]] = set()
        """What is called after each event."""
        self._history_length = history_length
        self._history_bytes = history_bytes
        # Columns, not a deque of `Event`s: the garbage collector would pause to look at so many.
        self._ids: deque[int] = deque()
        self._kinds: deque[Kind] = deque()
        self._data: deque[bytes] = deque()
        self._bytes = 0

    def append(self, data: bytes, kind: Kind = Kind.SNAPSHOT, event_id: int = 0) -> None:
        """Add an event, which is one line of `data`, and tell the listeners.

        Of kind `LOST`, without data, it takes the place of one that was dropped before it had a number.
        With an `event_id`, under the number that it was given elsewhere: those between are lost.
        """
        self.last_id = event_id or self.last_id + 1
        if kind is Kind.SNAPSHOT or kind is Kind.LAST:
            self.latest, self.latest_id = data, self.last_id
            self.ended = self.sealed = kind is Kind.LAST
            self.closed = self.closed or self.ended
        elif kind is Kind.LOST:
            data = data or Event.of_lost(self.last_id, self.last_id).data
        self._ids.append(self.last_id)
        self._kinds.append(kind)
        self._data.append(data)
        self._bytes += len(data)
        while len(self._ids) > self._history_length or (
            self._bytes > self._history_bytes and len(self._ids) > 1
        ):
            self._ids.popleft()
            self._kinds.popleft()
            self._bytes -= len(self._data.popleft())
        for listener in self.listeners:
            listener()

    def drop_events(self) -> None:
        """Keep none of the events; numbers go on, and the latest snapshot stays known."""
        for column in (self._ids, self._kinds, self._data):
            column.clear()
        self._bytes = 0

    def close(self) -> None:
        """Let every viewer go as soon as it has read what is there, because the server stops."""
        self.closed = True
        for listener in self.listeners:
            listener()

    def after(self, event_id: int) -> tuple[bytes, int]:
        """The bytes of the events that follow `event_id`, a piece at a time, and the id of the last."""
        if event_id == self.last_id - 1:  # what nearly every viewer wants nearly every time
            return frame(Event(self.last_id, self._kinds[-1], self._data[-1])), self.last_id
        events = self.events_after(event_id)
        return b"".join(map(frame, events)), events[-1].id if events else event_id

    def events_after(self, event_id: int) -> list[Event]:
        """The events that follow `event_id`, a piece at a time.

        Where some of those have been dropped, or are lost, it says so, with the latest snapshot if that is
        one of them.
        """
        if event_id == self.last_id - 1:
            return [Event(self.last_id, self._kinds[-1], self._data[-1])]
        piece: list[Event] = []
        piece_bytes = 0
        next_id = event_id + 1
        for event in self._kept(bisect_right(self._ids, event_id)):
            if event.id > next_id:
                piece.append(Event.of_lost(next_id, event.id - 1))
                if next_id <= self.latest_id < event.id:
                    piece.append(Event(self.latest_id, Kind.SNAPSHOT, self.latest))
            piece.append(event)
            next_id = event.id + 1
            piece_bytes += len(event.data)
            if piece_bytes >= PIECE_BYTES:
                break
        return piece

    def _kept(self, start: int = 0) -> Iterator[Event]:
        """The events that are kept, without so many of the oldest."""
        return map(Event, *(islice(each, start, None) for each in (self._ids, self._kinds, self._data)))

    def parse_id(self, last_event_id: str | None) -> int:
        """The event that a `Last-Event-ID` names; 0, before the first, if we never gave it out."""
        if last_event_id and re.fullmatch("[1-9][0-9]{0,17}", last_event_id):
            event_id = int(last_event_id)
            if event_id <= self.last_id:
                return event_id
        return 0


def frame(event: Event) -> bytes:
    """An event as Server-Sent Events have it (HTML standard, section 9.2.6)."""
    if event.kind is Kind.LOST:
        return b"event: lost\ndata: %b\n\n" % event.data  # no id: nobody has seen those events
    name = b"event: output\n" if event.kind is Kind.OUTPUT else b""
    return b"id: %d\n%bdata: %b\n\n" % (event.id, name, event.data)
