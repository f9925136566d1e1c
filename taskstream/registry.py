"""The registry: it owns the tasks, runs each of them once, and forgets them in the end.

`MemoryRegistry` is that of one process, a dict of tasks; `Registry` is what every back end keeps to.
"""

# ruff: noqa: D102 - the methods of `Registry` are described where they are first implemented

import asyncio
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Literal, Protocol

from taskstream.errors import IdempotencyKeyReused, RegistryFull, TaskNotFound
from taskstream.events import TaskStatus
from taskstream.idempotency import IdempotencyKey
from taskstream.log import Log
from taskstream.settings import Settings
from taskstream.tasks import Checkpoint, Task
from taskstream.threads import WorkThreads
from taskstream.updates import Begin
from taskstream.work import Parameters, Work

CLOSE_SECONDS = 0.5
"""How long a stopping server waits for cancelled work to clean up."""


@dataclass(slots=True)
class Record:
    """What the registry knows of one task."""

    task: Task
    key: IdempotencyKey | None


class MemoryRegistry:
    """The tasks of this process, and an asyncio task for each that runs."""

    backend: Literal["memory", "sqlite", "redis"] = "memory"
    warning = ""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = WorkThreads(settings.work_threads)
        self._records: dict[str, Record] = {}
        self._ended: dict[str, asyncio.TimerHandle | None] = {}  # in the order in which they ended
        self._keyed: dict[str, Record] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._events_forgotten = 0
        self.mark = secrets.token_hex(4)

    async def start(
        self,
        work: Work,
        parameters: Parameters,
        name: str,
        key: IdempotencyKey | None = None,
        scope: str | None = None,
    ) -> Task:
        """Start some work, or find what the key started. Raises `RegistryFull`, `IdempotencyKeyReused`."""
        if key and (earlier := self._keyed_task(key)):
            return earlier
        if len(self._records) >= self._settings.max_tasks:
            if not self._ended:
                raise RegistryFull(self._settings.max_tasks)
            self._forget(next(iter(self._ended)))
        task = Task.create(name, self._new_log(), self.mark, scope)
        self._begin(task, key, partial(work.begin, parameters, self._threads), Checkpoint())
        return task

    async def get(self, task_id: str, last_event_id: str | None = None) -> Task:  # noqa: ARG002 - it has all
        """The task, with all that who sends this `Last-Event-ID` has seen. Raises `TaskNotFound`."""
        if record := self._records.get(task_id):
            return record.task
        raise TaskNotFound(task_id, self._settings.retention_seconds)

    async def get_many(self, task_ids: Sequence[str]) -> Sequence[Task | None]:
        """The tasks with these ids, with all that anybody has seen; `None` for each that is not there."""
        records = map(self._records.get, task_ids)
        return [record.task if record else None for record in records]

    async def list(self, scope: str | None, status: TaskStatus | None, limit: int) -> Sequence[bytes]:
        """The latest snapshots as JSON, newest task first: those of a scope, in a status, unless `None`."""
        tasks = (record.task for record in reversed(self._records.values()))
        own = (task for task in tasks if scope in (None, task.scope))
        found = (task for task in own if status in (None, task.outline.status))
        return [task.log.latest for task in islice(found, limit)]

    async def cancel(self, task_id: str) -> Task:
        """End a task that still runs as REVOKED, and stop its work. Raises `TaskNotFound`."""
        task = await self.get(task_id)
        if not task.ended:
            task.publish(TaskStatus.REVOKED, "Cancelled")
            if running := self._running.get(task_id):
                running.cancel()
        return task

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        return len(self._records), len(self._records) - len(self._ended)

    async def count_by_status(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are in each status."""
        return Counter(record.task.outline.status for record in self._records.values())

    @property
    def events_published(self) -> int:
        """How many events were appended, also by forgotten tasks; `None` if other processes do that."""
        return self._events_forgotten + sum(each.task.log.last_id for each in self._records.values())

    def release_viewers(self) -> None:
        """Let every viewer go as soon as it has read what is there, because the server stops."""
        for record in self._records.values():
            record.task.log.close()

    async def close(self) -> None:
        """Cancel what still runs, and give it a moment to clean up; blocking functions too."""
        for task_id in self._records:
            await self.cancel(task_id)
        await self._wait_for_running()
        for task_id in [*self._ended]:
            self._forget(task_id)

    async def _wait_for_running(self) -> None:
        """Give what was cancelled a moment to clean up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._running:
                    await asyncio.wait(self._running.values())
                await self._threads.join()

    def _new_log(self) -> Log:
        return Log(self._settings.history_length, self._settings.history_bytes)

    def _keyed_task(self, key: IdempotencyKey) -> Task | None:
        """The task that a key has started, if that is remembered. Raises `IdempotencyKeyReused`."""
        record = self._keyed.get(key.key)
        if record and record.key != key:
            raise IdempotencyKeyReused
        return record.task if record else None

    def _begin(self, task: Task, key: IdempotencyKey | None, begin: Begin, checkpoint: Checkpoint) -> None:
        """Add a task, and run its work."""
        record = self._records[task.task_id] = Record(task, key)
        if key:
            self._keyed[key.key] = record
        task.on_end = partial(self._expire, task.task_id)
        run = asyncio.create_task(task.run(begin, checkpoint, self._settings.output_queue_length))
        self._running[task.task_id] = run
        run.add_done_callback(lambda _: self._running.pop(task.task_id))

    def _expire(self, task_id: str) -> None:
        """Forget an ended task after some time."""
        # In a context of its own: a cancelled timer keeps it until it is due, and the task's has the task.
        self._ended[task_id] = asyncio.get_running_loop().call_later(
            self._settings.retention_seconds, self._forget, task_id, context=Context()
        )

    def _forget(self, task_id: str) -> None:
        record = self._records.pop(task_id)
        self._events_forgotten += record.task.log.last_id
        if record.key:
            del self._keyed[record.key.key]
        if timer := self._ended.pop(task_id, None):
            timer.cancel()


class Registry(Protocol):
    """What each method of `MemoryRegistry` says, of any back end; all may raise `BackendUnavailable`."""

    backend: Literal["memory", "sqlite", "redis"]
    warning: str
    """What an operator should know, in a sentence, if there is something."""
    mark: str
    """The end of the ids that are given out here, 8 hex digits; empty as long as it isn't known."""

    async def start(
        self,
        work: Work,
        parameters: Parameters,
        name: str,
        key: IdempotencyKey | None = None,
        scope: str | None = None,
    ) -> Task: ...
    async def get(self, task_id: str, last_event_id: str | None = None) -> Task: ...
    async def get_many(self, task_ids: Sequence[str]) -> Sequence[Task | None]: ...
    async def list(self, scope: str | None, status: TaskStatus | None, limit: int) -> Sequence[bytes]: ...
    async def cancel(self, task_id: str) -> Task: ...
    async def count(self) -> tuple[int, int]: ...
    async def count_by_status(self) -> Mapping[TaskStatus, int]: ...
    @property
    def events_published(self) -> int | None: ...
    def release_viewers(self) -> None: ...
    async def close(self) -> None:
        """Release all that it holds."""
