"""The journal: writes what is appended to logs, all of two turns of the event loop in one transaction.

Only then it shows. Of much, a transaction takes `ROWS_AT_ONCE`. What is appended while a checkpoint uses
the connection, in a thread, waits, as it does as long as the file can't be written.
"""

import asyncio
import logging
import math
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count

from taskstream.errors import BackendUnavailable
from taskstream.events import TaskStatus
from taskstream.settings import Settings
from taskstream.sqlite.file import CHECKPOINT, GONE, WAL_BYTES, DatabaseFile, problem_of
from taskstream.sqlite.log import ROWS_AT_ONCE, FileLog, commit, first_of

LOOK_SECONDS = 1  # how often the file is synced and looked after

COUNT_ENDED = "SELECT status, count(*) FROM tasks GROUP BY status"
NEXT_NUMBER = (
    "SELECT 1 + max((SELECT coalesce(max(number), 0) FROM tasks), coalesce(max(number), 0)) FROM events"
)
OLDEST = "SELECT number, status FROM tasks WHERE ended_at < ? ORDER BY ended_at LIMIT 1"

logger = logging.getLogger(__name__)


class Journal:
    """The logs that were appended to, on their way into a file."""

    problem = ""
    """Why the file can't be written; nothing if it can."""
    events_written = 0
    """By this process."""

    def __init__(
        self,
        file: DatabaseFile,
        settings: Settings,
        on_end: Callable[[str], object],
        on_problem: Callable[[], object],
    ) -> None:
        """Call `on_end` with the id of a task whose end is written, `on_problem` if `problem` changes."""
        self._file, self._connection, self._settings = file, file.connection, settings
        self._on_end, self._on_problem = on_end, on_problem
        self._in_use, self._due = asyncio.Lock(), asyncio.Event()
        self.ended: Counter[TaskStatus] = Counter(dict(self._connection.execute(COUNT_ENDED)))
        """How many tasks have ended, by status."""
        self.numbers = count(*self._connection.execute(NEXT_NUMBER).fetchone())
        """Row numbers that are not used yet."""
        self._changed: dict[FileLog, None] = {}
        self._trimmed: list[int] = []
        """Rows of events that have fallen out of their logs, which go with the next transaction."""
        self._settled: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why a transaction has failed, if so, as soon as that is decided."""
        # Of its own: the others' threads may wait for a start, which waits for a checkpoint.
        self._thread = ThreadPoolExecutor(1)
        self._thread.submit(int)  # has it begin: later the system may have no thread left
        self._checkpoint_bytes, self._synced = WAL_BYTES, True
        self.caretaker = asyncio.create_task(self._look_after())

    def add(self, log: FileLog) -> None:
        """Schedule a write two turns later, so that a start and its STARTED share a transaction."""
        if not self._changed and not self.problem:
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: loop.call_soon(self.write))
        self._changed[log] = None

    async def written(self, log: FileLog) -> None:
        """Wait until all that was appended to a log is in the file. Raises `BackendUnavailable`."""
        appended_id = log.appended_id
        while log.last_id < appended_id:
            problem = await self.settled() or self.problem  # of the next one, which has been already
            if problem and log.last_id < appended_id:
                raise BackendUnavailable(problem)

    async def settled(self) -> str:
        """Wait for a transaction; why it has failed, if it has."""
        return await asyncio.shield(self._settled)

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

    def write(self, *, again: bool = False) -> None:
        """Write what was appended, and show it; while there is a problem, only to see whether it lasts."""
        if self._in_use.locked() or (not again if self.problem else not self._changed):
            return
        changed = first_of(self._changed, math.inf if again else ROWS_AT_ONCE)
        try:
            ended = commit(self._connection, changed, self.numbers, self._trimmed)
        except sqlite3.Error as error:
            self.fail(problem_of(error), error)
            return
        self.ended.update(ended)
        self._changed = {log: None for log in self._changed if log not in changed}
        self._trimmed, self._synced = [], False
        for log, events in changed.items():
            self.events_written += len(events)
            self._trimmed += log.show(events)
            if log.sealed:
                self._on_end(log.owner[0])
        if self.problem:
            logger.warning("The database can be written again.")
            self.problem = ""
            self._on_problem()
        if self._changed:
            asyncio.get_running_loop().call_soon(self.write)
        self._settle()
        self._see_size()

    def fail(self, problem: str, error: Exception | None = None) -> None:
        """Write nothing until the file can be written: those who wait for a start or an end are told so."""
        if problem != self.problem:
            logger.error("%s (%s)", problem, error)
        self.problem = problem
        self._changed = {log: None for log in self._changed if log.last_id}  # starts never will be
        self._on_problem()
        self._settle()

    async def close(self) -> None:
        """Write what there is: nothing that is appended from now on is in the file."""
        self.caretaker.cancel()
        try:
            await asyncio.wait([self.caretaker])
        finally:  # also if nobody waits any more
            self._thread.shutdown()
            if in_place := self._file.in_place:
                self.write(again=True)
            self.problem = "The server stops."
            self._settle()
            self._file.clean = in_place and not self._changed

    async def _look_after(self) -> None:
        """Each second, and when it is due, sync the file, keep it small, and try what has failed."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):  # `wait_for` of 3.11 may lose a cancellation
                    await self._due.wait()
            self._due.clear()
            try:
                await self._tidy() if self._file.in_place else self.fail(GONE)
            except (OSError, sqlite3.Error) as error:
                self.fail(problem_of(error), error)

    async def _tidy(self) -> None:
        """Sync, do a checkpoint if the write-ahead log is large, forget what is kept for too long."""
        in_thread = partial(asyncio.get_running_loop().run_in_executor, self._thread)
        if not self._synced:
            self._synced = True
            await in_thread(os.fsync, self._file.wal)
        if self.problem or self._file.wal_bytes > self._checkpoint_bytes:
            async with self._in_use:
                await in_thread(self._file.pragma, CHECKPOINT)  # which may make room on a full disk
            if not self._file.in_place:
                return  # it was deleted meanwhile, which the next look tells
            self._checkpoint_bytes = self._file.wal_bytes + WAL_BYTES  # a program that reads may keep it
            self.write(again=bool(self.problem))
        while not (self.problem or self._due.is_set()) and self._forget_oldest():  # noqa: ASYNC110
            await asyncio.sleep(0)  # others have their turn

    def _forget_oldest(self) -> bool:
        """Delete the task that has ended first, if that is too long ago, or those are too many."""
        too_many = self.ended.total() > self._settings.max_kept
        before = math.inf if too_many else time.time() - self._settings.retention_seconds
        if row := self._connection.execute(OLDEST, [before]).fetchone():
            self._connection.execute("DELETE FROM tasks WHERE number = ?", row[:1])
            self.ended[row["status"]] -= 1
            self._see_size()
        return row is not None

    def _see_size(self) -> None:
        if self._file.wal_bytes > self._checkpoint_bytes:
            self._due.set()

    def _settle(self) -> None:
        """Tell those who wait of a transaction, or why there is none."""
        self._settled.set_result(self.problem)
        self._settled = asyncio.get_running_loop().create_future()
