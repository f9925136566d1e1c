"""The tasks that have ended: they are in the file, and read when somebody asks for them."""

import math
import sqlite3
import time
from typing import Literal
from weakref import WeakValueDictionary

from taskstream.events import Kind
from taskstream.log import Log
from taskstream.settings import Settings
from taskstream.sqlite.journal import Journal
from taskstream.tasks import Task


class KeptTasks:
    """The tasks of a file that have ended; the logs of some, as long as somebody reads them."""

    def __init__(self, journal: Journal, settings: Settings) -> None:
        self.counts = journal.tables.count_ended()
        """How many there are, by status."""
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
        """A task that has ended, as it is in the file."""
        async with self._journal.idle():
            if (row := self._journal.tables.find(column, value)) is None:
                return None
            log = self._logs.get(row["task_id"])
            if log is None:
                log = Log(self._settings.history_length, self._settings.history_bytes)
                for event in self._journal.tables.events_before(row) if whole else ():
                    log.append(event.data, event.kind, event.id)
                log.append(row["latest"], Kind.LAST, row["last_id"])
        if whole:
            self._logs[row["task_id"]] = log
        task = Task(row["task_id"], log)
        task.scope = row["scope"]
        return row, task

    async def forget_oldest(self) -> bool:
        """Forget one task, if one is to be forgotten."""
        too_many = self.counts.total() > self._settings.max_kept
        async with self._journal.idle():
            before = math.inf if too_many else time.time() - self._settings.retention_seconds
            status = self._journal.tables.forget_oldest(before)
        if status:
            self.counts[status] -= 1
        return status is not None
