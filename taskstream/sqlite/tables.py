"""The tables: what is written of tasks and their events, and read again. All may raise `sqlite3.Error`."""

import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from taskstream.events import Event, Kind, TaskStatus
from taskstream.sqlite.log import FileLog


class Unfinished(NamedTuple):
    """A task that has not ended, as the file has it."""

    number: int
    task_id: str
    scope: str | None
    key: str | None
    fingerprint: str
    work: str
    parameters: bytes | None
    """`None` once its work has begun."""


class Kept(NamedTuple):
    """A task that has ended, as the file has it."""

    number: int
    task_id: str
    scope: str | None
    fingerprint: str | None
    last_id: int
    latest: bytes

    @property
    def last_event(self) -> Event:
        """Its end."""
        return Event(self.last_id, Kind.LAST, self.latest)


class Tables:
    """The statements on one connection, which has no transaction in between."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute, self._execute_many = connection.execute, connection.executemany
        self._connection = connection
        self._event_number = self._highest("events")
        self.task_number = self._highest("tasks")
        self._trimmed: list[int] = []

    def write(self, logs: Collection[FileLog]) -> int:
        """Write what was appended to logs, and show it: all or nothing. How many events there were."""
        written = sum(len(log.appended) for log in logs)
        began = [(log.number,) for log in logs if not (log.begun or log.row or log.sealed)]
        new = [log.row for log in logs if log.row]
        going_on = [log for log in logs if not log.sealed]
        events = [
            (log.number, each.id, each.kind.value, each.data) for log in going_on for each in log.appended
        ]
        first = self._event_number + 1
        with self._transaction():
            if new:
                self._execute_many(
                    f"INSERT INTO tasks VALUES ({'?, ' * 7}'PENDING', NULL, NULL, NULL)", new
                )
            if began:
                self._execute_many("UPDATE tasks SET parameters = NULL WHERE number = ?", began)
            if events:
                numbered = ((number, *event) for number, event in enumerate(events, first))
                self._execute_many("INSERT INTO events VALUES (?, ?, ?, ?, ?)", numbered)
            if len(going_on) < len(logs):
                self._end([log for log in logs if log.sealed])
            if self._trimmed:
                self._delete_events(self._trimmed)
        self._trimmed = []
        self._event_number += len(events)
        for log in logs:
            length = 0 if log.sealed else len(log.appended)
            log.show(range(first, first + length))
            first += length
            self._trimmed += log.trim()
        return written

    def write_nothing(self) -> None:
        """Write something that is there already, to see whether that can be done."""
        with self._transaction():
            self._execute("UPDATE life SET clean = 0")

    def unfinished(self) -> list[tuple[Unfinished, list[Event], list[int]]]:
        """The tasks that have not ended, in the order in which they were started, with their events."""
        events: dict[int, list[Event]] = defaultdict(list)
        rows: dict[int, list[int]] = defaultdict(list)
        for number, task, id_, kind, data in self._execute("SELECT * FROM events ORDER BY number"):
            events[task].append(Event(id_, Kind(kind), data))
            rows[task].append(number)
        tasks = self._execute(
            "SELECT number, task_id, scope, key, fingerprint, work, parameters FROM tasks WHERE number IN "
            "(SELECT task FROM events) ORDER BY number"
        )
        return [(Unfinished(*row), events[row[0]], rows[row[0]]) for row in tasks]

    def jump(self) -> None:
        """Go on with numbers that nobody has seen, where some of those that were given out may be lost."""
        self._execute(
            "INSERT INTO events (task, id, kind, data) "
            "SELECT task, (SELECT max(?, max(id) + 1) FROM events), kind, data FROM events "
            "WHERE number IN (SELECT max(number) FROM events WHERE kind = '' GROUP BY task)",
            (time.time_ns() // 1000,),
        )
        self._event_number = self._highest("events")

    def find(self, column: Literal["task_id", "key"], value: str) -> Kept | None:
        """A task that has ended, by its id or its idempotency key."""
        row = self._execute(
            f"SELECT number, task_id, scope, fingerprint, last_id, latest FROM tasks WHERE {column} = ? "
            "AND ended_at IS NOT NULL",
            (value,),
        ).fetchone()
        return Kept(*row) if row else None

    def events_of(self, kept: Kept) -> list[Event]:
        """All events of a task that has ended."""
        [(lines,)] = self._execute("SELECT events FROM logs WHERE task = ?", (kept.number,))
        fields = (line.split(b" ", 2) for line in lines.splitlines())
        return [
            *(Event(int(id_), Kind(kind.decode()), data) for id_, kind, data in fields),
            kept.last_event,
        ]

    def list_kept(
        self, scope: str | None, status: TaskStatus | None, limit: int
    ) -> list[tuple[int, bytes]]:
        """Number and last snapshot of tasks that have ended, the newest first."""
        wanted = {"scope": scope, "status": status}
        conditions = "".join(f" AND {name} = :{name}" for name, value in wanted.items() if value)
        return self._execute(
            f"SELECT number, latest FROM tasks WHERE ended_at IS NOT NULL{conditions} "
            f"ORDER BY number DESC LIMIT {limit}",
            wanted,
        ).fetchall()

    def count_kept(self) -> Counter[TaskStatus]:
        """How many tasks have ended, by their status."""
        counts = self._execute(
            "SELECT status, count(*) FROM tasks WHERE ended_at IS NOT NULL GROUP BY status"
        )
        return Counter({TaskStatus(status): count for status, count in counts})

    def forget_oldest(self, ended_before: float) -> tuple[str, TaskStatus] | None:
        """Delete the task that has ended first, if it has ended before this; its id and its status."""
        row = self._execute(
            "SELECT number, task_id, status FROM tasks WHERE ended_at < ? ORDER BY ended_at LIMIT 1",
            (ended_before,),
        ).fetchone()
        if row is None:
            return None
        with self._transaction():
            self._execute("DELETE FROM logs WHERE task = ?", row[:1])
            self._execute("DELETE FROM tasks WHERE number = ?", row[:1])
        return row[1], TaskStatus(row[2])

    def _end(self, logs: Collection[FileLog]) -> None:
        """Move the logs of tasks that have ended out of the way of those that go on."""
        now, ends, moved = time.time(), [], []
        for log in logs:
            *events, last = log.whole
            status = re.findall(rb'"status":"([A-Z]+)"', last.data)[0].decode()
            ends.append((status, now, last.id, last.data, log.number))
            lines = [b"%d %b %b\n" % (id_, kind.encode(), data) for id_, kind, data in events]
            moved.append((log.number, b"".join(lines)))
            self._delete_events(log.rows)
        self._execute_many(
            "UPDATE tasks SET parameters = NULL, status = ?, ended_at = ?, last_id = ?, latest = ? "
            "WHERE number = ?",
            ends,
        )
        self._execute_many("INSERT INTO logs VALUES (?, ?)", moved)

    def _delete_events(self, numbers: Iterable[int]) -> None:
        self._execute_many("DELETE FROM events WHERE number = ?", ((number,) for number in numbers))

    def _highest(self, table: str) -> int:
        [(number,)] = self._execute(f"SELECT coalesce(max(number), 0) FROM {table}")
        return int(number)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite may have rolled it back by itself
                self._execute("ROLLBACK")
            raise
