"""The journal: writes what is appended to logs, all of one turn of the event loop in one transaction.

Only then it shows. A checkpoint is done on the same connection, in a thread, and what is appended meanwhile
waits, as it does while the file can't be written.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from taskstream.errors import BackendUnavailable
from taskstream.events import TaskStatus
from taskstream.sqlite.file import GONE, DatabaseFile, problem_of
from taskstream.sqlite.log import FileLog
from taskstream.sqlite.tables import Tables

WAL_BYTES = 4 * 1024 * 1024
"""The size of the write-ahead log from which on there is a checkpoint."""

SYNC_SECONDS = 1
"""How often what was written is made to last through a power failure, and the file is looked after."""

logger = logging.getLogger(__name__)


class Journal:
    """The logs that were appended to, on their way into the file."""

    def __init__(
        self,
        file: DatabaseFile,
        on_written: Callable[[Sequence[FileLog]], object],
        on_problem: Callable[[], object],
    ) -> None:
        """Take a file that is open. `on_written` is called with the logs that show something new."""
        self.tables = Tables(file.connection)
        self.problem = ""
        """Why the file can't be written, in words; nothing if it can."""
        self.events_written = 0
        self.writable = asyncio.Event()
        self.writable.set()
        self._file = file
        self._on_written = on_written
        self._on_problem = on_problem
        self._changed: dict[FileLog, None] = {}
        self._scheduled = self._stopped = False
        self._synced = True
        self._waiters: list[asyncio.Future[None]] = []
        self._checkpoint: asyncio.Task[None] | None = None
        self._checkpoint_bytes = WAL_BYTES

    def add(self, log: FileLog) -> None:
        """Have what was appended to a log written soon."""
        if self._stopped:
            return
        self._changed[log] = None
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._write_soon)

    async def written(self) -> None:
        """Wait until all that was appended is in the file. Raises `BackendUnavailable`."""
        if self._changed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def require(self) -> None:
        """Raise `BackendUnavailable` if the file can't be written."""
        if not self._file.in_place:
            self._fail(GONE)
        if self.problem:
            raise BackendUnavailable(self.problem)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Tables]:
        """The tables, when there is no checkpoint, for which the event loop would have to wait.

        Raises `BackendUnavailable`.
        """
        while self._checkpoint:
            await asyncio.wait([self._checkpoint])
        try:
            yield self.tables
        except sqlite3.Error as error:
            logger.exception("The database can't be read")
            raise BackendUnavailable(problem_of(error)) from error

    def write(self) -> None:
        """Write what was appended; not during a checkpoint, after which this is called again."""
        if self._checkpoint or not self._changed:
            return
        logs = [*self._changed]
        try:
            self.events_written += self.tables.write(logs)
        except sqlite3.Error as error:
            self._fail(problem_of(error), error)
            return
        self._changed.clear()
        self._synced = False
        self._settle()
        self._on_written(logs)
        self._check_size()

    async def forget_oldest(self, ended_before: float) -> tuple[str, TaskStatus] | None:
        """Delete the task that has ended first, if that was before this; its id and its status."""
        if self.problem:
            return None
        async with self.reading() as tables:
            forgotten = tables.forget_oldest(ended_before)
        self._check_size()
        return forgotten

    async def stop(self) -> None:
        """Write what there is; what is appended from now on is nothing to the file."""
        self._stopped = True
        async with self.reading():
            if self._file.in_place:
                self.write()
        self._settle("The server stops.")

    async def close(self) -> None:
        """Close the file."""
        async with self.reading():
            self._file.close(clean=not self._changed and self._file.in_place)

    def _write_soon(self) -> None:
        self._scheduled = False
        if not self.problem:
            self.write()

    async def look_after(self) -> None:
        """Sync what was written, see whether the file is there, and try again to write, for ever."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            if not self._file.in_place:
                self._fail(GONE)
            elif self.problem:
                await self._try_again()
            if not self._synced:
                self._synced = True
                await in_thread(self._file.sync)

    async def _try_again(self) -> None:
        async with self.reading():
            try:
                self.tables.write_nothing()
            except sqlite3.Error as error:
                self._fail(problem_of(error), error)
                return
        logger.warning("The database can be written again")
        self.problem = ""
        self.write()
        if not self.problem:
            self.writable.set()
            self._on_problem()

    async def _do_checkpoint(self) -> None:
        problem = None
        try:
            await in_thread(self._file.checkpoint)
        except sqlite3.Error as error:
            problem = error
        finally:
            self._checkpoint = None
        self._checkpoint_bytes = self._file.wal_bytes + WAL_BYTES  # which is left if another program reads
        if problem:
            self._fail(problem_of(problem), problem)
        else:
            self._write_soon()

    def _check_size(self) -> None:
        if self._checkpoint is None and self._file.wal_bytes > self._checkpoint_bytes:
            self._checkpoint = asyncio.create_task(self._do_checkpoint())

    def _fail(self, problem: str, error: Exception | None = None) -> None:
        """Write nothing until the file can be written; those who wait for a start or an end are told."""
        if problem != self.problem:
            logger.error("%s (%s)", problem, error)
        self.problem = problem
        self.writable.clear()
        for log in [each for each in self._changed if each.row]:
            del self._changed[log]
        self._on_problem()
        self._settle(problem)

    def _settle(self, problem: str = "") -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done() and problem:
                waiter.set_exception(BackendUnavailable(problem))
            elif not waiter.done():
                waiter.set_result(None)


async def in_thread(function: Callable[[], object]) -> None:
    """Call this in a thread, and wait until it has returned, also if this is cancelled."""
    call = asyncio.create_task(asyncio.to_thread(function))
    try:
        await asyncio.shield(call)
    finally:
        await asyncio.wait([call])
