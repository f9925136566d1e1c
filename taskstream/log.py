"""The log of a task, and its viewers: a `Follower` reads one log, an `Overview` shows many."""

import asyncio
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Self

HISTORY_BYTES = 1024 * 1024
"""The most that the events of one log take, unless a single one is larger."""

PIECE_BYTES = 64 * 1024
"""A viewer that lags behind is given the log in pieces of about this size."""


class Log:
    """The events of one task: numbered from 1, encoded once.

    The latest are kept, at most `history_length` of `history_bytes` in all; of snapshots, the latest always
    is, so that whoever comes late has a bar to show.
    """

    def __init__(self, history_length: int, history_bytes: int = HISTORY_BYTES) -> None:
        self.last_id = 0
        self.latest = b""
        """The data of the latest snapshot."""
        self.latest_id = 0
        """The number of the latest snapshot."""
        self.ended = False
        self.closed = False
        self.listeners: set[Callable[[], None]] = set()
        self._history_length = history_length
        self._history_bytes = history_bytes
        self._events: deque[bytes] = deque()
        self._bytes = 0

    def append(self, data: bytes, *, last: bool = False) -> None:
        """Add a snapshot, which is one line of `data`, and tell the listeners."""
        self.latest, self.latest_id = data, self.last_id + 1
        self.ended = last
        self.closed = self.closed or last
        self._add(b"id: %d\ndata: %b\n\n" % (self.latest_id, data))

    def append_output(self, data: bytes) -> None:
        """Add output, which is one line of `data`, and tell the listeners."""
        self._add(b"id: %d\nevent: output\ndata: %b\n\n" % (self.last_id + 1, data))

    def close(self) -> None:
        """Let every viewer go as soon as it has read what is there, because the server stops."""
        self.closed = True
        self._tell()

    def after(self, event_id: int) -> tuple[bytes, int]:
        """The events that follow `event_id`, a piece at a time, and the id of the last of them.

        If some of those have been dropped, the piece begins by saying so, with the latest snapshot if that
        is one of them.
        """
        if event_id == self.last_id - 1:  # what nearly every viewer wants nearly every time
            return self._events[-1], self.last_id
        dropped = self.last_id - len(self._events)
        piece: list[bytes] = [] if event_id >= dropped else [self._lost(event_id + 1, dropped)]
        start = max(event_id - dropped, 0)
        piece_bytes = 0
        for event in islice(self._events, start, None):
            piece.append(event)
            piece_bytes += len(event)
            if piece_bytes >= PIECE_BYTES:
                break
        return b"".join(piece), dropped + start + len(piece) - (event_id < dropped)

    def parse_id(self, last_event_id: str | None) -> int:
        """The event that a `Last-Event-ID` names; 0, before the first, if we never gave it out."""
        if last_event_id and re.fullmatch("[1-9][0-9]{0,17}", last_event_id):
            event_id = int(last_event_id)
            if event_id <= self.last_id:
                return event_id
        return 0

    def _add(self, event: bytes) -> None:
        self.last_id += 1
        self._events.append(event)
        self._bytes += len(event)
        while len(self._events) > self._history_length or (
            self._bytes > self._history_bytes and len(self._events) > 1
        ):
            self._bytes -= len(self._events.popleft())
        self._tell()

    def _lost(self, first: int, last: int) -> bytes:
        """What is said instead of events that have been dropped."""
        lost = b'event: lost\ndata: {"from":%d,"to":%d}\n\n' % (first, last)
        if first <= self.latest_id <= last:
            lost += b"id: %d\ndata: %b\n\n" % (self.latest_id, self.latest)
        return lost

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()


class Viewer(ABC):
    """One who reads logs: what is there, by `take`; or, while it is entered, also what comes, by `read`."""

    shared_log: Log | None = None
    """The log whose events it takes as they stand, if there is one: its viewers can share what is sent."""

    __slots__ = ("_news", "logs")

    def __init__(self, logs: Iterable[Log]) -> None:
        self.logs = tuple(logs)

    def __enter__(self) -> Self:
        self._news = asyncio.Event()
        for log in self.logs:
            log.listeners.add(self._news.set)
        return self

    def __exit__(self, *_: object) -> None:
        for log in self.logs:
            log.listeners.discard(self._news.set)

    @abstractmethod
    def take(self) -> bytes:
        """The next events that are there, at most a piece; `b""` if there are none."""

    @property
    def caught_up(self) -> bool:
        """Whether `take` has come to the end of what is there; it may take more than it returns."""
        return True

    @property
    def finished(self) -> bool:
        """Whether nothing will follow what is there."""
        return all(log.closed for log in self.logs)

    @property
    def ended(self) -> bool:
        """Whether that is because every task has ended."""
        return all(log.ended for log in self.logs)

    async def read(self) -> bytes:
        """The next events, as soon as there are any; `b""` when no more will come."""
        while not (events := self.take()):
            if self.finished:
                return b""
            self._news.clear()
            await self._news.wait()
        return events


class Follower(Viewer):
    """A cursor in one log: first it reads what follows `last_event_id`, then what happens."""

    __slots__ = ("last_event_id", "log", "shared_log")  # it is read for each viewer of each event

    def __init__(self, log: Log, last_event_id: int) -> None:
        super().__init__([log])
        self.log = self.shared_log = log
        self.last_event_id = last_event_id

    def take(self) -> bytes:
        """The next events, in pieces if they are many."""
        if self.last_event_id == self.log.last_id:
            return b""
        events, self.last_event_id = self.log.after(self.last_event_id)
        return events

    @property
    def caught_up(self) -> bool:
        """Whether the cursor stands behind the last event."""
        return self.last_event_id >= self.log.last_id


class Overview(Viewer):
    """The latest event of each of many logs, again whenever there is a later one.

    Those in between are left out, so that no log can delay another. The events carry no ids, but for
    the last one: once every log has ended it says `id: end`.
    """

    def __init__(self, logs: Iterable[Log], preface: Iterable[bytes] = ()) -> None:
        self._seen = dict.fromkeys(logs, 0)
        self._preface = list(preface)
        super().__init__(self._seen)

    def take(self) -> bytes:
        """The preface, once, and whatever has changed since the last time."""
        events, self._preface = self._preface, []
        for log, last_id in self._seen.items():
            if last_id != log.latest_id:
                self._seen[log] = log.latest_id
                events.append(b"data: %b\n\n" % log.latest)
        if events and self.ended:
            events[-1] = b"id: end\n" + events[-1]
        return b"".join(events)
