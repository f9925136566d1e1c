"""The logs of tasks that are in a file: those that go on, and those that are over."""

import re
import sqlite3
from collections.abc import Callable, Iterable
from itertools import islice

from taskstream.events import Event, Kind
from taskstream.log import Log
from taskstream.settings import Settings

TRIMMED_AT_ONCE = 64
"""Events that have fallen out of a log are deleted from the file so many at a time."""


class FileLog(Log):
    """A log whose events show once they are in the file, so that nobody sees what may be gone."""

    row: tuple[object, ...] | None = None
    """What the file is to know of the task, until it is in there."""
    begun = False
    """Whether the file has more than its first event; with that go the parameters."""

    def __init__(self, number: int, settings: Settings, on_append: Callable[["FileLog"], object]) -> None:
        """`number` is that of its task in the file."""
        super().__init__(settings.history_length, settings.history_bytes)
        self.number = number
        self.appended: list[Event] = []
        """What doesn't show yet."""
        self.rows: dict[int, int] = {}
        """The numbers, in the file, of the events that are there, by their ids."""
        self._appended_bytes = 0
        self._next_id = 1
        self._snapshot_id = 0
        self._on_append = on_append

    @property
    def next_id(self) -> int:
        """The same, behind what doesn't show yet."""
        return self._next_id

    def append(self, data: bytes, kind: Kind = Kind.SNAPSHOT, event_id: int = 0) -> None:
        """Add an event; what doesn't show yet is bounded as the rest is."""
        event = Event(event_id or self._next_id, kind, data)
        self._next_id = event.id + 1
        if kind is Kind.SNAPSHOT or kind is Kind.LAST:
            self._snapshot_id = event.id
            self.sealed = kind is Kind.LAST
        self.appended.append(event)
        self._appended_bytes += len(data)
        while len(self.appended) > 1 and (
            len(self.appended) > self._history_length or self._appended_bytes > self._history_bytes
        ):
            oldest = int(self.appended[0].id == self._snapshot_id)  # the latest snapshot is kept
            self._appended_bytes -= len(self.appended.pop(oldest).data)
        self._on_append(self)

    def restore(self, rows: Iterable[sqlite3.Row], *, begun: bool) -> None:
        """Show what the file has."""
        for row in rows:
            self.appended.append(Event(row["id"], Kind(row["kind"]), row["data"].encode()))
            self.show([row["number"]])
        self.begun = begun
        self._next_id = self.last_id + 1

    def show(self, rows: Iterable[int]) -> None:
        """Show what was appended, with its numbers in the file; without any, if those are gone again."""
        self.begun, self.row = self.row is None, None
        append = super().append
        for event in self.appended:
            append(event.data, event.kind, event.id)
        self.rows.update(zip((event.id for event in self.appended), rows, strict=False))
        self.appended = []
        self._appended_bytes = 0

    def trim(self) -> list[int]:
        """The numbers, in the file, of what has fallen out of the log, once that is much."""
        excess = len(self.rows) - len(self._ids)
        oldest = [*islice(self.rows, excess)] if excess > TRIMMED_AT_ONCE else []
        return [self.rows.pop(event_id) for event_id in oldest if event_id != self.latest_id]

    def end(self) -> tuple[str, int, bytes, bytes]:
        """What is kept of a log that is over: last status, number and snapshot; the events before."""
        *events, last = *self._kept(), *self.appended
        [status, *_] = re.findall(rb'"status":"([A-Z]+)"', last.data)
        lines = [b"%d %b %b\n" % (each.id, each.kind.encode(), each.data) for each in events]
        return status.decode(), last.id, last.data, b"".join(lines)


def kept_log(row: sqlite3.Row, events: bytes, settings: Settings) -> Log:
    """The log of a task that has ended."""
    log = Log(settings.history_length, settings.history_bytes)
    for line in events.splitlines():
        event_id, kind, data = line.split(b" ", 2)
        log.append(data, Kind(kind.decode()), int(event_id))
    log.append(row["latest"], Kind.LAST, row["last_id"])
    return log
