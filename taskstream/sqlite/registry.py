"""The registry of a process whose tasks outlive it: in one file, read again when it starts.

Tasks that have not ended are in memory, as without a file; those that have are read when somebody asks.
"""

import asyncio
import math
import sqlite3
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

from pydantic import ValidationError

from taskstream.errors import BackendUnavailable, InvalidParameters, RegistryFull, TaskNotFound
from taskstream.events import Snapshot, TaskStatus
from taskstream.idempotency import IdempotencyKey
from taskstream.log import Log
from taskstream.registry import MemoryRegistry, Record
from taskstream.settings import Settings
from taskstream.sqlite.file import DatabaseFile, problem_of, unusable
from taskstream.sqlite.journal import Journal
from taskstream.sqlite.log import FileLog
from taskstream.tasks import Checkpoint, Task
from taskstream.work import Parameters, Work
from taskstream.work_table import WorkTable

HELD = 100
"""Tasks that have ended and were asked for last: their logs are held in memory."""

FORGET_SECONDS = 1
"""How often tasks are forgotten whose time is over."""

STOPPED = "The server stopped while this task ran"


class FileRegistry(MemoryRegistry):
    """The tasks of one process, kept in a file; see `Registry`."""

    backend: Literal["memory", "sqlite", "redis"] = "sqlite"

    def __init__(self, settings: Settings, works: WorkTable) -> None:
        """Go on where the process before has stopped. Raises `DatabaseUnusable`."""
        super().__init__(settings)
        self._held: OrderedDict[str, Task] = OrderedDict()
        self._begin_when_written: dict[str, Callable[[], object]] = {}
        file = DatabaseFile(str(settings.database))
        try:
            self._journal = Journal(file, self._written, self._problem_changed)
            self._restore(file, works)
        except sqlite3.Error as error:
            file.close(clean=False)
            raise unusable(file.path, problem_of(error)) from error
        except BaseException:
            file.close(clean=False)
            raise
        self._owned = [
            asyncio.create_task(each) for each in (self._journal.look_after(), self._forget_for_ever())
        ]

    async def start(
        self,
        work: Work,
        parameters: Parameters,
        name: str,
        key: IdempotencyKey | None = None,
        scope: str | None = None,
    ) -> Task:
        """Start some work, once that is in the file."""
        self._journal.require()
        json = work.to_json(parameters).encode()
        kept = key and await self._find("key", key.key)
        if key and (earlier := self._keyed_task(key) or kept):
            await self._journal.written()
            return earlier
        if len(self._records) >= self._settings.max_tasks:
            raise RegistryFull(self._settings.max_tasks)
        self._journal.tables.task_number += 1
        log = self._new_log(self._journal.tables.task_number)
        task = Task.create(name, log)
        log.task_id = task.task_id
        of_key = (key.key, key.fingerprint) if key else (None, None)
        task.scope = scope
        log.row = (log.number, task.task_id, scope, *of_key, work.name, json)
        record = self._records[task.task_id] = Record(task, key)
        if key:
            self._keyed[key.key] = record
        self._begin_when_written[task.task_id] = partial(
            self._begin, record, work, parameters, self._checkpoint()
        )
        await self._journal.written()
        return task

    async def get(self, task_id: str, last_event_id: str | None = None) -> Task:  # noqa: ARG002 - it has all
        """The task with this id."""
        if task := await self._find("task_id", task_id):
            return task
        raise TaskNotFound(task_id, self._settings.retention_seconds)

    async def get_many(self, task_ids: Sequence[str]) -> Sequence[Task | None]:
        """The tasks with these ids; of those that have ended, the end."""
        return [await self._find("task_id", task_id, whole=False) for task_id in task_ids]

    async def list(self, scope: str | None, status: TaskStatus | None, limit: int) -> Sequence[bytes]:
        """The latest snapshots, newest task first."""
        async with self._journal.reading() as tables:
            found = tables.list_kept(scope, status, limit)
            for task in (record.task for record in self._records.values()):
                if (
                    task.log.last_id
                    and scope in (None, task.scope)
                    and status in (None, task.snapshot.status)
                ):
                    assert isinstance(task.log, FileLog)
                    found.append((task.log.number, task.log.latest))
        return [latest for _, latest in sorted(found, reverse=True)[:limit]]

    async def cancel(self, task_id: str) -> Task:
        """End a task that still runs as REVOKED, and stop its work."""
        task = await self.get(task_id)
        if not task.ended:
            self._journal.require()
            await super().cancel(task_id)
            await self._journal.written()
        return task

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        self._journal.require()
        return len(self._records) + self._kept.total(), len(self._records)

    async def count_by_status(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are in each status."""
        return self._kept + Counter(await super().count_by_status())

    @property
    def events_published(self) -> int:
        """How many events were written since the process has started."""
        return self._journal.events_written

    async def close(self) -> None:
        """Stop what runs, which has not ended for that: the next process says so. Close the file."""
        await self._journal.stop()
        for each in (*self._owned, *self._running):
            each.cancel()
        await asyncio.wait(self._owned)
        await self._wait_for_running()
        await self._journal.close()

    def _restore(self, file: DatabaseFile, works: WorkTable) -> None:
        """Take up the tasks that have not ended: end those that ran, start the others, in their order."""
        tables = self._journal.tables
        self._kept = tables.count_kept()
        if file.tail_lost:
            tables.jump()
        begin = []
        for row, events, numbers in tables.unfinished():
            log = self._new_log(row.number, row.task_id)
            log.restore(events, numbers)
            log.begun = row.parameters is None
            task = Task(row.task_id, log)
            task.scope = row.scope
            task.outline = Snapshot.from_json(log.latest)
            key = IdempotencyKey(row.key, row.fingerprint) if row.key else None
            record = self._records[task.task_id] = Record(task, key)
            if key:
                self._keyed[key.key] = record
            if row.parameters is None:
                task.publish(TaskStatus.FAILURE, STOPPED)
                continue
            try:
                work = works.get(row.work)
                begin.append(partial(self._begin, record, work, work.from_json(row.parameters.decode())))
            except (InvalidParameters, ValidationError):
                task.publish(
                    TaskStatus.FAILURE, f"The work '{row.work}' is gone, or has other parameters now"
                )
        self._journal.write()
        self._journal.require()
        for each in begin:
            each(self._checkpoint())

    def _new_log(self, number: int, task_id: str = "") -> FileLog:
        return FileLog(number, task_id, self._settings, self._journal.add)

    async def _find(
        self, column: Literal["task_id", "key"], value: str, *, whole: bool = True
    ) -> Task | None:
        """A task that is in the file, by its id; or one that has ended, by its key."""
        if (record := self._records.get(value)) and record.task.log.last_id:
            return record.task
        if task := self._held.get(value):
            self._held.move_to_end(value)
            return task
        async with self._journal.reading() as tables:
            if not (kept := tables.find(column, value)):
                return None
            events = tables.events_of(kept) if whole else [kept.last_event]
        log = Log(self._settings.history_length, self._settings.history_bytes)
        for event in events:
            log.append(event.data, event.kind, event.id)
        task = Task(kept.task_id, log)
        task.scope = kept.scope
        if whole:
            self._hold(task)
        return task

    def _hold(self, task: Task) -> None:
        """Keep a task that has ended in memory, until others have been asked for."""
        self._held[task.task_id] = task
        while len(self._held) > HELD:
            self._held.popitem(last=False)

    def _written(self, logs: Sequence[FileLog]) -> None:
        """Begin the work of tasks that are in the file now, and let go of those whose end is."""
        for log in logs:
            if begin := self._begin_when_written.pop(log.task_id, None):
                begin()
            if log.ended:
                task = self._remove(log.task_id)
                self._kept[task.outline.status] += 1
                self._hold(task)

    def _problem_changed(self) -> None:
        """Make work wait while the file can't be written; drop what was to be started."""
        for record in list(self._records.values()):
            log, reporter = record.task.log, record.task.reporter
            if isinstance(log, FileLog) and log.row:
                self._remove(log.task_id)
            elif reporter and self._journal.problem:
                reporter.paused = True
            elif reporter:
                reporter.resume()

    def _remove(self, task_id: str) -> Task:
        self._begin_when_written.pop(task_id, None)
        record = self._records.pop(task_id)
        if record.key:
            del self._keyed[record.key.key]
        return record.task

    async def _forget_for_ever(self) -> None:
        """Forget tasks that have ended, the oldest first, when their time is over or there are too many."""
        while True:
            too_many = self._kept.total() > self._settings.max_kept
            before = math.inf if too_many else time.time() - self._settings.retention_seconds
            forgotten = None
            with suppress(BackendUnavailable):
                forgotten = await self._journal.forget_oldest(before)
            if forgotten:
                task_id, status = forgotten
                self._kept[status] -= 1
                self._held.pop(task_id, None)
            await asyncio.sleep(0 if forgotten else FORGET_SECONDS)

    def _checkpoint(self) -> "WritableCheckpoint":
        return WritableCheckpoint(self._journal.writable)


class WritableCheckpoint(Checkpoint):
    """Where work waits, besides, as long as the file can't be written."""

    def __init__(self, writable: asyncio.Event) -> None:
        super().__init__()
        self._writable = writable

    async def __call__(self) -> None:
        """Wait until the file can be written, then let others go first."""
        await self._writable.wait()
        await super().__call__()
