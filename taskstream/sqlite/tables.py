"""The tables of a file: what is written of tasks, and read again. All raises `sqlite3.Error`."""

import json
import math
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Literal
from weakref import WeakValueDictionary

from taskstream.events import TaskStatus
from taskstream.log import Log
from taskstream.settings import Settings
from taskstream.sqlite.log import FileLog, kept_log
from taskstream.tasks import Task


class Tables:
    """The statements of one connection."""

    def __init__(self, connection: sqlite3.Connection, settings: Settings) -> None:
        connection.row_factory = sqlite3.Row
        self._connection = connection
        self._settings = settings
        query = "SELECT status, count(*) FROM tasks WHERE ended_at IS NOT NULL GROUP BY status"
        self.ended = Counter({TaskStatus(status): number for status, number in connection.execute(query)})
        """How many tasks have ended, by status."""
        self._logs: WeakValueDictionary[str, Log] = WeakValueDictionary()
        """Logs of tasks that have ended, as long as somebody reads them."""
        self.task_numbers = self._numbers("tasks")
        """Those of tasks that will be written."""
        self._event_numbers = self._numbers("events")
        self.events_written = 0
        self._trimmed: list[int] = []
        """The numbers of events that have fallen out of their logs, and go with the next transaction."""

    def write(self, logs: Sequence[FileLog]) -> None:
        """Write what was appended to logs, all or nothing; then it shows."""
        going_on = [log for log in logs if not log.sealed]
        sealed = [log for log in logs if log.sealed]
        gone = [*self._trimmed, *(number for log in sealed for number in log.rows.values())]
        events = [
            (next(self._event_numbers), log.number, event_id, kind._value_, data.decode())  # text is faster
            for log in going_on
            for event_id, kind, data in log.appended
        ]
        ends = [(*log.end(), time.time(), log.number) for log in sealed]
        many = self._connection.executemany
        with self._transaction():
            if starts := [log.row for log in logs if log.row]:
                many(f"INSERT INTO tasks VALUES ({'?, ' * 7}'PENDING', NULL, NULL, NULL, NULL)", starts)
            if began := [(log.number,) for log in going_on if not (log.begun or log.row)]:
                many("UPDATE tasks SET parameters = NULL WHERE number = ?", began)
            many("INSERT INTO events VALUES (?, ?, ?, ?, ?)", events)
            if gone:
                delete = "DELETE FROM events WHERE number IN (SELECT value FROM json_each(?))"
                self._connection.execute(delete, (json.dumps(gone),))
            if sealed:
                end = "status = ?, last_id = ?, latest = ?, events = ?, ended_at = ?, parameters = NULL"
                many(f"UPDATE tasks SET {end} WHERE number = ?", ends)
            if not logs:  # to see whether anything can be written
                self._connection.execute("UPDATE life SET clean = 0")
        for status, *_ in ends:
            self.ended[TaskStatus(status)] += 1
        numbers = iter([event[0] for event in events])
        for log in logs:
            self.events_written += len(log.appended)
            log.show(() if log.sealed else numbers)
        self._trimmed = [number for log in going_on for number in log.trim()]

    def unfinished(self) -> list[tuple[sqlite3.Row, list[sqlite3.Row]]]:
        """The tasks that have not ended, in the order in which they were started, with their events."""
        events: dict[int, list[sqlite3.Row]] = defaultdict(list)
        for row in self._connection.execute("SELECT * FROM events ORDER BY number"):
            events[row["task"]].append(row)
        query = "SELECT * FROM tasks WHERE number IN (SELECT task FROM events) ORDER BY number"
        return [(row, events[row["number"]]) for row in self._connection.execute(query)]

    def find_ended(
        self, column: Literal["task_id", "key"], values: Sequence[str], *, whole: bool
    ) -> list[tuple[str, Task]]:
        """Tasks that have ended, with their keys' fingerprints; unless `whole`, only their ends."""
        query = f"""
            SELECT number, task_id, scope, fingerprint, last_id, latest FROM tasks
            WHERE {column} IN (SELECT value FROM json_each(?)) AND ended_at IS NOT NULL
        """
        found = []
        for row in self._connection.execute(query, (json.dumps(values),)).fetchall():
            if not (log := self._logs.get(row["task_id"])):
                log = kept_log(row, self._events(row["number"]) if whole else b"", self._settings)
            if whole:
                self._logs[row["task_id"]] = log
            found.append((row["fingerprint"], Task(row["task_id"], log, row["scope"])))
        return found

    def list_ended(
        self, scope: str | None, status: TaskStatus | None, limit: int
    ) -> list[tuple[int, bytes]]:
        """Number and last snapshot of tasks that have ended, the newest first."""
        wanted = {"scope": scope, "status": status}
        conditions = "".join(f" AND {name} = :{name}" for name, value in wanted.items() if value)
        query = f"SELECT number, latest FROM tasks WHERE ended_at IS NOT NULL{conditions}"
        rows = self._connection.execute(f"{query} ORDER BY number DESC LIMIT {limit}", wanted)
        return [(number, latest) for number, latest in rows]

    def forget_oldest(self) -> bool:
        """Delete the task that has ended first, if that is too long ago, or those are too many."""
        too_many = self.ended.total() > self._settings.max_kept
        before = math.inf if too_many else time.time() - self._settings.retention_seconds
        query = "SELECT number, status FROM tasks WHERE ended_at < ? ORDER BY ended_at LIMIT 1"
        if row := self._connection.execute(query, (before,)).fetchone():
            self._connection.execute("DELETE FROM tasks WHERE number = ?", row[:1])
            self.ended[TaskStatus(row["status"])] -= 1
        return row is not None

    def _events(self, number: int) -> bytes:
        """The events of a task that has ended, before the last one, each a line."""
        [(events,)] = self._connection.execute("SELECT events FROM tasks WHERE number = ?", (number,))
        return bytes(events)

    def _numbers(self, table: str) -> Iterator[int]:
        query = f"SELECT coalesce(max(number), 0) + 1 FROM {table}"
        return count(*self._connection.execute(query).fetchone())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:  # which rolls back what fails
            yield
            self._connection.execute("COMMIT")  # a prepared statement, as its `commit()` is not
