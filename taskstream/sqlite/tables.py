"""The tables of a file: what is written of tasks, and read again. All raises `sqlite3.Error`."""

import json
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Literal

from taskstream.events import TaskStatus
from taskstream.sqlite.log import FileLog


class Tables:
    """The statements of one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        self._connection = connection
        self._execute, self._execute_many = connection.execute, connection.executemany
        self._task_number = self._highest("tasks")
        self._event_number = self._highest("events")
        self.events_written = 0
        self._trimmed: list[int] = []
        """The numbers of events that have fallen out of their logs, and go with the next transaction."""

    def next_task_number(self) -> int:
        """A number for a task that will be written."""
        self._task_number += 1
        return self._task_number

    def write(self, logs: Sequence[FileLog]) -> None:
        """Write what was appended to logs, all or nothing; then it shows."""
        going_on = [log for log in logs if not log.sealed]
        sealed = [log for log in logs if log.sealed]
        gone = [*self._trimmed, *(number for log in sealed for number in log.rows.values())]
        numbers = count(self._event_number + 1)
        events = [
            (next(numbers), log.number, id_, kind._value_, data)
            for log in going_on
            for id_, kind, data in log.appended
        ]
        with self._transaction():
            if starts := [log.row for log in logs if log.row]:
                starting = f"INSERT INTO tasks VALUES ({'?, ' * 7}'PENDING', NULL, NULL, NULL, NULL)"
                self._execute_many(starting, starts)
            if began := [(log.number,) for log in going_on if not (log.begun or log.row)]:
                self._execute_many("UPDATE tasks SET parameters = NULL WHERE number = ?", began)
            self._execute_many("INSERT INTO events VALUES (?, ?, ?, ?, ?)", events)
            self._execute_many("DELETE FROM events WHERE number = ?", [(number,) for number in gone])
            self._execute_many(
                "UPDATE tasks SET status = ?, last_id = ?, latest = ?, events = ?, ended_at = ?, "
                "parameters = NULL WHERE number = ?",
                [(*log.end(), time.time(), log.number) for log in sealed],
            )
            if not logs:  # to see whether anything can be written
                self._execute("UPDATE life SET clean = 0")
        numbers = count(self._event_number + 1)
        self._event_number += len(events)
        for log in logs:
            self.events_written += len(log.appended)
            log.begun, log.row = log.row is None, None
            log.show(() if log.sealed else numbers)
        self._trimmed = [number for log in going_on for number in log.trim()]

    def unfinished(self) -> list[tuple[sqlite3.Row, list[sqlite3.Row]]]:
        """The tasks that have not ended, in the order in which they were started, with their events."""
        events: dict[int, list[sqlite3.Row]] = defaultdict(list)
        for row in self._execute("SELECT * FROM events ORDER BY number"):
            events[row["task"]].append(row)
        query = "SELECT * FROM tasks WHERE number IN (SELECT task FROM events) ORDER BY number"
        return [(row, events[row["number"]]) for row in self._execute(query)]

    def count_ended(self) -> Counter[TaskStatus]:
        """How many tasks have ended, by status."""
        query = "SELECT status, count(*) FROM tasks WHERE ended_at IS NOT NULL GROUP BY status"
        return Counter({TaskStatus(status): number for status, number in self._execute(query)})

    def find_ended(self, column: Literal["task_id", "key"], values: Sequence[str]) -> list[sqlite3.Row]:
        """Tasks that have ended, without the events before the last one."""
        query = f"""
            SELECT number, task_id, scope, fingerprint, last_id, latest FROM tasks
            WHERE {column} IN (SELECT value FROM json_each(?)) AND ended_at IS NOT NULL
        """
        return self._execute(query, (json.dumps(values),)).fetchall()

    def events_of(self, number: int) -> bytes:
        """The events of a task that has ended, before the last one, each a line."""
        [(events,)] = self._execute("SELECT events FROM tasks WHERE number = ?", (number,))
        return bytes(events)

    def list_ended(
        self, scope: str | None, status: TaskStatus | None, limit: int
    ) -> list[tuple[int, bytes]]:
        """Number and last snapshot of tasks that have ended, the newest first."""
        wanted = {"scope": scope, "status": status}
        conditions = "".join(f" AND {name} = :{name}" for name, value in wanted.items() if value)
        query = f"SELECT number, latest FROM tasks WHERE ended_at IS NOT NULL{conditions}"
        rows = self._execute(f"{query} ORDER BY number DESC LIMIT {limit}", wanted)
        return [(number, latest) for number, latest in rows]

    def forget_oldest(self, ended_before: float) -> TaskStatus | None:
        """Delete the task that has ended first, if that was before this time; its status."""
        query = "SELECT number, status FROM tasks WHERE ended_at < ? ORDER BY ended_at LIMIT 1"
        if row := self._execute(query, (ended_before,)).fetchone():
            self._execute("DELETE FROM tasks WHERE number = ?", row[:1])
            return TaskStatus(row["status"])
        return None

    def _highest(self, table: str) -> int:
        return int(self._execute(f"SELECT coalesce(max(number), 0) FROM {table}").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN IMMEDIATE")
        with self._connection:  # which commits, or rolls back
            yield
