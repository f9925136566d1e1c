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
from functools import partial
from itertools import islice
from typing import Literal, Protocol

from taskstream.errors import IdempotencyKeyReused, RegistryFull
from taskstream.events import TaskStatus
from taskstream.idempotency import IdempotencyKey
from taskstream.log import Log
from taskstream.settings import Settings
from taskstream.tasks import Checkpoint, Task, Turn
from taskstream.threads import WorkThreads
from taskstream.work import Parameters, Work

CLOSE_SECONDS = 0.5
"""How long a stopping server waits for cancelled work to clean up."""


class MemoryRegistry:
    """The tasks of this process, and an asyncio task for each that runs."""

    backend: Literal["memory", "sqlite", "redis"] = "memory"
    warning = ""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = WorkThreads(settings.work_threads)
        self._tasks: dict[str, Task] = {}
        self._ended: dict[str, asyncio.TimerHandle] = {}  # in the order in which they ended
        self._keyed: dict[str, Task] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._events_forgotten = 0
        self.mark = secrets.token_hex(4)

    async def start(
        self, work: Work, parameters: Parameters, name: str, key: IdempotencyKey | None, scope: str | None
    ) -> Task:
        """Start some work, or find what the key started. Raises `RegistryFull`, `IdempotencyKeyReused`."""
        if key and (earlier := self._keyed.get(key.key)):
            if earlier.key != key:
                raise IdempotencyKeyReused
            return earlier
        if len(self._tasks) >= self._settings.max_tasks:
            if not self._ended:
                raise RegistryFull(self._settings.max_tasks)
            self._forget(next(iter(self._ended)))
        task = Task.create(name, self._new_log(), self.mark, scope)
        task.key = key
        self._begin(task, work, parameters, Checkpoint())
        return task

    async def get(self, task_id: str, last_event_id: str | None = None) -> Task | None:  # noqa: ARG002
        """The task, if it is there, with all that whoever sends this `Last-Event-ID` has seen."""
        return self._tasks.get(task_id)

    async def get_many(self, task_ids: Sequence[str]) -> Sequence[Task | None]:
        """The tasks with these ids, with all that anybody has seen; `None` for each that is not there."""
        return [*map(self._tasks.get, task_ids)]

    async def list(self, scope: str | None, status: TaskStatus | None, limit: int) -> Sequence[bytes]:
        """The latest snapshots as JSON, newest task first: those of a scope, in a status, unless `None`."""
        own = (task for task in reversed(self._tasks.values()) if scope in (None, task.scope))
        found = (task for task in own if status in (None, task.outline.status))
        return [task.log.latest for task in islice(found, limit)]

    async def cancel(self, task: Task) -> None:
        """End a task that still runs as REVOKED, and stop its work."""
        if not task.log.sealed:
            task.publish(TaskStatus.REVOKED, "Cancelled")
            if running := self._running.get(task.task_id):
                running.cancel()

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        return len(self._tasks), len(self._tasks) - len(self._ended)

    async def count_by_status(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are in each status."""
        return Counter(task.outline.status for task in self._tasks.values())

    @property
    def events_published(self) -> int:
        """How many events were appended, also by forgotten tasks; `None` if other processes do that."""
        return self._events_forgotten + sum(task.log.last_id for task in self._tasks.values())

    def release_viewers(self) -> None:
        """Let every viewer go as soon as it has read what is there, because the server stops."""
        for task in self._tasks.values():
            task.log.close()

    async def close(self) -> None:
        """Cancel what still runs, and give it a moment to clean up; blocking functions too."""
        for task in self._tasks.values():
            await self.cancel(task)
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

    def _begin(self, task: Task, work: Work, parameters: Parameters, checkpoint: Turn) -> None:
        """Add a task, and run its work."""
        task.on_end = self._expire
        self._tasks[task.task_id] = task
        if task.key:
            self._keyed[task.key.key] = task
        begin = partial(work.begin, parameters, self._threads)
        running = self._running
        run = task.run(begin, checkpoint, self._settings.output_queue_length)
        running[task.task_id] = asyncio.create_task(run)
        running[task.task_id].add_done_callback(lambda _: running.pop(task.task_id))

    def _expire(self, task: Task) -> None:
        """Forget an ended task after some time."""
        # In a context of its own: a cancelled timer keeps it until it is due, and the task's has the task.
        self._ended[task.task_id] = asyncio.get_running_loop().call_later(
            self._settings.retention_seconds, self._forget, task.task_id, context=Context()
        )

    def _forget(self, task_id: str) -> None:
        task = self._tasks.pop(task_id)
        self._events_forgotten += task.log.last_id
        if task.key:
            del self._keyed[task.key.key]
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
        self, work: Work, parameters: Parameters, name: str, key: IdempotencyKey | None, scope: str | None
    ) -> Task: ...
    async def get(self, task_id: str, last_event_id: str | None = None) -> Task | None: ...
    async def get_many(self, task_ids: Sequence[str]) -> Sequence[Task | None]: ...
    async def list(self, scope: str | None, status: TaskStatus | None, limit: int) -> Sequence[bytes]: ...
    async def cancel(self, task: Task) -> None: ...
    async def count(self) -> tuple[int, int]: ...
    async def count_by_status(self) -> Mapping[TaskStatus, int]: ...
    @property
    def events_published(self) -> int | None: ...
    def release_viewers(self) -> None: ...
    async def close(self) -> None:
        """Release all that it holds."""
