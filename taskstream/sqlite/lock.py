"""The lock on a database: one process has it at a time, and says which."""

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

LOCKED_BYTE = 1 << 30
"""What Windows locks, nobody else can read: a byte beyond the process id."""

_paths: set[Path] = set()
"""The databases that this process has open: a lock never keeps out the process that holds it."""


class DatabaseUnusable(Exception):
    """A database can't be opened; `str()` is a sentence that says why, and what to do."""


class Lock:
    """A lock on `tasks.db.lock`, whatever forks and whoever dies. Raises `DatabaseUnusable`, `OSError`."""

    def __init__(self, database: Path) -> None:
        self._database = database
        if database in _paths:  # and not later: closing the file would let go of the lock
            raise DatabaseUnusable(f"The database '{database}' is open in this process already.")
        self._file = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take()
            os.ftruncate(self._file, 0)
            os.write(self._file, b"%d\n" % os.getpid())
        except BaseException:
            os.close(self._file)
            raise
        _paths.add(database)

    def release(self) -> None:
        """Let others have the database."""
        os.close(self._file)
        _paths.discard(self._database)

    def _take(self) -> None:
        try:
            if fcntl:  # not `flock`, which a forked process would hold on to
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                os.lseek(self._file, LOCKED_BYTE, os.SEEK_SET)
                msvcrt.locking(self._file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
                os.lseek(self._file, 0, os.SEEK_SET)
        except OSError:
            owner = os.read(self._file, 20).decode("ascii", "replace").strip()
            raise DatabaseUnusable(
                f"The database '{self._database}' is open in another process ({owner}): one at a time has "
                "it. For several, there is Redis."
            ) from None
