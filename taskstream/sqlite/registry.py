"""The registry of a process whose tasks outlive it: those that have not ended are in memory, too."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Literal

from taskstream.errors import IdempotencyKeyReused, RegistryFull
from taskstream.events import Snapshot, TaskStatus
from taskstream.idempotency import IdempotencyKey
from taskstream.registry import MemoryRegistry
from taskstream.settings import Settings
from taskstream.sqlite.file import DatabaseFile, DatabaseUnusable, explained
from taskstream.sqlite.journal import FileCheckpoint, Journal
from taskstream.sqlite.kept import KeptTasks
from taskstream.sqlite.log import FileLog
from taskstream.tasks import Task
from taskstream.work import Parameters, Work, WorkTable

LOOK_SECONDS = 1
"""How often the file is synced and looked after, and tasks are forgotten."""


class FileRegistry(MemoryRegistry):
    """The tasks of one process, in a file; see `Registry`."""

    backend: Literal["memory", "sqlite", "redis"] = "sqlite"

    def __init__(self, settings: Settings, works: WorkTable) -> None:
        """Open the file, and go on where the last process has stopped. Raises `DatabaseUnusable`."""
        super().__init__(settings)
        self._starting: list[tuple[Task, Work, Parameters]] = []
        """Tasks on their way into the file, and what they run then."""
        database = str(settings.database)
        with explained(database), ExitStack() as stack:
            self._file = DatabaseFile(database)
            stack.callback(self._file.close)
            self._journal = Journal(self._file, self._written, self._problem_changed)
            self._kept = KeptTasks(self._file.connection, self._journal, settings)
            self.mark = self._file.mark
            self._restore(works)
            stack.pop_all()  # from now on, `close` does that
        self._stopping = asyncio.Event()
        self._owned = asyncio.create_task(self._look_after())

    async def start(
        self, work: Work, parameters: Parameters, name: str, key: IdempotencyKey | None, scope: str | None
    ) -> Task:
        """Start some work, once that is in the file."""
        self._journal.require()
        json = work.to_json(parameters).encode()
        ended = await self._kept.find("key", key.key) if key else None
        if key and (earlier := self._keyed_task(key)):
            await self._journal.written()
            return earlier
        if key and ended:
            if ended[0]["fingerprint"] != key.fingerprint:
                raise IdempotencyKeyReused
            return ended[1]
        if len(self._tasks) >= self._settings.max_tasks:
            raise RegistryFull(self._settings.max_tasks)
        self._journal.tables.task_number += 1
        log = FileLog(self._journal.tables.task_number, self._settings, self._journal.add)
        task = Task.create(name, log, self.mark, scope)
        keyed = (key.key, key.fingerprint) if key else (None, None)
        log.row = (log.number, task.task_id, scope, *keyed, work.name, json)
        self._add(task, key)
        self._starting.append((task, work, parameters))
        await self._journal.written()
        return task

    async def get(self, task_id: str, last_event_id: str | None = None) -> Task | None:  # noqa: ARG002
        """The task with this id."""
        return (await self.get_many([task_id], whole=True))[0]

    async def get_many(self, task_ids: Sequence[str], *, whole: bool = False) -> Sequence[Task | None]:
        """The tasks with these ids; of those that have ended only the end, unless `whole`."""
        tasks: list[Task | None] = []
        for task_id in task_ids:
            if (task := self._tasks.get(task_id)) and task.log.last_id:
                tasks.append(task)
            else:
                found = await self._kept.find("task_id", task_id, whole=whole)
                tasks.append(found[1] if found else None)
        return tasks

    async def list(self, scope: str | None, status: TaskStatus | None, limit: int) -> Sequence[bytes]:
        """The latest snapshots, newest task first."""
        async with self._journal.idle():
            found = self._kept.list(scope, status, limit)
            for task in [each for each in self._tasks.values() if each.log.last_id]:
                own = scope in (None, task.scope) and (status is None or status is task.snapshot.status)
                if isinstance(task.log, FileLog) and own:
                    found.append((task.log.number, task.log.latest))
        return [latest for _, latest in sorted(found, reverse=True)[:limit]]

    async def cancel(self, task: Task) -> None:
        """End a task that still runs as REVOKED, and stop its work."""
        if not task.log.ended:
            self._journal.require()
            await super().cancel(task)
            await self._journal.written()

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        self._journal.require()
        return len(self._tasks) + self._kept.counts.total(), len(self._tasks)

    async def count_by_status(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are in each status."""
        return self._kept.counts + Counter(await super().count_by_status())

    @property
    def events_published(self) -> int:
        """How many events were written since the process has started."""
        return self._journal.tables.events_written

    async def close(self) -> None:
        """Stop what runs, without an end: that is for the next process to say."""
        self._stopping.set()
        await self._owned
        await self._journal.close()
        for running in self._running.values():
            running.cancel()
        await self._wait_for_running()

    def _restore(self, works: WorkTable) -> None:
        """End what ran, start what waited, in its order."""
        for row, events in self._journal.tables.unfinished():
            log = FileLog(row["number"], self._settings, self._journal.add)
            log.restore(events)
            task = Task(row["task_id"], log, row["scope"])
            task.outline = Snapshot.from_json(log.latest)
            self._add(task, IdempotencyKey(row["key"], row["fingerprint"]) if row["key"] else None)
            log.begun = row["parameters"] is None
            end = "The server stopped while this task ran"
            if not log.begun:
                end = f"The work '{row['work']}' is gone, or has other parameters now"
                with suppress(ValueError):  # `InvalidParameters`, `ValidationError`
                    work = works.get(row["work"])
                    self._starting.append((task, work, work.from_json(row["parameters"].decode())))
                    continue
            task.publish(TaskStatus.FAILURE, end)
        self._journal.write()
        if self._journal.problem:
            raise DatabaseUnusable(f"{self._journal.problem} It is '{self._settings.database}'.")
        self._written()

    def _add(self, task: Task, key: IdempotencyKey | None) -> None:
        task.key, task.on_end = key, self._expire
        self._tasks[task.task_id] = task
        if key:
            self._keyed[key.key] = task

    def _expire(self, task: Task) -> None:
        """Note that the end of a task is on its way into the file."""
        self._ended[task.task_id] = None

    def _written(self) -> None:
        """Begin the work of tasks that are in the file now, and let go of those whose end is."""
        starting, self._starting = self._starting, []
        for task, work, parameters in starting:
            self._begin(task, work, parameters, FileCheckpoint(self._journal))
        for task_id in [*self._ended]:
            self._kept.add(self._tasks[task_id])
            self._forget(task_id)

    def _problem_changed(self) -> None:
        """Drop what can't be started; have reports and output wait as long as the file can't be written."""
        for task, *_ in self._starting:
            self._forget(task.task_id)
        self._starting.clear()
        for reporter in filter(None, [each.reporter for each in self._tasks.values()]):
            reporter.paused = True
            if not self._journal.problem:
                reporter.resume()

    async def _look_after(self) -> None:
        """Look after the file, and forget tasks that have ended for too long, or are too many."""
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), LOOK_SECONDS)
            await self._journal.look_after()
            while not self._stopping.is_set() and await self._kept.forget_oldest():  # noqa: ASYNC110
                await asyncio.sleep(0)  # others have their turn
