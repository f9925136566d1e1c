"""Tasks and the registry that owns them. No HTTP in here.

A task is one run of some work. Work is an async generator that yields `Update`s; the registry advances
it exactly once, whoever watches, and appends what it yields to the task's log. Viewers only read the
log, so they never steal events from each other and never make the work run twice.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Literal, Self

import pydantic_core

from encoding import to_json
from log import Log

TURN_SECONDS = 0.001
"""How long work that never awaits may run on before others have their turn."""

CLOSE_SECONDS = 0.5
"""How long a stopping server waits for cancelled work to clean up."""

logger = logging.getLogger(__name__)


class TaskStatus(StrEnum):
    """The states of a task, in Celery's words; one of the last three is its end."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    PROGRESS = "PROGRESS"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"

    @property
    def ended(self) -> bool:
        """Whether no other state follows."""
        return self in (TaskStatus.SUCCESS, TaskStatus.FAILURE, TaskStatus.REVOKED)


@dataclass(frozen=True, slots=True)
class Update:
    """How far some work has come: in percent, in words, and in whatever JSON it wants to add."""

    progress: float
    message: str
    data: object = None


@dataclass(frozen=True, slots=True)
class Result:
    """What some work hands over at its end, if it has anything to hand over."""

    data: object = None
    message: str = "Done"


Updates = AsyncGenerator[Update | Result, None]
"""One run of some work."""

Begin = Callable[[str, Mapping[str, object]], Awaitable[Updates]]
"""Begins a run, as soon as there is a place for it: from the work's name and parameters."""


class WorkError(Exception):
    """A failure in words meant for people: they reach every viewer."""


class TaskNotFound(LookupError):
    """No task has this id, or none has it any more."""


class RegistryFull(RuntimeError):
    """Every place is taken by a task that has not ended."""


class BackendUnavailable(RuntimeError):
    """What keeps the tasks is out of reach. Never raised by the registry of this module."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All there is to show of a task at one moment: the data of one event."""

    task_id: str
    name: str
    status: TaskStatus
    progress: int
    message: str
    data: object
    started_at: str | None
    updated_at: str


class Task:
    """One run of some work: its latest snapshot, and the log of all of them."""

    snapshot: Snapshot

    def __init__(self, task_id: str, history_length: int) -> None:
        self.task_id = task_id
        self.log = Log(history_length)
        self.on_end: Callable[[], object] = lambda: None

    @classmethod
    def create(cls, name: str, history_length: int) -> Self:
        """A new task, which is PENDING."""
        task = cls(secrets.token_hex(16), history_length)
        task._append(
            Snapshot(
                task_id=task.task_id,
                name=name,
                status=TaskStatus.PENDING,
                progress=0,
                message="Waiting to start",
                data=None,
                started_at=None,
                updated_at=datetime.now(UTC).isoformat(),
            )
        )
        return task

    @property
    def ended(self) -> bool:
        """Whether the last event is in the log."""
        return self.log.ended

    async def run(
        self, begin: Callable[[], Awaitable[Updates]], delivered: Callable[[], Awaitable[object]]
    ) -> None:
        """Advance it from its start to its end. Awaits `delivered()` after each event but the last."""
        try:
            updates = await begin()
            async with aclosing(updates):
                self.publish(TaskStatus.STARTED, "Started")
                await delivered()
                result = Result()
                async for update in updates:
                    if self.ended:  # cancelled, but the work didn't want to hear of it
                        return
                    if isinstance(update, Result):
                        result = update
                    else:
                        self.publish(TaskStatus.PROGRESS, update.message, update.progress, update.data)
                        await delivered()
            self.publish(TaskStatus.SUCCESS, result.message, data=result.data)
        except asyncio.CancelledError:
            self.publish(TaskStatus.REVOKED, "Cancelled")
            raise
        except BaseException as error:  # not even `sys.exit()` in some work may stop the server
            logger.exception("Task %s failed", self.task_id)
            self.publish(TaskStatus.FAILURE, explain(error))

    def publish(self, status: TaskStatus, message: str, progress: float = 0, data: object = None) -> None:
        """Append a snapshot, unless the task has ended: of two last events the first one counts."""
        if self.ended:
            return
        progress = max(self.snapshot.progress, min(99, round(progress)))
        now = datetime.now(UTC).isoformat()
        self._append(
            replace(
                self.snapshot,
                status=status,
                progress=100 if status is TaskStatus.SUCCESS else progress,
                message=str(message),
                data=data,
                started_at=now if status is TaskStatus.STARTED else self.snapshot.started_at,
                updated_at=now,
            )
        )
        if status.ended:
            self.on_end()

    def receive(self, event_id: int, data: bytes) -> None:
        """Append a snapshot that was published elsewhere, unless it is here already."""
        if event_id <= self.log.last_id:
            return
        if event_id > self.log.last_id + 1:
            self.log.skip_to(event_id)
        fields = pydantic_core.from_json(data)
        self.snapshot = Snapshot(**{**fields, "status": TaskStatus(fields["status"])})
        self.log.append(data, last=self.snapshot.status.ended)

    def _append(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.log.append(to_json(snapshot), last=snapshot.status.ended)


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
        raise TaskNotFound(
            f"Task '{task_id[:40]}' not found: it has never existed or was forgotten "
            f"{self._retention_seconds:g} s after it ended."
        )

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
            raise RegistryFull(
                f"All {self._max_tasks} places are taken by tasks that still run: try again later."
            )
        self._forget(next(iter(self._expiries)))

    def _forget(self, task_id: str) -> None:
        self._expiries.pop(task_id).cancel()
        del self._tasks[task_id]


def explain(error: BaseException) -> str:
    """An error in words for the viewers, who must not be shown a traceback."""
    if isinstance(error, WorkError):
        return str(error)
    return f"Unexpected {type(error).__name__}: the server's log has the details"
