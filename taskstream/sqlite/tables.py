"""The tables of a file: what is written of tasks, and read after a restart. All raises `sqlite3.Error`."""

import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from taskstream.events import TaskStatus
from taskstream.sqlite.log import FileLog


class Tables:
    """The statements of one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        self._connection = connection
        self._execute, self._execute_many = connection.execute, connection.executemany
        self.task_number = self._highest("tasks")
        self._event_number = self._highest("events")
        self.events_written = 0
        self._trimmed: list[int] = []
        """The numbers of events that have fallen out of their logs, and go with the next transaction."""

    def write(self, logs: Sequence[FileLog]) -> None:
        """Write what was appended to logs, all or nothing; then it shows."""
        going_on = [log for log in logs if not log.sealed]
        sealed = [log for log in logs if log.sealed]
        gone = [*self._trimmed, *(number for log in sealed for number in log.rows.values())]
        numbers = count(self._event_number + 1)
        events = [
            (next(numbers), log.number, each.id, each.kind._value_, each.data)
            for log in going_on
            for each in log.appended
        ]
        with self._transaction():
            if starts := [log.row for log in logs if log.row]:
                self._execute_many(
                    f"INSERT INTO tasks VALUES ({'?, ' * 7}'PENDING', NULL, NULL, NULL)", starts
                )
            if began := [(log.number,) for log in going_on if not (log.begun or log.row)]:
                self._execute_many("UPDATE tasks SET parameters = NULL WHERE number = ?", began)
            self._execute_many("INSERT INTO events VALUES (?, ?, ?, ?, ?)", events)
            self._execute_many("DELETE FROM events WHERE number = ?", [(number,) for number in gone])
            if sealed:
                self._end(sealed)
            if not logs:  # to see whether anything can be written
                self._execute("UPDATE life SET clean = 0")
        numbers = count(self._event_number + 1)
        self._event_number += len(events)
        for log in logs:
            log.begun, log.row = log.row is None, None
            self.events_written += len(log.appended)
            log.show(() if log.sealed else numbers)
        self._trimmed = [number for log in going_on for number in log.trim()]

    def unfinished(self) -> list[tuple[sqlite3.Row, list[sqlite3.Row]]]:
        """The tasks that have not ended, in the order in which they were started, with their events."""
        events: dict[int, list[sqlite3.Row]] = defaultdict(list)
        for row in self._execute("SELECT * FROM events ORDER BY number"):
            events[row["task"]].append(row)
        query = "SELECT * FROM tasks WHERE number IN (SELECT task FROM events) ORDER BY number"
        return [(row, events[row["number"]]) for row in self._execute(query)]

    def forget_oldest(self, ended_before: float) -> TaskStatus | None:
        """Delete the task that has ended first, if that was before this time; its status."""
        query = "SELECT number, status FROM tasks WHERE ended_at < ? ORDER BY ended_at LIMIT 1"
        if not (row := self._execute(query, (ended_before,)).fetchone()):
            return None
        with self._transaction():
            self._execute("DELETE FROM logs WHERE task = ?", row[:1])
            self._execute("DELETE FROM tasks WHERE number = ?", row[:1])
        return TaskStatus(row["status"])

    def _end(self, logs: Sequence[FileLog]) -> None:
        """Move logs that are over out of the way of those that go on."""
        now, ends, moved = time.time(), [], []
        for log in logs:
            *events, last = log.whole()
            [status, *_] = re.findall(rb'"status":"([A-Z]+)"', last.data)
            ends.append((status.decode(), now, last.id, last.data, log.number))
            lines = [b"%d %b %b\n" % (each.id, each.kind.encode(), each.data) for each in events]
            moved.append((log.number, b"".join(lines)))
        ended = "status = ?, ended_at = ?, last_id = ?, latest = ?, parameters = NULL"
        self._execute_many(f"UPDATE tasks SET {ended} WHERE number = ?", ends)
        self._execute_many("INSERT INTO logs VALUES (?, ?)", moved)

    def _highest(self, table: str) -> int:
        return int(self._execute(f"SELECT coalesce(max(number), 0) FROM {table}").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite may have rolled it back by itself
                self._execute("ROLLBACK")
            raise
