"""The journal: writes what is appended to logs, all of one turn of the event loop in one transaction.

Only then it shows. What is appended while a checkpoint uses the connection, in a thread, waits, as it does
as long as the file can't be written.
"""

import asyncio
import logging
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count

from taskstream.errors import BackendUnavailable
from taskstream.events import TaskStatus
from taskstream.settings import Settings
from taskstream.sqlite.file import GONE, DatabaseFile, problem_of
from taskstream.sqlite.log import FileLog, kept_row
from taskstream.tasks import Task

WAL_BYTES = 4 * 1024 * 1024
"""The size of the write-ahead log from which on there is a checkpoint."""

LOOK_SECONDS = 1
"""How often the file is synced and looked after."""

logger = logging.getLogger(__name__)


class Journal:
    """What is on its way into a file."""

    problem = ""
    """Why the file can't be written; nothing if it can."""
    events_appended = 0
    """How many events were appended since the process has started."""

    def __init__(
        self,
        file: DatabaseFile,
        settings: Settings,
        on_end: Callable[[str], object],
        on_problem: Callable[[], object],
    ) -> None:
        """Call `on_end` when the end of a task is written, `on_problem` when the problem has changed."""
        self._file = file
        self._settings = settings
        self._on_end = on_end
        self._on_problem = on_problem
        self._connection = file.connection
        self._in_use = asyncio.Lock()
        query = "SELECT status, count(*) FROM tasks GROUP BY status"
        self.ended = Counter({TaskStatus(row[0]): row[1] for row in self._connection.execute(query)})
        """How many tasks have ended, by status."""
        query = "SELECT max(number) + 1 FROM (SELECT number FROM tasks UNION SELECT number FROM events)"
        self.numbers = count(self._connection.execute(query).fetchone()[0] or 1)
        """Those of rows that will be written."""
        self._changed: dict[FileLog, None] = {}
        self._ending: list[Task] = []
        self._trimmed: list[int] = []
        """The numbers of events that have fallen out of their logs, and go with the next transaction."""
        self._written = asyncio.Event()
        self._due = asyncio.Event()
        self._checkpoint_bytes = WAL_BYTES
        self._synced = True
        self._stopping = False

    def start(self, log: FileLog, owner: str, parameters: str) -> None:
        """Have a new log written, with whose it is and the parameters of its work, as JSON."""
        log.start = owner, parameters
        log.on_append = self.add
        self.add(log)

    def add(self, log: FileLog) -> None:
        """Have what was appended to a log written soon."""
        if not self._changed and not self.problem:
            asyncio.get_running_loop().call_soon(self.write)
        self._changed[log] = None
        self.events_appended += 1

    def end(self, task: Task) -> None:
        """Have a task kept as one that has ended, with what was appended to its log."""
        self._ending.append(task)

    async def written(self) -> None:
        """Wait until all that was appended is in the file. Raises `BackendUnavailable`."""
        if self._changed or self.problem:
            await self._written.wait()
            if self.problem:
                raise BackendUnavailable(self.problem)

    def require(self) -> None:
        """Raise `BackendUnavailable` if the file can't be written."""
        if not self._file.in_place:
            self.fail(GONE)
        if self.problem:
            raise BackendUnavailable(self.problem)

    async def ask(self, query: str, values: Mapping[str, object] | Sequence[object]) -> list[sqlite3.Row]:
        """Rows of the file, as soon as no checkpoint runs. Raises `BackendUnavailable`."""
        async with self._in_use:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                logger.exception("The database can't be read")
                raise BackendUnavailable(problem_of(error)) from error

    def write(self) -> None:
        """Write what was appended, and show it; not while the connection is in use."""
        lost = self.problem and not self._file.in_place
        if lost or self._in_use.locked() or not (self._changed or self.problem):
            return
        changed, self._changed = self._changed, {}
        try:
            self._commit(changed)
        except sqlite3.Error as error:
            self._changed = changed
            self.fail(problem_of(error), error)
            return
        self._synced = False
        self._trimmed = [number for log in changed for number in log.show()]
        ending, self._ending = self._ending, []
        for task in ending:
            self.ended[task.outline.status] += 1
            self._on_end(task.task_id)
        if self.problem:
            logger.warning("The database can be written again.")
            self.problem = ""
            self._on_problem()
        self._settle()
        self._see_size()

    def fail(self, problem: str, error: Exception | None = None) -> None:
        """Write nothing until the file can be written: those who wait for a start or an end are told so."""
        if problem != self.problem:
            logger.error("%s (%s)", problem, error)
        self.problem = problem
        # Starts that are not in the file never will be; what goes on there waits.
        self._changed = {log: None for log in self._changed if log.last_id}
        self._ending = [task for task in self._ending if task.log.last_id]
        self._on_problem()
        self._settle()

    async def look_after(self) -> None:
        """When something is due, or each second, sync the file, keep it small, and try what has failed."""
        while not self._stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), LOOK_SECONDS)
            self._due.clear()
            if not self._file.in_place:
                self.fail(GONE)
                continue
            try:
                await self._tidy()
            except (OSError, sqlite3.Error) as error:
                self.fail(problem_of(error), error)

    def stop(self) -> None:
        """Have `look_after` return."""
        self._stopping = True
        self._due.set()

    def close(self) -> None:
        """Write what there is, and close the file: nothing that is appended from now on is in it."""
        in_place = self._file.in_place
        if in_place:
            self.write()
        self.problem = "The server stops."
        self._settle()
        self._file.close(clean=in_place and not self._changed)

    async def _tidy(self) -> None:
        """Sync, do a checkpoint if the write-ahead log is large, and forget what is kept for too long."""
        if not self._synced:
            self._synced = True
            await asyncio.to_thread(self._file.sync)
        if self.problem or self._file.wal_bytes > self._checkpoint_bytes:
            async with self._in_use:
                await asyncio.to_thread(self._file.checkpoint)  # which may make room on a full disk
            self._checkpoint_bytes = (
                self._file.wal_bytes + WAL_BYTES
            )  # a program that reads may keep it long
            self.write()
        while not (self.problem or self._due.is_set()) and self._forget_oldest():
            await asyncio.sleep(0)  # others have their turn

    def _forget_oldest(self) -> bool:
        """Delete the task that has ended first, if that is too long ago, or those are too many."""
        too_many = self.ended.total() > self._settings.max_kept
        before = math.inf if too_many else time.time() - self._settings.retention_seconds
        query = "SELECT number, status FROM tasks WHERE ended_at < ? ORDER BY ended_at LIMIT 1"
        if row := self._connection.execute(query, (before,)).fetchone():
            self._connection.execute("DELETE FROM tasks WHERE number = ?", row[:1])
            self.ended[TaskStatus(row["status"])] -= 1
            self._see_size()
        return row is not None

    def _commit(self, logs: Iterable[FileLog]) -> None:
        """Write what was appended to these logs, and the ends of tasks, all or nothing."""
        rows: list[tuple[object, ...]] = []
        gone = self._trimmed.copy()
        for log in logs:
            if log.sealed:  # all that it has moves to the row of its task
                gone += (log.number, log.number + 1, *log.rows.values())
                continue
            rows += log.to_rows(self.numbers)
            if log.last_id and not log.begun:
                gone.append(log.number + 1)
        ended = [kept_row(task) for task in self._ending]
        many = self._connection.executemany
        with self._transaction():
            many("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
            many("DELETE FROM events WHERE number = ?", zip(gone))
            many("INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ended)
            if not logs:  # to see whether anything can be written
                self._connection.execute("UPDATE life SET clean = 0")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:  # which rolls back what fails
            yield
            self._connection.execute("COMMIT")  # a prepared statement, as its `commit()` is not

    def _see_size(self) -> None:
        if self._file.wal_bytes > self._checkpoint_bytes:
            self._due.set()

    def _settle(self) -> None:
        """Wake those who wait until all is written, or can't be."""
        self._written.set()
        self._written = asyncio.Event()
