"""The tasks that have ended: they are in the file, and read when somebody asks for them."""

import math
import sqlite3
import time
from collections import Counter
from contextlib import suppress
from typing import Literal
from weakref import WeakValueDictionary

from taskstream.errors import BackendUnavailable
from taskstream.events import Kind, TaskStatus
from taskstream.log import Log
from taskstream.settings import Settings
from taskstream.sqlite.journal import Journal
from taskstream.tasks import Task


class KeptTasks:
    """The tasks of a file that have ended; the logs of some, as long as somebody reads them."""

    def __init__(self, connection: sqlite3.Connection, journal: Journal, settings: Settings) -> None:
        query = "SELECT status, count(*) FROM tasks WHERE ended_at IS NOT NULL GROUP BY status"
        self.counts = Counter({TaskStatus(status): number for status, number in connection.execute(query)})
        """How many there are, by status."""
        self._connection = connection
        self._journal = journal
        self._settings = settings
        self._logs: WeakValueDictionary[str, Log] = WeakValueDictionary()

    def add(self, task: Task) -> None:
        """Take in a task whose end is in the file now."""
        self.counts[task.outline.status] += 1
        self._logs[task.task_id] = task.log

    async def find(
        self, column: Literal["task_id", "key"], value: str, *, whole: bool = True
    ) -> tuple[sqlite3.Row, Task] | None:
        """A task that has ended, as it is in the file; unless `whole`, of its log only the end."""
        query = f"SELECT * FROM tasks WHERE {column} = ? AND ended_at IS NOT NULL"
        async with self._journal.idle():
            row = self._connection.execute(query, (value,)).fetchone()
            if row is None:
                return None
            log = self._logs.get(row["task_id"]) or self._read(row, whole=whole)
        if whole:
            self._logs[row["task_id"]] = log
        return row, Task(row["task_id"], log, row["scope"])

    def list(self, scope: str | None, status: TaskStatus | None, limit: int) -> list[tuple[int, bytes]]:
        """Number and last snapshot of tasks, the newest first."""
        wanted = {"scope": scope, "status": status}
        conditions = "".join(f" AND {name} = :{name}" for name, value in wanted.items() if value)
        query = f"SELECT number, latest FROM tasks WHERE ended_at IS NOT NULL{conditions}"
        rows = self._connection.execute(f"{query} ORDER BY number DESC LIMIT {limit}", wanted)
        return [(number, latest) for number, latest in rows]

    async def forget_oldest(self) -> bool:
        """Forget one task, if one is to be forgotten and the file can be written."""
        too_many = self.counts.total() > self._settings.max_kept
        before = math.inf if too_many else time.time() - self._settings.retention_seconds
        with suppress(BackendUnavailable):
            self._journal.require()
            async with self._journal.idle():
                status = self._journal.tables.forget_oldest(before)
            if status:
                self.counts[status] -= 1
                return True
        return False

    def _read(self, row: sqlite3.Row, *, whole: bool) -> Log:
        log = Log(self._settings.history_length, self._settings.history_bytes)
        if whole:
            query = "SELECT events FROM logs WHERE task = ?"
            [(lines,)] = self._connection.execute(query, (row["number"],))
            for line in lines.splitlines():
                event_id, kind, data = line.split(b" ", 2)
                log.append(data, Kind(kind.decode()), int(event_id))
        log.append(row["latest"], Kind.LAST, row["last_id"])
        return log
