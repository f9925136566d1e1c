"""The registry of a process whose tasks outlive it: those that have not ended are in memory, too."""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Literal
from weakref import WeakValueDictionary

from taskstream.errors import IdempotencyKeyReused
from taskstream.events import Snapshot, TaskStatus
from taskstream.idempotency import IdempotencyKey
from taskstream.log import Log
from taskstream.registry import MemoryRegistry
from taskstream.settings import Settings
from taskstream.sqlite.file import DatabaseFile, DatabaseUnusable, explained
from taskstream.sqlite.journal import Journal
from taskstream.sqlite.log import FileLog, kept_task
from taskstream.tasks import Checkpoint, Task, Turn
from taskstream.work import Parameters, Work, WorkTable

ENDS = "task_id, scope, key, fingerprint, last_id, latest, x'' AS events"
"""What is read of tasks of which nobody asks for the whole log."""


class FileRegistry(MemoryRegistry):
    """The tasks of one process, in a file; see `Registry`."""

    backend: Literal["memory", "sqlite", "redis"] = "sqlite"

    def __init__(self, settings: Settings, works: WorkTable) -> None:
        """Open the file, and go on where the last process has stopped. Raises `DatabaseUnusable`."""
        super().__init__(settings)
        self._kept: WeakValueDictionary[str, Log] = WeakValueDictionary()
        """Logs of tasks that have ended, as long as somebody reads them."""
        with explained(str(settings.database)), ExitStack() as stack:
            file = DatabaseFile(str(settings.database))
            stack.callback(file.close)
            self.mark = file.mark
            self._journal = Journal(file, settings, self._forget, self._problem_changed)
            stack.callback(self._journal.caretaker.cancel)
            self._restore(works, file.connection)
            self._opened = stack.pop_all()

    async def start(
        self, work: Work, parameters: Parameters, name: str, key: IdempotencyKey | None, scope: str | None
    ) -> Task:
        """Start some work, once that is in the file."""
        if key and (ended := await self._find_ended("key", key.key)):
            if ended.key != key:
                raise IdempotencyKeyReused
            return ended
        self._journal.require()
        task = await super().start(work, parameters, name, key, scope)
        log = task.log
        assert isinstance(log, FileLog)
        if not log.last_id:
            waiting, task = log.waiting()[0], Task(task.task_id, Log(1), scope)
            task.log.append(waiting.data)  # as it is now: its work will have begun
        await self._journal.written(log)
        return task

    async def get(self, task_id: str, last_event_id: str | None = None) -> Task | None:  # noqa: ARG002
        """The task with this id."""
        return self._tasks.get(task_id) or await self._find_ended("task_id", task_id)

    async def get_many(self, task_ids: Sequence[str]) -> Sequence[Task | None]:
        """The tasks with these ids; of those that have ended only the end."""
        query = f"SELECT {ENDS} FROM tasks WHERE task_id IN (SELECT value FROM json_each(?))"
        rows = await self._journal.ask(query, [json.dumps(task_ids)])
        ended = {row["task_id"]: kept_task(row, self._settings) for row in rows}
        return [self._tasks.get(task_id) or ended.get(task_id) for task_id in task_ids]

    async def list(self, scope: str | None, status: TaskStatus | None, limit: int) -> Sequence[bytes]:
        """The latest snapshots, newest task first."""
        wanted = {"scope": scope, "status": status}
        conditions = "".join(f" AND {name} = :{name}" for name, value in wanted.items() if value)
        query = f"SELECT number, latest FROM tasks WHERE 1{conditions} ORDER BY number DESC LIMIT {limit}"
        found = [(number, latest) for number, latest in await self._journal.ask(query, wanted)]
        for task in self._tasks.values():
            own = scope in (None, task.scope) and task.log.last_id
            if own and isinstance(task.log, FileLog) and (not status or task.snapshot.status is status):
                found.append((task.log.number, task.log.latest))
        return [latest for _, latest in sorted(found, reverse=True)[:limit]]

    async def cancel(self, task: Task) -> None:
        """End a task that still runs as REVOKED, and stop its work."""
        if isinstance(task.log, FileLog) and not task.log.ended:
            self._journal.require()
            await super().cancel(task)
            await self._journal.written(task.log)

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        self._journal.require()
        return len(self._tasks) + self._journal.ended.total(), len(self._tasks)

    async def count_by_status(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are in each status."""
        return self._journal.ended + Counter(await super().count_by_status())

    @property
    def events_published(self) -> int:
        """How many events were written since the process has started."""
        return self._journal.events_written

    async def close(self) -> None:
        """Stop what runs, without an end: that is for the next process to say."""
        with self._opened:
            try:
                await self._journal.close()
            finally:
                for running in self._running.values():
                    running.cancel()
                await self._wait_for_running()

    def _restore(self, works: WorkTable, connection: sqlite3.Connection) -> None:
        """End what ran, start what waited, in its order."""
        events = connection.execute("SELECT * FROM events ORDER BY task, number")
        waiting = []
        for number, rows in groupby(events, itemgetter("task")):
            log = FileLog(number, self._settings)
            log.restore(rows)
            log.on_append = self._journal.add
            task_id, scope, key, fingerprint, work_name = log.owner
            task = self._tasks[task_id] = Task(task_id, log, scope)
            task.outline = Snapshot.from_json(log.latest)
            end = "The server stopped while this task ran"
            if log.parameters is not None:
                end = f"The work '{work_name}' is gone, or has other parameters now"
                with suppress(ValueError):  # `InvalidParameters`, `ValidationError`
                    work = works.get(work_name)
                    waiting.append((task, work, work.from_json(log.parameters)))
                    task.key = IdempotencyKey(key, fingerprint) if key else None
                    continue
            task.publish(TaskStatus.FAILURE, end)
        self._journal.write(again=True)
        if self._journal.problem:
            raise DatabaseUnusable(f"{self._journal.problem} It is '{self._settings.database}'.")
        for each in waiting:
            self._begin(*each, Checkpoint())

    def _new_log(self) -> FileLog:
        return FileLog(next(self._journal.numbers), self._settings)

    def _begin(self, task: Task, work: Work, parameters: Parameters, checkpoint: Turn) -> None:
        """Add a task, and run its work, which waits where it begins until that is in the file."""
        log = task.log
        assert isinstance(log, FileLog)
        if not log.last_id:
            log.parameters = work.to_json(parameters)
            key = [task.key.key, task.key.fingerprint] if task.key else [None, None]
            log.owner = [task.task_id, task.scope, *key, work.name]
            log.on_append = self._journal.add
            self._journal.add(log)
        super()._begin(task, work, parameters, partial(self._checkpoint, log, checkpoint))

    async def _checkpoint(self, log: FileLog, checkpoint: Turn) -> None:
        """Wait until the file has that the work begins, and as long as it can't be written."""
        while self._journal.problem or log.parameters is not None:  # or after a crash it would begin again
            await self._journal.settled()
        await checkpoint()

    def _expire(self, task: Task) -> None:
        """Nothing: it is forgotten as soon as its end is in the file."""

    def _problem_changed(self) -> None:
        """Drop starts that are not in the file; have reports and output wait until it can be written."""
        for task in [*self._tasks.values()]:
            if not task.log.last_id:
                task.log.sealed = True
                if running := self._running.get(task.task_id):
                    running.cancel()
                self._forget(task.task_id)
            elif task.reporter:
                task.reporter.paused = True
                if not self._journal.problem:
                    task.reporter.resume()

    async def _find_ended(self, column: Literal["task_id", "key"], value: str) -> Task | None:
        """A task that has ended."""
        kept = self._kept.get(value)  # then not all is read again
        query = f"SELECT {ENDS if kept else '*'} FROM tasks WHERE {column} = ?"
        for row in await self._journal.ask(query, [value]):
            task = kept_task(row, self._settings)
            task.log = self._kept[task.task_id] = kept or task.log
            return task
        return None
