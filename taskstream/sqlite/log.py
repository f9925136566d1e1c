"""The logs of tasks that are in a file: those that go on, and those that are over."""

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from taskstream.events import Event, Kind, TaskStatus
from taskstream.idempotency import IdempotencyKey
from taskstream.log import Log
from taskstream.settings import Settings
from taskstream.tasks import Task

TRIMMED_AT_ONCE = 64
"""Events that have fallen out of a log are deleted from the file so many at a time."""

ROWS_AT_ONCE = 1000
"""About how many a transaction has: the ends of 500 tasks in one held up the event loop for 43 ms."""

Row = tuple[Any, ...]


class FileLog(Log):
    """A log whose events show once they are in the file, so that nobody sees what may be gone."""

    owner: list[Any]
    """What the file has of the task: its id, scope, key, fingerprint, and the name of its work."""
    parameters: str | None = None
    """Those of the work as JSON, until the file has that it begins."""

    def __init__(self, number: int, settings: Settings) -> None:
        """`number` is that of its first row, which says whose it is."""
        super().__init__(settings.history_length, settings.history_bytes)
        self.number = number
        self.on_append: Callable[[FileLog], object] = lambda _: None
        self._waiting = Log(settings.history_length, settings.history_bytes)
        """What doesn't show yet, which is bounded as the rest is."""
        self.rows: dict[int, int] = {}
        """The numbers of the rows of events, by their ids."""

    @property
    def appended_id(self) -> int:
        """The number of the last event, whether it shows or not."""
        return self._waiting.last_id

    def append(self, data: bytes, kind: Kind = Kind.SNAPSHOT, event_id: int = 0) -> None:
        """Add an event, which shows once it is in the file."""
        if not self._waiting._ids:
            self.on_append(self)
        self._waiting.append(data, kind, event_id)
        self.sealed = self._waiting.sealed

    def restore(self, rows: Iterable[sqlite3.Row]) -> None:
        """Show what the file has."""
        [first, *events] = rows
        *self.owner, self.parameters = json.loads(first["data"])
        for row in events:
            super().append(row["data"].encode(), Kind(row["kind"]), row["id"])
            self.rows[row["id"]] = row["number"]
        self._waiting.last_id = self.last_id

    def waiting(self) -> list[Event]:
        """What doesn't show yet, with the latest snapshot even if it has fallen out."""
        events, latest_id = [*self._waiting._kept()], self._waiting.latest_id
        if self.last_id < latest_id < events[0].id:
            events.insert(0, Event(latest_id, Kind.SNAPSHOT, self._waiting.latest))
        return events

    def to_rows(self, events: Sequence[Event], numbers: Iterator[int]) -> list[Row]:
        """What doesn't show yet; and first whose log it is, again when the parameters can go."""
        rows: list[Row] = [  # of text, which is faster
            (next(numbers), self.number, event.id, event.kind._value_, event.data.decode())
            for event in events
        ]
        self.rows.update({row[2]: row[0] for row in rows})
        if not self.last_id or self.parameters is not None:
            start = [*self.owner, None if events[-1].id > 1 else self.parameters]
            rows.append((self.number, self.number, 0, "task", json.dumps(start)))
        return rows

    def show(self, events: Sequence[Event]) -> list[int]:
        """Show it; the rows of what has fallen out of the log, once that is much."""
        append = super().append
        for event in events:
            append(event.data, event.kind, event.id)
        if self.last_id > 1:  # the first one says that the work waits
            self.parameters = None
        self._waiting.drop_events()
        excess = len(self.rows) - len(self._ids)
        oldest = [*islice(self.rows, excess)] if excess > TRIMMED_AT_ONCE else []
        return [self.rows.pop(event_id) for event_id in oldest if event_id != self.latest_id]

    def kept_row(self, events: Sequence[Event]) -> Row:
        """What is kept of it when it is over: the events before the last one as lines.

        Those may have twice the bytes of its history, of which who reads them drops the oldest.
        """
        *before, last = [*self._kept(), *events][-self._history_length :]
        lines = b"".join(b"%d %b %b\n" % (each.id, each.kind.encode(), each.data) for each in before)
        status = re.findall(rb'"status":"([A-Z]+)"', last.data)[0].decode()
        return self.number, *self.owner[:4], status, time.time(), last.id, last.data, lines


def first_of(changed: Iterable[FileLog], most: float) -> dict[FileLog, list[Event]]:
    """What doesn't show yet of the first logs, which is about so many rows."""
    first, rows = {}, 0
    for log in changed:
        first[log] = log.waiting()
        rows += len(first[log]) + log.sealed * len(log.rows)
        if rows >= most:
            break
    return first


def commit(
    connection: sqlite3.Connection,
    changed: Mapping[FileLog, Sequence[Event]],
    numbers: Iterator[int],
    trimmed: Sequence[int],
) -> list[TaskStatus]:
    """Write what was appended, all or nothing; how the tasks have ended whose logs are over.

    With its end, all that a log has moves to one row. Rows that were `trimmed` from logs go.
    """
    rows, ended, gone = [], [], [*trimmed]
    for log, events in changed.items():
        if log.sealed:
            ended.append(log.kept_row(events))
            gone += log.number, *log.rows.values()
        else:
            rows += log.to_rows(events, numbers)
    connection.execute("BEGIN IMMEDIATE")
    with connection:  # which rolls back what fails
        connection.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?)", rows)
        connection.executemany("DELETE FROM events WHERE number = ?", zip(gone))
        connection.executemany("INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ended)
        if not changed:  # to see whether anything can be written
            connection.execute("UPDATE life SET clean = 0")
        connection.execute("COMMIT")  # a prepared statement, as its `commit()` is not
    return [TaskStatus(row[5]) for row in ended]


def kept_task(row: sqlite3.Row, settings: Settings) -> Task:
    """A task that has ended."""
    log = Log(settings.history_length, settings.history_bytes)
    for line in row["events"].splitlines():
        event_id, kind, data = line.split(b" ", 2)
        log.append(data, Kind(kind.decode()), int(event_id))
    log.append(row["latest"], Kind.LAST, row["last_id"])
    task = Task(row["task_id"], log, row["scope"])
    task.key = IdempotencyKey(row["key"], row["fingerprint"]) if row["key"] else None
    return task
