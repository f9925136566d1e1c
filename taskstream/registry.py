"""The registry: it owns the tasks, runs each of them once, and forgets them in the end.

`Registry` is what every back end keeps to; `MemoryRegistry` is the one of a single process.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

from taskstream.errors import IdempotencyKeyReused, RegistryFull, TaskNotFound
from taskstream.log import Log
from taskstream.settings import Settings
from taskstream.tasks import Task, TaskStatus
from taskstream.threads import WorkThreads
from taskstream.work import Parameters, Work

TURN_SECONDS = 0.001
"""How long work that never awaits may run on before others have their turn."""

CLOSE_SECONDS = 0.5
"""How long a stopping server waits for cancelled work to clean up."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What makes a start that is sent again the same start."""

    key: str
    """Unique for each intended task, within the application."""
    fingerprint: str
    """Equal for equal work, parameters and name."""


class Registry(Protocol):
    """The tasks of an application. All of its methods may raise `BackendUnavailable`."""

    backend: Literal["memory", "redis"]

    async def start(
        self, work: Work, parameters: Parameters, name: str, key: IdempotencyKey | None = None
    ) -> Task:
        """Start some work; the oldest ended task makes room for it.

        With a key that has started a task that is still remembered: that task.
        Raises `RegistryFull` and `IdempotencyKeyReused`.
        """

    async def get(self, task_id: str, last_event_id: str | None = None) -> Task:
        """The task with this id, with all that a viewer has seen who sends this `Last-Event-ID`.

        Raises `TaskNotFound`.
        """

    async def get_many(self, task_ids: Sequence[str]) -> Sequence[Task | None]:
        """The tasks with these ids, with all that anybody has seen; `None` for each that is not there."""

    async def cancel(self, task_id: str) -> Task:
        """End a task that still runs as REVOKED, and stop its work. Raises `TaskNotFound`."""

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""

    async def count_by_status(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are in each status."""

    @property
    def events_published(self) -> int | None:
        """How many events have been appended to logs; `None` if other processes do that."""

    def release_viewers(self) -> None:
        """Let every viewer go as soon as it has read what is there, because the server stops."""

    async def close(self) -> None:
        """Release all that it holds."""


class Turns:
    """What gives the others their turn: work that never awaits must not starve them."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    async def take(self) -> None:
        """Let the others go first, if this turn has been long enough."""
        if time.monotonic() - self._began > TURN_SECONDS:
            await asyncio.sleep(0)
            self._began = time.monotonic()


class MemoryRegistry:
    """The tasks of this process: a dict of them, and an asyncio task for each that runs."""

    backend: Literal["memory", "redis"] = "memory"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = WorkThreads(settings.work_threads, settings.output_queue_length)
        self._tasks: dict[str, Task] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}  # in the order in which tasks ended
        self._events_forgotten = 0
        self._keyed: dict[str, tuple[IdempotencyKey, Task]] = {}
        self._keys: dict[str, str] = {}  # of the tasks that were started with one

    async def start(
        self, work: Work, parameters: Parameters, name: str, key: IdempotencyKey | None = None
    ) -> Task:
        """Start some work; the oldest ended task makes room for it."""
        if key and (earlier := self._started_with(key)):
            return earlier
        if len(self._tasks) >= self._settings.max_tasks:
            self._make_room()
        task = Task.create(name, Log(self._settings.history_length, self._settings.history_bytes))
        task.on_end = partial(self._expire, task.task_id)
        self._tasks[task.task_id] = task
        if key:
            self._keyed[key.key] = (key, task)
            self._keys[task.task_id] = key.key
        begin = partial(work.begin, parameters, self._threads)
        run = asyncio.create_task(task.run(begin, Turns().take, self._settings.output_queue_length))
        self._runs[task.task_id] = run
        run.add_done_callback(lambda _: self._runs.pop(task.task_id))
        return task

    async def get(self, task_id: str, last_event_id: str | None = None) -> Task:  # noqa: ARG002 - it has all
        """The task with this id."""
        if task := self._tasks.get(task_id):
            return task
        raise TaskNotFound(task_id, self._settings.retention_seconds)

    async def get_many(self, task_ids: Sequence[str]) -> list[Task | None]:
        """The tasks with these ids."""
        return [self._tasks.get(task_id) for task_id in task_ids]

    async def cancel(self, task_id: str) -> Task:
        """End a task that still runs as REVOKED, and stop its work."""
        task = await self.get(task_id)
        if not task.ended:
            task.publish(TaskStatus.REVOKED, "Cancelled")
            if run := self._runs.get(task_id):
                run.cancel()
        return task

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        return len(self._tasks), len(self._tasks) - len(self._expiries)

    async def count_by_status(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are in each status."""
        return Counter(task.snapshot.status for task in self._tasks.values())

    @property
    def events_published(self) -> int:
        """How many events all tasks have published, also those that are forgotten."""
        return self._events_forgotten + sum(task.log.last_id for task in self._tasks.values())

    def release_viewers(self) -> None:
        """Let every viewer go."""
        for task in self._tasks.values():
            task.log.close()

    async def close(self) -> None:
        """Cancel what still runs, and give it a moment to clean up; blocking functions too."""
        for task_id in self._tasks:
            await self.cancel(task_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._runs:
                    await asyncio.wait(self._runs.values())
                await self._threads.join()
        for task_id in list(self._expiries):
            self._forget(task_id)

    def _started_with(self, key: IdempotencyKey) -> Task | None:
        """The task that this key has started, if it is remembered."""
        first, task = self._keyed.get(key.key, (key, None))
        if first.fingerprint != key.fingerprint:
            raise IdempotencyKeyReused
        return task

    def _expire(self, task_id: str) -> None:
        """Forget an ended task after some time."""
        # In a context of its own: the loop keeps a cancelled timer until it is due, and that would keep the
        # context of the task, with the task.
        self._expiries[task_id] = asyncio.get_running_loop().call_later(
            self._settings.retention_seconds, self._forget, task_id, context=Context()
        )

    def _make_room(self) -> None:
        if not self._expiries:
            raise RegistryFull(self._settings.max_tasks)
        self._forget(next(iter(self._expiries)))

    def _forget(self, task_id: str) -> None:
        self._expiries.pop(task_id).cancel()
        self._events_forgotten += self._tasks.pop(task_id).log.last_id
        if key := self._keys.pop(task_id, None):
            del self._keyed[key]
