"""The file: how one process at a time opens it, and what is said of one that can't be opened or written."""

import errno
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

APPLICATION_ID = 0x7461736B
"""What tells our files from those of others: "task" in ASCII."""
VERSION = 2  # of the schema

SCHEMA = f"""
BEGIN;
CREATE TABLE life (boot TEXT, inode INTEGER, clean INTEGER, mark TEXT);
INSERT INTO life VALUES (NULL, NULL, 1, lower(hex(randomblob(4))));
CREATE TABLE events (number INTEGER PRIMARY KEY, task INTEGER, id INTEGER, kind TEXT, data TEXT);
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY, task_id TEXT UNIQUE, scope TEXT, key TEXT, fingerprint TEXT,
    status TEXT, ended_at REAL, last_id INTEGER, latest BLOB, events BLOB
);
CREATE INDEX keyed ON tasks (key) WHERE key IS NOT NULL;
CREATE INDEX ended ON tasks (ended_at);
CREATE INDEX ended_so ON tasks (status);
CREATE INDEX scoped ON tasks (scope) WHERE scope IS NOT NULL;
CREATE INDEX scoped_so ON tasks (scope, status) WHERE scope IS NOT NULL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""
"""`events` has those of tasks that have not ended, as they come, after a row that says whose they are and
what the work is given: an index on the task, or a key that begins with it, would double what an event
costs. With its end, a log moves to `tasks`, as one row under the number of its first one."""

JUMP = """
INSERT INTO events (task, id, kind, data)
SELECT task, (SELECT max(?, max(id) + 1) FROM events), kind, data FROM events
WHERE number IN (SELECT max(number) FROM events WHERE kind = '' GROUP BY task);
"""
"""Has logs that are not over go on, after their latest snapshot, with a number that nobody has seen."""

CHECKPOINT = "wal_checkpoint(TRUNCATE)"
"""Moves what is in the write-ahead log to its place, and empties it."""
WAL_BYTES = 4 * 1024 * 1024
"""The size of the write-ahead log from which on there is a checkpoint."""

GONE = "The database was deleted or replaced: restart the server."
OTHERWISE = "The database can't be read or written: the server's log says why."
PROBLEMS = {
    sqlite3.SQLITE_FULL: "The disk of the database is full: nothing is started until there is space again.",
    sqlite3.SQLITE_READONLY: "The database can't be written: it, or its disk, is read-only.",
    sqlite3.SQLITE_BUSY: "The database is locked by another program.",
    sqlite3.SQLITE_CORRUPT: "The database is damaged.",
    sqlite3.SQLITE_NOTADB: "The database is no SQLite database, or is encrypted.",
}

_open: set[Path] = set()
"""What this process has open: a lock doesn't keep out the process that has it, and is gone as soon as that
closes the file anywhere."""


class DatabaseUnusable(ValueError):
    """A database can't be opened; `str()` is a sentence that says why."""


class DatabaseFile:
    """A database of tasks, which only this process has open. Raises `DatabaseUnusable`."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).resolve()
        self.clean = False  # until it has all that anybody has seen, and gets no more
        with explained(path), ExitStack() as stack:
            if self.path.exists() and not self.path.is_file():  # as /dev/null, whose mode root would change
                raise DatabaseUnusable(f"The database '{path}' is no file.")
            lock(self.path, stack)
            # First without SQLite, which has no words for what this raises.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._inode = self.path.stat().st_ino
            self.connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            stack.callback(self.connection.close)  # which does a checkpoint
            self.connection.row_factory = sqlite3.Row
            self._prepare()
            self.wal = os.open(f"{self.path}-wal", os.O_RDWR)
            """The write-ahead log."""
            stack.callback(os.close, self.wal)
            self._opened = stack.pop_all()

    @property
    def in_place(self) -> bool:
        """Whether what is open is still the file at its path: a deleted one can be written to as well."""
        try:
            is_file = os.stat(self.path).st_ino == self._inode  # noqa: PTH116 - each start asks this
            return is_file and os.fstat(self.wal).st_nlink > 0
        except OSError:
            return False

    @property
    def wal_bytes(self) -> int:
        """The size of the write-ahead log."""
        return os.fstat(self.wal).st_size

    def close(self) -> None:
        """Close it, and note in it whether it is clean."""
        with self._opened:
            if self.clean:
                with suppress(sqlite3.Error):  # then it stays unclean
                    self.connection.execute("UPDATE life SET clean = 1")

    def pragma(self, text: str) -> Any:  # noqa: ANN401 - a number or text
        """What SQLite answers to a pragma, if it does."""
        row = self.connection.execute(f"PRAGMA {text}").fetchone()
        return row and row[0]

    def _prepare(self) -> None:
        """Make it a database of ours, unless it is, and note in it that it was not closed."""
        pragma, execute = self.pragma, self.connection.execute
        is_empty = pragma("schema_version") == 0
        if not is_empty and pragma("application_id") != APPLICATION_ID:
            raise DatabaseUnusable(f"The database '{self.path}' belongs to another program.")
        if not is_empty and (version := pragma("user_version")) != VERSION:
            age = "a newer" if version > VERSION else "an older"
            raise DatabaseUnusable(f"The database '{self.path}' was made by {age} version of taskstream.")
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").chmod(0o600)  # it has what tasks were started with
        if pragma("journal_mode = WAL") != "wal":
            raise DatabaseUnusable(
                f"The disk of '{self.path}' has no shared memory: take one of this machine."
            )
        pragma("wal_autocheckpoint = 0")
        pragma("secure_delete = ON")
        if is_empty:
            self.connection.executescript(SCHEMA)
        boot, inode, clean, self.mark = execute("SELECT * FROM life").fetchone()
        execute("BEGIN")
        if inode is not None and (inode != self._inode or not (clean or boot == boot_id())):
            # It may lack what somebody has seen: after a power failure, or as it is a copy.
            execute(JUMP, [time.time_ns() // 1000])
        execute("UPDATE life SET boot = ?, inode = ?, clean = 0", [boot_id(), self._inode])
        execute("COMMIT")
        pragma(CHECKPOINT)  # or a power failure could take back that it was opened
        pragma("synchronous = NORMAL")
        pragma("busy_timeout = 10")  # milliseconds, for which the event loop would wait


def lock(path: Path, stack: ExitStack) -> None:
    """Lock `tasks.db.lock`, which says by whom, until a stack is left. Raises `DatabaseUnusable`."""
    if path in _open:
        raise DatabaseUnusable(f"The database '{path}' is open in this process already.")
    _open.add(path)
    stack.callback(_open.discard, path)
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    stack.callback(os.close, descriptor)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            # not flock, which a forked process keeps
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):  # as on a disk that has no locks
            raise
        owner = os.read(descriptor, 20).decode().strip()
        raise DatabaseUnusable(
            f"The database '{path}' is open in another process ({owner}): several processes need Redis."
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"%d\n" % os.getpid())


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Raise `DatabaseUnusable` in the place of what SQLite and the system raise."""
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseUnusable(f"{problem_of(error)} It is '{path}'.") from error
    except OSError as error:
        raise DatabaseUnusable(f"The database '{path}' can't be opened: {error.strerror}.") from error


def problem_of(error: Exception) -> str:
    """What is wrong, in words that don't say where the file is."""
    return PROBLEMS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, OTHERWISE)


def boot_id() -> str:
    """What is the same until the machine is started again."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return f"{(time.time() - time.monotonic()) / 60:.0f}"
