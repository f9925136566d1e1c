"""The journal: writes what is appended to logs, all of one turn of the event loop in one transaction.

Only then it shows. What is appended while a checkpoint uses the connection, in a thread, waits, as it does
as long as the file can't be written.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from taskstream.errors import BackendUnavailable
from taskstream.settings import Settings
from taskstream.sqlite.file import GONE, DatabaseFile, problem_of
from taskstream.sqlite.log import FileLog
from taskstream.sqlite.tables import Tables
from taskstream.tasks import Checkpoint

WAL_BYTES = 4 * 1024 * 1024
"""The size of the write-ahead log from which on there is a checkpoint."""

LOOK_SECONDS = 1
"""How often the file is synced and looked after."""

logger = logging.getLogger(__name__)


class Journal:
    """The logs that were appended to, on their way into a file."""

    problem = ""
    """Why the file can't be written; nothing if it can."""

    def __init__(
        self,
        file: DatabaseFile,
        settings: Settings,
        on_written: Callable[[], object],
        on_problem: Callable[[], object],
    ) -> None:
        """Call `on_written` when all is written, `on_problem` when the problem has changed."""
        self.due = asyncio.Event()
        """Whether the file is to be looked after at once."""
        self._file = file
        self.tables = Tables(file.connection, settings)
        self._on_written = on_written
        self._on_problem = on_problem
        self._changed: dict[FileLog, None] = {}
        self._outcome = asyncio.get_running_loop().create_future()
        self._connection = asyncio.Lock()
        self._checkpoint_bytes = WAL_BYTES
        self._synced = True
        self._stopping = False

    def add(self, log: FileLog) -> None:
        """Have what was appended to a log written soon."""
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
    async def idle(self) -> AsyncIterator[Tables]:
        """The tables, while no checkpoint is on, for who awaits nothing. Raises `BackendUnavailable`."""
        async with self._connection:
            try:
                yield self.tables
            except sqlite3.Error as error:
                logger.exception("The database can't be used")
                raise BackendUnavailable(problem_of(error)) from error
        self._see_size()

    def write(self) -> None:
        """Write what was appended, and show it; not while the connection is in use."""
        lost = self.problem == GONE and not self._file.in_place
        if lost or self._connection.locked() or not (self._changed or self.problem):
            return
        try:
            self.tables.write([*self._changed])
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
        self._see_size()

    def fail(self, problem: str, error: Exception | None = None) -> None:
        """Write nothing until the file can be written: those who wait for a start or an end are told so."""
        if problem != self.problem:
            logger.error("%s (%s)", problem, error)
        for log in [each for each in self._changed if each.row]:
            del self._changed[log]
        self.problem = problem
        self._on_problem()
        self._settle(problem)

    async def look_after(self) -> bool:
        """Wait until something is due, a second at the most, and do it; false once that is to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.due.wait(), LOOK_SECONDS)
        self.due.clear()
        if not self._file.in_place:
            self.fail(GONE)
            return not self._stopping
        try:
            if not self._synced:
                self._synced = True
                await asyncio.to_thread(self._file.sync)
            if self.problem or self._file.wal_bytes > self._checkpoint_bytes:
                async with self._connection:
                    await asyncio.to_thread(self._file.checkpoint)  # which may make room on a full disk
                self._checkpoint_bytes = (
                    self._file.wal_bytes + WAL_BYTES
                )  # a program that reads keeps it long
                self.write()
        except (OSError, sqlite3.Error) as error:
            self.fail(problem_of(error), error)
        return not self._stopping

    def stop(self) -> None:
        """Have `look_after` return for the last time."""
        self._stopping = True
        self.due.set()

    def close(self) -> None:
        """Write what there is, and close the file: nothing that is appended from now on is in it."""
        in_place = self._file.in_place
        if in_place:
            self.write()
        self._file.close(clean=in_place and not self._changed)
        self.problem = "The server stops."
        self._settle(self.problem)

    def _see_size(self) -> None:
        if self._file.wal_bytes > self._checkpoint_bytes:
            self.due.set()

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
