"""The file: how it is opened, and what is said of one that can't be."""

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from taskstream.sqlite.lock import DatabaseUnusable, Lock

APPLICATION_ID = 0x7461736B
"""What tells our databases from those of others (`PRAGMA application_id`): "task" in ASCII."""
VERSION = 1
"""The version of the schema (`PRAGMA user_version`)."""

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE life (boot TEXT, inode INTEGER, clean INTEGER);
INSERT INTO life VALUES (NULL, NULL, 1);
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY, task_id TEXT NOT NULL UNIQUE, scope TEXT, key TEXT UNIQUE, fingerprint TEXT,
    work TEXT NOT NULL, parameters BLOB, status TEXT, ended_at REAL, last_id INTEGER, latest BLOB
);
CREATE INDEX ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX scoped ON tasks (scope, number) WHERE scope IS NOT NULL;
CREATE TABLE events (number INTEGER PRIMARY KEY, task INTEGER, id INTEGER, kind TEXT, data BLOB);
CREATE TABLE logs (task INTEGER PRIMARY KEY, events BLOB);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""
"""`events` has those of tasks that have not ended, as they come: an index on the task, or a key that begins
with it, would double what an event costs. With its end, a log moves to `logs`."""

OPEN_SECONDS = 5
"""How long another program may be busy with the file when it is opened."""
BUSY_MILLISECONDS = 10
"""The same later on, when the event loop waits."""

FULL = "The disk of the database is full: nothing can be started until there is space again."
GONE = "The file of the database was deleted or replaced: restart the server."
READ_ONLY = "The database can't be written: the file or its disk is read-only."
LOCKED = "The database is locked by another program."
DAMAGED = "The database is damaged."
OUT_OF_ORDER = "The database can't be read or written: the server's log says why."

PROBLEMS = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: "It is no database, or it is encrypted.",
}


def problem_of(error: sqlite3.Error) -> str:
    """What is wrong, in words."""
    return PROBLEMS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, OUT_OF_ORDER)


class DatabaseFile:
    """A database of tasks, which this process alone has open.

    Raises `DatabaseUnusable`, with a sentence, if it can't be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path).resolve()
        if self.path.is_dir() or not self.path.parent.is_dir():
            raise DatabaseUnusable(f"The database '{path}' has to be a file in a folder that is there.")
        try:
            self._lock = Lock(self.path)
        except OSError as error:
            raise unusable(self.path, str(error.strerror)) from None
        try:
            self._open()
        except sqlite3.Error as error:
            self._lock.release()
            raise unusable(self.path, problem_of(error)) from error
        except OSError as error:
            self._lock.release()
            raise unusable(self.path, str(error.strerror)) from error
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        self.inode = self.path.stat().st_ino
        self.connection = sqlite3.connect(
            self.path, OPEN_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
            self._wal = os.open(f"{self.path}-wal", os.O_RDWR)
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self) -> None:
        """Make it a database of ours, unless it is; and note that it was not closed."""
        pragma = self.pragma
        version, is_empty = pragma("user_version"), pragma("schema_version") == 0
        if not is_empty and pragma("application_id") != APPLICATION_ID:
            raise unusable(self.path, "It belongs to another program.")
        if version > VERSION:
            raise unusable(self.path, "It was made by a newer version of taskstream: install that.")
        for suffix in ("", "-wal", "-shm", ".lock"):  # with all that tasks were started with
            with suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").chmod(0o600)
        if pragma("journal_mode = WAL") != "wal":
            raise unusable(
                self.path, "Its disk has no shared memory, as those of a network: take a local one."
            )
        for setting in ("synchronous = FULL", "secure_delete = ON", "wal_autocheckpoint = 0"):
            pragma(setting)
        if is_empty:
            self.connection.executescript(SCHEMA)
        boot, inode, clean = self.connection.execute("SELECT boot, inode, clean FROM life").fetchone()
        self.tail_lost = inode is not None and (inode != self.inode or not (clean or boot == boot_id()))
        """Whether somebody may have seen more than is in there."""
        self.connection.execute("UPDATE life SET boot = ?, inode = ?, clean = 0", (boot_id(), self.inode))
        self.checkpoint()  # which makes sure that this is on the disk before anybody sees an event
        pragma("synchronous = NORMAL")
        pragma(f"busy_timeout = {BUSY_MILLISECONDS}")

    def pragma(self, text: str) -> Any:  # noqa: ANN401 - a number or text
        """The value of a pragma, perhaps as it was set."""
        row = self.connection.execute(f"PRAGMA {text}").fetchone()
        return row[0] if row else None

    @property
    def in_place(self) -> bool:
        """Whether the file that is open is the one that is there."""
        try:
            return self.path.stat().st_ino == self.inode
        except OSError:
            return False

    @property
    def wal_bytes(self) -> int:
        """The size of the write-ahead log."""
        return os.fstat(self._wal).st_size

    def sync(self) -> None:
        """Wait until all that is committed is on the disk. To be called in a thread."""
        os.fsync(self._wal)

    def checkpoint(self) -> None:
        """Move what is in the write-ahead log to its place, and empty it. To be called in a thread."""
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self, *, clean: bool) -> None:
        """Close it; `clean` if all that was appended is in there."""
        os.close(self._wal)
        try:
            if clean:
                self.connection.execute("UPDATE life SET clean = 1")
            self.connection.close()  # which does a checkpoint
        finally:
            self._lock.release()


def unusable(path: Path, reason: str) -> DatabaseUnusable:
    """The error for a file that can't be used for this reason."""
    return DatabaseUnusable(f"The database '{path}' can't be used. {reason.rstrip('.')}.")


def boot_id() -> str:
    """What is the same until the machine is started again."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"started at {(time.time() - time.monotonic()) / 60:.0f}"
