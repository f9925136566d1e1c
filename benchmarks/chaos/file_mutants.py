"""Safeguards of tasks in a file that can be switched off, one at a time."""

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks.chaos.mutants import Mutant
from benchmarks.chaos.switches import replace
from taskstream.sqlite.log import FileLog
from taskstream.sqlite.tables import Tables

LATE_SECONDS = 1


def show_before_written() -> None:
    """Commit a moment after what was written has been shown."""

    @contextmanager
    def uncommitted(tables: Tables) -> Iterator[None]:
        if not tables._connection.in_transaction:
            tables._connection.execute("BEGIN")
            asyncio.get_running_loop().call_later(LATE_SECONDS, tables._connection.commit)
        yield

    replace("taskstream.sqlite.tables", "Tables._transaction", uncommitted)()


def write_keys_late() -> None:
    """Write a task without its key, and the key a moment later."""
    write = Tables.write

    def apart(tables: Tables, logs: Sequence[FileLog]) -> None:
        keyed = [(log.row[3], log.row[4], log.number) for log in logs if log.row and log.row[3]]
        for log in logs:
            if log.row:
                log.row = (*log.row[:3], None, None, *log.row[5:])
        write(tables, logs)
        command = "UPDATE tasks SET key = ?, fingerprint = ? WHERE number = ?"
        for each in keyed:
            asyncio.get_running_loop().call_later(LATE_SECONDS, tables._connection.execute, command, each)

    replace("taskstream.sqlite.tables", "Tables.write", apart)()


def count_from_one() -> None:
    """Number what follows a restart as if nothing had been before."""
    restore = FileLog.restore

    def forgetful(log: FileLog, rows: Iterable[sqlite3.Row], *, begun: bool) -> None:
        restore(log, rows, begun=begun)
        log._next_id = 2

    replace("taskstream.sqlite.log", "FileLog.restore", forgetful)()


FILE_MUTANTS = {
    "shown-before-written": Mutant("viewers see what the file does not have", (), show_before_written),
    "keys-apart": Mutant("a task and its key are written one after the other", (), write_keys_late),
    "ids-from-memory": Mutant("numbers don't go on after a restart", (), count_from_one),
}
