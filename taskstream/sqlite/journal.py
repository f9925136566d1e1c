"""The journal: writes what is appended to logs, all of one turn of the event loop in one transaction.

Only then it shows. A checkpoint is done on the same connection, in a thread; what is appended meanwhile
waits, as it does as long as the file can't be written.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from taskstream.errors import BackendUnavailable
from taskstream.sqlite.file import GONE, OTHERWISE, DatabaseFile, problem_of
from taskstream.sqlite.log import FileLog
from taskstream.sqlite.tables import Tables
from taskstream.tasks import Checkpoint

WAL_BYTES = 4 * 1024 * 1024
"""The size of the write-ahead log from which on there is a checkpoint."""

logger = logging.getLogger(__name__)


class Journal:
    """The logs that were appended to, on their way into a file."""

    problem = ""
    """Why the file can't be written; nothing if it can."""

    def __init__(
        self, file: DatabaseFile, on_written: Callable[[], object], on_problem: Callable[[], object]
    ) -> None:
        """Call `on_written` when all is written, `on_problem` when the problem has changed."""
        self._file = file
        self.tables = Tables(file.connection)
        self._on_written = on_written
        self._on_problem = on_problem
        self._changed: dict[FileLog, None] = {}
        self._outcome = asyncio.get_running_loop().create_future()
        self._synced = True
        self._stopped = False
        self._checkpoint: asyncio.Task[None] | None = None
        self._checkpoint_bytes = WAL_BYTES

    def add(self, log: FileLog) -> None:
        """Have what was appended to a log written soon; after the stop, never."""
        if self._stopped:
            return
        if not self._changed and not self.problem:
            asyncio.get_running_loop().call_soon(self.write)
        self._changed[log] = None

    async def written(self) -> None:
        """Wait until all that was appended is in the file. Raises `BackendUnavailable`."""
        if (self._changed or self.problem) and (problem := await asyncio.shield(self._outcome)):
            raise BackendUnavailable(problem)

    def require(self) -> None:
        """Raise `BackendUnavailable` if the file can't be written."""
        if not self._file.in_place:
            self.fail(GONE)
        if self.problem:
            raise BackendUnavailable(self.problem)

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        """Use the connection, which no checkpoint uses meanwhile. Raises `BackendUnavailable`."""
        while self._checkpoint:
            await asyncio.wait([self._checkpoint])
        try:
            yield
        except sqlite3.Error as error:
            logger.exception("The database can't be used")
            raise BackendUnavailable(problem_of(error)) from error
        self._checkpoint_if_large()

    def write(self) -> None:
        """Write what was appended, and show it; after the checkpoint, if there is one."""
        if self._checkpoint or not (self._changed or self.problem):
            return
        if self.problem == GONE and not self._file.in_place:
            return
        logs = [*self._changed]
        try:
            self.tables.write(logs)
        except sqlite3.Error as error:
            self.fail(problem_of(error), error)
            return
        self._changed.clear()
        self._synced = False
        if self.problem:
            logger.warning("The database can be written again.")
            self.problem = ""
            self._on_problem()
        self._settle("")
        self._on_written()
        self._checkpoint_if_large()

    def fail(self, problem: str, error: Exception | None = None) -> None:
        """Write nothing until the file can be written: those who wait for a start or an end are told so."""
        if problem != self.problem:
            logger.error("%s (%s)", problem, error)
        for log in [each for each in self._changed if each.row]:
            del self._changed[log]
        self.problem = problem
        self._on_problem()
        self._settle(problem)

    async def look_after(self) -> None:
        """See whether the file is there, try again to write it, sync it: to be called each second."""
        if not self._file.in_place:
            self.fail(GONE)
        elif self.problem and not self._checkpoint:  # which may make room on a full disk
            self._checkpoint = asyncio.create_task(self._do_checkpoint())
        if not self._synced:
            self._synced = True
            try:
                await asyncio.to_thread(self._file.sync)
            except OSError as error:
                self.fail(OTHERWISE, error)

    async def close(self) -> None:
        """Write what there is, and close the file: nothing that is appended from now on is in it."""
        async with self.idle():
            self._stopped = True
            if self._file.in_place:
                self.write()
            clean = self._file.in_place and not self._changed
        self._settle("The server stops.")
        self._file.close(clean=clean)

    def _checkpoint_if_large(self) -> None:
        if not (self._checkpoint or self._stopped) and self._file.wal_bytes > self._checkpoint_bytes:
            self._checkpoint = asyncio.create_task(self._do_checkpoint())

    async def _do_checkpoint(self) -> None:
        try:
            await asyncio.to_thread(self._file.checkpoint)
        except sqlite3.Error as error:
            self.fail(problem_of(error), error)
            return
        finally:
            self._checkpoint = None
            self._checkpoint_bytes = self._file.wal_bytes + WAL_BYTES  # a program that reads keeps it long
        self.write()

    def _settle(self, problem: str) -> None:
        self._outcome.set_result(problem)
        self._outcome = asyncio.get_running_loop().create_future()


class FileCheckpoint(Checkpoint):
    """Where work waits, besides, until the file has that it begins, and as long as it can't be written."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal
        self._begun = False

    async def __call__(self) -> None:
        """Wait for the file, then let the others go first."""
        while self._journal.problem or not self._begun:  # or after a crash it would begin again
            with suppress(BackendUnavailable):
                await self._journal.written()
                self._begun = True
        await super().__call__()
