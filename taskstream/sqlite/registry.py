"""The registry of a process whose tasks outlive it: those that have not ended are in memory, too."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Literal

from taskstream.errors import BackendUnavailable, IdempotencyKeyReused, RegistryFull
from taskstream.events import Snapshot, TaskStatus
from taskstream.idempotency import IdempotencyKey
from taskstream.registry import MemoryRegistry
from taskstream.settings import Settings
from taskstream.sqlite.file import DatabaseFile, DatabaseUnusable, explained
from taskstream.sqlite.journal import FileCheckpoint, Journal
from taskstream.sqlite.log import FileLog
from taskstream.tasks import Checkpoint, Task
from taskstream.work import Parameters, Work, WorkTable

FORGOTTEN_AT_ONCE = 1000
"""How many tasks are forgotten until the file is looked after again."""


class FileRegistry(MemoryRegistry):
    """The tasks of one process, in a file; see `Registry`."""

    backend: Literal["memory", "sqlite", "redis"] = "sqlite"

    def __init__(self, settings: Settings, works: WorkTable) -> None:
        """Open the file, and go on where the last process has stopped. Raises `DatabaseUnusable`."""
        super().__init__(settings)
        self._starting: dict[Task, Callable[[], None]] = {}
        """Tasks on their way into the file, and what adds them then, and runs their work."""
        self._ending: list[Task] = []
        """Tasks whose end is on its way into the file."""
        with explained(str(settings.database)), ExitStack() as stack:
            file = DatabaseFile(str(settings.database))
            stack.callback(file.close)
            self.mark = file.mark
            self._journal = Journal(file, settings, self._written, self._problem_changed)
            self._restore(works)
            stack.pop_all()  # from now on, `close` does that
        self._owned = asyncio.create_task(self._look_after())

    async def start(
        self, work: Work, parameters: Parameters, name: str, key: IdempotencyKey | None, scope: str | None
    ) -> Task:
        """Start some work, once that is in the file."""
        self._journal.require()
        json = work.to_json(parameters).encode()
        if key and (ended := await self._find_ended("key", [key.key])):
            [(fingerprint, task)] = ended
            if fingerprint != key.fingerprint:
                raise IdempotencyKeyReused
            return task
        is_new = not (key and key.key in self._keyed)
        if is_new and len(self._tasks) + len(self._starting) >= self._settings.max_tasks:
            raise RegistryFull(self._settings.max_tasks)
        task = await super().start(work, parameters, name, key, scope)
        if isinstance(task.log, FileLog) and not task.log.last_id:
            keyed = (key.key, key.fingerprint) if key else (None, None)
            task.log.row = (task.log.number, task.task_id, scope, *keyed, work.name, json)
        await self._journal.written()
        return task

    async def get(self, task_id: str, last_event_id: str | None = None) -> Task | None:  # noqa: ARG002
        """The task with this id."""
        if task := self._tasks.get(task_id):
            return task
        found = await self._find_ended("task_id", [task_id])
        return found[0][1] if found else None

    async def get_many(self, task_ids: Sequence[str]) -> Sequence[Task | None]:
        """The tasks with these ids; of those that have ended only the end."""
        found = await self._find_ended("task_id", task_ids, whole=False)
        ended = {task.task_id: task for _, task in found}
        going_on = await super().get_many(task_ids)
        return [task or ended.get(task_id) for task_id, task in zip(task_ids, going_on, strict=True)]

    async def list(self, scope: str | None, status: TaskStatus | None, limit: int) -> Sequence[bytes]:
        """The latest snapshots, newest task first."""
        async with self._journal.idle() as tables:
            found = tables.list_ended(scope, status, limit)
        for task in self._tasks.values():
            own = scope in (None, task.scope) and (status is None or status is task.snapshot.status)
            if own and isinstance(task.log, FileLog):
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
        return len(self._tasks) + self._journal.tables.ended.total(), len(self._tasks)

    async def count_by_status(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are in each status."""
        return self._journal.tables.ended + Counter(await super().count_by_status())

    @property
    def events_published(self) -> int:
        """How many events were written since the process has started."""
        return self._journal.tables.events_written

    async def close(self) -> None:
        """Stop what runs, without an end: that is for the next process to say."""
        self._journal.stop()
        await self._owned
        self._journal.close()
        for running in self._running.values():
            running.cancel()
        await self._wait_for_running()

    def _restore(self, works: WorkTable) -> None:
        """End what ran, start what waited, in its order."""
        for row, events in self._journal.tables.unfinished():
            log = FileLog(row["number"], self._settings, self._journal.add)
            log.restore(events, begun=row["parameters"] is None)
            task = Task(row["task_id"], log, row["scope"])
            task.outline = Snapshot.from_json(log.latest)
            end = "The server stopped while this task ran"
            if not log.begun:
                end = f"The work '{row['work']}' is gone, or has other parameters now"
                with suppress(ValueError):  # `InvalidParameters`, `ValidationError`
                    work = works.get(row["work"])
                    parameters = work.from_json(row["parameters"].decode())
                    task.key = IdempotencyKey(row["key"], row["fingerprint"]) if row["key"] else None
                    self._begin(task, work, parameters, Checkpoint())
                    continue
            task.publish(TaskStatus.FAILURE, end)
        self._journal.write()
        if self._journal.problem:
            raise DatabaseUnusable(f"{self._journal.problem} It is '{self._settings.database}'.")
        self._written()

    def _new_log(self) -> FileLog:
        return FileLog(next(self._journal.tables.task_numbers), self._settings, self._journal.add)

    def _begin(self, task: Task, work: Work, parameters: Parameters, _: Checkpoint) -> None:
        """Add a task, and run its work, once it is in the file."""
        if task.key:
            self._keyed[task.key.key] = task
        checkpoint = FileCheckpoint(self._journal)
        self._starting[task] = partial(super()._begin, task, work, parameters, checkpoint)

    def _expire(self, task: Task) -> None:
        """Note that the end of a task is on its way into the file."""
        self._ending.append(task)

    async def _find_ended(
        self, column: Literal["task_id", "key"], values: Sequence[str], *, whole: bool = True
    ) -> Sequence[tuple[str, Task]]:
        async with self._journal.idle() as tables:
            return tables.find_ended(column, values, whole=whole)

    def _written(self) -> None:
        """Begin the work of tasks that are in the file now, and let go of those whose end is."""
        starting, self._starting = self._starting, {}
        for begin in starting.values():
            begin()
        for task in self._ending:
            self._forget(task.task_id)
        self._ending.clear()

    def _problem_changed(self) -> None:
        """Drop what can't be started; have reports and output wait as long as the file can't be written."""
        for key in filter(None, [task.key for task in self._starting]):
            del self._keyed[key.key]
        self._starting.clear()
        for reporter in filter(None, [each.reporter for each in self._tasks.values()]):
            reporter.paused = True
            if not self._journal.problem:
                reporter.resume()

    async def _look_after(self) -> None:
        """Look after the file, and forget tasks that have ended for too long, or are too many."""
        while await self._journal.look_after():
            with suppress(BackendUnavailable):
                for _ in range(FORGOTTEN_AT_ONCE):
                    self._journal.require()
                    async with self._journal.idle() as tables:
                        has_forgotten = tables.forget_oldest()
                    if self._journal.due.is_set() or not has_forgotten:
                        break
                    await asyncio.sleep(0)  # others have their turn
