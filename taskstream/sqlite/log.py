"""The logs of tasks that are in a file: those that go on, and those that are over."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from taskstream.events import Event, Kind
from taskstream.log import Log
from taskstream.settings import Settings
from taskstream.tasks import Task

TRIMMED_AT_ONCE = 64
"""Events that have fallen out of a log are deleted from the file so many at a time."""


class FileLog(Log):
    """A log whose events show once they are in the file, so that nobody sees what may be gone."""

    start: tuple[str, str] = ("", "")
    """Whose log it is, and the parameters of the work, until the file has them: both as JSON."""
    begun = False
    """Whether the file has more than the first event; with that go the parameters."""

    def __init__(self, number: int, settings: Settings) -> None:
        """`number` is that of its first row in the file."""
        super().__init__(settings.history_length, settings.history_bytes)
        self.number = number
        self.rows: dict[int, int] = {}
        """The numbers, in the file, of the events that are there, by their ids."""
        self._waiting = Log(settings.history_length, settings.history_bytes)
        """What doesn't show yet, which is bounded as the rest is."""
        self.on_append: Callable[[FileLog], object] = lambda _: None

    @property
    def next_id(self) -> int:
        """The same, behind what doesn't show yet."""
        return self._waiting.last_id + 1

    def append(self, data: bytes, kind: Kind = Kind.SNAPSHOT, event_id: int = 0) -> None:
        """Add an event, which shows once it is in the file."""
        self._waiting.append(data, kind, event_id)
        self.sealed = self._waiting.sealed
        self.on_append(self)

    def restore(self, rows: Iterable[sqlite3.Row]) -> None:
        """Show what the file has."""
        self.begun = True
        for row in rows:
            if row["kind"] == "parameters":
                self.begun = False
                continue
            super().append(row["data"].encode(), Kind(row["kind"]), row["id"])
            self.rows[row["id"]] = row["number"]
        self._waiting.last_id = self.last_id

    def waiting(self) -> list[Event]:
        """What doesn't show yet, with the latest snapshot even if it has fallen out."""
        events, latest_id = [*self._waiting._events], self._waiting.latest_id
        if self.last_id < latest_id < events[0].id:
            events.insert(0, Event(latest_id, Kind.SNAPSHOT, self._waiting.latest))
        return events

    def to_rows(self, numbers: Iterator[int]) -> list[tuple[object, ...]]:
        """The same as the file has it; before that, of a task that isn't there, its start."""
        rows: list[tuple[object, ...]] = []
        if not self.last_id:
            owner, parameters = self.start
            rows.append((self.number, self.number, 0, "task", owner))
            if self.next_id == 2:
                rows.append((self.number + 1, self.number, 0, "parameters", parameters))
        for event in self.waiting():
            self.rows[event.id] = number = next(numbers)
            text = event.data.decode()  # which is faster
            rows.append((number, self.number, event.id, event.kind._value_, text))
        return rows

    def show(self) -> list[int]:
        """Show all; the numbers, in the file, of what has fallen out of the log, once that is much."""
        self.begun, self.start = self.last_id > 0 or self.next_id > 2, ("", "")
        for event in self.waiting():
            super().append(event.data, event.kind, event.id)
        self._waiting._events.clear()
        self._waiting._bytes = 0
        excess = len(self.rows) - len(self._events)
        oldest = [*islice(self.rows, excess)] if excess > TRIMMED_AT_ONCE else []
        return [self.rows.pop(event_id) for event_id in oldest if event_id != self.latest_id]


def kept_row(task: Task) -> tuple[object, ...]:
    """What is kept of a task that has ended: the events before the last one as lines."""
    log = task.log
    assert isinstance(log, FileLog)
    *events, last = *log._events, *log.waiting()
    lines = b"".join(b"%d %b %b\n" % (each.id, each.kind.encode(), each.data) for each in events)
    key, fingerprint = (task.key.key, task.key.fingerprint) if task.key else (None, None)
    owner = (log.number, task.task_id, task.scope, key, fingerprint)
    return *owner, task.outline.status, time.time(), last.id, last.data, lines


def kept_task(row: sqlite3.Row, settings: Settings) -> Task:
    """A task that has ended."""
    log = Log(settings.history_length, settings.history_bytes)
    for line in row["events"].splitlines():
        event_id, kind, data = line.split(b" ", 2)
        log.append(data, Kind(kind.decode()), int(event_id))
    log.append(row["latest"], Kind.LAST, row["last_id"])
    return Task(row["task_id"], log, row["scope"])
