"""Tasks: their states, their snapshots, and the life of each from its start to its end. No HTTP in here.

A task is one run of some work. Work is an async generator that yields `Update`s; the task is advanced
exactly once, whoever watches, and what it yields is appended to its log. Viewers only read the log, so
they never steal events from each other and never make the work run twice.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

import pydantic_core

from taskstream.encoding import to_json
from taskstream.log import Log

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
        data = to_json(snapshot)  # first: what can't be encoded has not happened
        self.snapshot = snapshot
        self.log.append(data, last=snapshot.status.ended)


def explain(error: BaseException) -> str:
    """An error in words for the viewers, who must not be shown a traceback."""
    if isinstance(error, WorkError):
        return str(error)
    return f"Unexpected {type(error).__name__}: the server's log has the details"
