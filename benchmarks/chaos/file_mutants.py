"""Safeguards of tasks in a file that can be switched off, one at a time."""

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.chaos.mutants import Mutant
from benchmarks.chaos.switches import replace
from taskstream.events import Event, TaskStatus
from taskstream.sqlite.log import FileLog, commit

Changed = Mapping[FileLog, Sequence[Event]]

LATE_SECONDS = 1

restore = FileLog.restore


class LateConnection:
    """A connection that commits a moment after it was told to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a connection has
        return getattr(self._connection, name)

    def execute(self, statement: str, values: Iterable[object] = ()) -> object:
        """Execute a statement, unless it begins or ends a transaction that is to be left open."""
        if statement == "COMMIT":
            return asyncio.get_running_loop().call_later(LATE_SECONDS, self._connection.commit)
        if statement.startswith("BEGIN") and self._connection.in_transaction:
            return None
        return self._connection.execute(statement, [*values])

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def show_before_written() -> None:
    """Commit a moment after what was written has been shown."""

    def uncommitted(connection: sqlite3.Connection, *changes: Any) -> list[TaskStatus]:  # noqa: ANN401
        return commit(LateConnection(connection), *changes)  # type: ignore[arg-type]

    replace("taskstream.sqlite.journal", "commit", uncommitted)()


def write_keys_late() -> None:
    """Write a task without its key, and the key a moment later."""

    def add_key(connection: sqlite3.Connection, log: FileLog, owner: list[str]) -> None:
        log.owner, values = owner, [*owner[2:4], log.number]
        data = "json_set(data, '$[2]', ?, '$[3]', ?)"
        connection.execute(f"UPDATE events SET data = {data} WHERE number = ?", values)
        connection.execute("UPDATE tasks SET key = ?, fingerprint = ? WHERE number = ?", values)

    def apart(connection: sqlite3.Connection, changed: Changed, *others: Any) -> list[TaskStatus]:  # noqa: ANN401
        for log in changed:
            if not log.last_id and log.owner[2]:
                owner, log.owner = log.owner, [*log.owner[:2], None, None, log.owner[4]]
                asyncio.get_running_loop().call_later(LATE_SECONDS, add_key, connection, log, owner)
        return commit(connection, changed, *others)

    replace("taskstream.sqlite.journal", "commit", apart)()


def count_from_one() -> None:
    """Number what follows a restart as if nothing had been before."""

    def forgetful(log: FileLog, rows: Iterable[sqlite3.Row]) -> None:
        restore(log, rows)
        log._waiting.last_id = 1

    replace("taskstream.sqlite.log", "FileLog.restore", forgetful)()


FILE_MUTANTS = {
    "shown-before-written": Mutant("viewers see what the file does not have", (), show_before_written),
    "keys-apart": Mutant("a task and its key are written one after the other", (), write_keys_late),
    "ids-from-memory": Mutant("numbers don't go on after a restart", (), count_from_one),
}
