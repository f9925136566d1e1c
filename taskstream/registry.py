"""The registry of one process: it owns its tasks, runs each of them once, and forgets them in the end."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Literal

from taskstream.tasks import Begin, Task, TaskStatus

TURN_SECONDS = 0.001
"""How long work that never awaits may run on before others have their turn."""

CLOSE_SECONDS = 0.5
"""How long a stopping server waits for cancelled work to clean up."""


class TaskNotFound(LookupError):
    """No task has this id, or none has it any more."""

    def __init__(self, task_id: str, retention_seconds: float) -> None:
        super().__init__(
            f"Task '{task_id[:40]}' not found: it has never existed or was forgotten "
            f"{retention_seconds:g} s after it ended."
        )


class RegistryFull(RuntimeError):
    """Every place is taken by a task that has not ended."""

    def __init__(self, max_tasks: int) -> None:
        super().__init__(f"All {max_tasks} places are taken by tasks that still run: try again later.")


class BackendUnavailable(RuntimeError):
    """What keeps the tasks is out of reach. Never raised by the registry of this module."""


class Turns:
    """What gives the others their turn: work that never awaits must not starve them."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    async def take(self) -> None:
        """Let the others go first, if this turn has been long enough."""
        if time.monotonic() - self._began > TURN_SECONDS:
            await asyncio.sleep(0)
            self._began = time.monotonic()


class Registry:
    """The tasks of this process: a dict of them, and an asyncio task for each that runs.

    Its methods are asynchronous, so that a registry on a network can take its place.
    """

    backend: Literal["memory"] = "memory"

    def __init__(
        self,
        begin: Begin,
        *,
        retention_seconds: float = 300,
        max_tasks: int = 1000,
        history_length: int = 1000,
    ) -> None:
        self._begin = begin
        self._retention_seconds = retention_seconds
        self._max_tasks = max_tasks
        self._history_length = history_length
        self._tasks: dict[str, Task] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}  # in the order in which tasks ended

    async def start(self, work: str, parameters: Mapping[str, object], name: str) -> Task:
        """Start some work; the oldest ended task makes room for it. Raises `RegistryFull`."""
        if len(self._tasks) >= self._max_tasks:
            self._make_room()
        task = Task.create(name, self._history_length)
        task.on_end = partial(self._expire, task.task_id)
        self._tasks[task.task_id] = task
        run = asyncio.create_task(task.run(partial(self._begin, work, parameters), Turns().take))
        self._runs[task.task_id] = run
        run.add_done_callback(lambda _: self._runs.pop(task.task_id))
        return task

    async def get(self, task_id: str) -> Task:
        """The task with this id. Raises `TaskNotFound`."""
        if task := self._tasks.get(task_id):
            return task
        raise TaskNotFound(task_id, self._retention_seconds)

    async def cancel(self, task_id: str) -> Task:
        """End a task that still runs as REVOKED, and stop its work. Raises `TaskNotFound`."""
        task = await self.get(task_id)
        if not task.ended:
            task.publish(TaskStatus.REVOKED, "Cancelled")
            if run := self._runs.get(task_id):
                run.cancel()
        return task

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        return len(self._tasks), len(self._tasks) - len(self._expiries)

    def release_viewers(self) -> None:
        """Let every viewer go, because the server stops."""
        for task in self._tasks.values():
            task.log.close()

    async def close(self) -> None:
        """Cancel what still runs, and give it a moment to clean up."""
        for task_id in self._tasks:
            await self.cancel(task_id)
        if self._runs:
            await asyncio.wait(self._runs.values(), timeout=CLOSE_SECONDS)
        for task_id in list(self._expiries):
            self._forget(task_id)

    def _expire(self, task_id: str) -> None:
        """Forget an ended task after some time."""
        self._expiries[task_id] = asyncio.get_running_loop().call_later(
            self._retention_seconds, self._forget, task_id
        )

    def _make_room(self) -> None:
        if not self._expiries:
            raise RegistryFull(self._max_tasks)
        self._forget(next(iter(self._expiries)))

    def _forget(self, task_id: str) -> None:
        self._expiries.pop(task_id).cancel()
        del self._tasks[task_id]
