"""Tasks: their states, their snapshots, and the life of each from its start to its end. No HTTP in here.

A task is one run of some work. Work is an async generator that yields `Update`s; the task is advanced
exactly once, whoever watches, and what it yields is appended to its log. Viewers only read the log, so
they never steal events from each other and never make the work run twice.
"""

import asyncio
import io
import logging
import secrets
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

import pydantic_core

from taskstream.encoding import text_of, to_json
from taskstream.log import Log
from taskstream.mailbox import OUTPUT_QUEUE_LENGTH, Mailbox
from taskstream.reporting import current
from taskstream.updates import (
    Begin,
    InvalidUpdate,
    Output,
    Result,
    Update,
    Updates,
    WorkError,
    check_update,
    kind_of,
)

OUTPUT_CHARACTERS = 16 * 1024
"""The most that one event of output holds."""

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

    def __init__(self, task_id: str, log: Log) -> None:
        self.task_id = task_id
        self.log = log
        self.on_end: Callable[[], object] = lambda: None
        self._output = io.StringIO()  # which takes nothing but text: to flush it can't fail
        self._output_characters = 0

    @classmethod
    def create(cls, name: str, log: Log) -> Self:
        """A new task, which is PENDING."""
        task = cls(secrets.token_hex(16), log)
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
        self,
        begin: Begin,
        delivered: Callable[[], Awaitable[object]],
        output_queue_length: int = OUTPUT_QUEUE_LENGTH,
    ) -> None:
        """Advance it from its start to its end. Awaits `delivered()` after each event but the last."""
        reporter = AsyncReporter(self, output_queue_length)
        current.set(reporter)
        try:
            async with aclosing(await begin()) as updates:
                self.publish(TaskStatus.STARTED, "Started")
                await delivered()  # before the work begins, as it may not be accepted
                result = await self._advance(updates, delivered)
            if result is not None:
                self.publish(TaskStatus.SUCCESS, result.message, data=result.data)
        except asyncio.CancelledError:
            self.publish(TaskStatus.REVOKED, "Cancelled")
            raise
        except BaseException as error:  # not even `sys.exit()` in some work may stop the server
            self.publish(TaskStatus.FAILURE, explain(error))
            logger.exception("Task %s (%r) failed", self.task_id, self.snapshot.name)
        finally:
            reporter.close()  # threads that still say something are told, and none waits for ever

    async def _advance(self, updates: Updates, delivered: Callable[[], Awaitable[object]]) -> Result | None:
        """Publish the updates; the result, or `None` if the task has ended meanwhile."""
        result = Result()
        async for update in updates:
            if self.ended:  # cancelled, but the work didn't want to hear of it
                return None
            match update:
                case Result():
                    result = update
                    continue
                case Output():
                    self.write(update.text)
                case Update():
                    self.publish(TaskStatus.PROGRESS, update.message, update.progress, update.data)
                case _:
                    raise InvalidUpdate(
                        f"The work yielded {kind_of(update)}, not an Update, Output or Result"
                    )
            await delivered()
        return result

    def write(self, text: str) -> None:
        """Append output, unless the task has ended; pieces of one turn of the loop share an event."""
        if self.ended:
            return
        if not self._output_characters:
            asyncio.get_running_loop().call_soon(self.flush)
        self._output_characters += self._output.write(text)
        if self._output_characters >= OUTPUT_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Append the output that has not been, before anything else is."""
        if not self._output_characters:
            return
        text = self._output.getvalue()
        self._output = io.StringIO()
        self._output_characters = 0
        for start in range(0, len(text), OUTPUT_CHARACTERS):
            self.log.append_output(to_json({"text": text[start : start + OUTPUT_CHARACTERS]}))

    def publish(self, status: TaskStatus, message: str, progress: float = 0, data: object = None) -> None:
        """Append a snapshot, unless the task has ended: of two last events the first one counts."""
        if self.ended:
            return
        self.flush()
        progress = max(self.snapshot.progress, min(99, round(float(progress))))
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

    def _append(self, snapshot: Snapshot) -> None:
        data = to_json(snapshot)  # first: what can't be encoded has not happened
        self.snapshot = snapshot
        self.log.append(data, last=snapshot.status.ended)


class AsyncReporter:
    """Where asynchronous work says something: into the log at once; from other threads, soon after."""

    def __init__(self, task: Task, output_queue_length: int) -> None:
        self._task = task
        self._thread = threading.get_ident()
        self._elsewhere = Mailbox(self._take, output_queue_length)
        self.close = self._elsewhere.close

    def report(self, progress: float, message: str, data: object = None) -> None:
        """Publish a report."""
        check_update(progress, message)
        if self._elsewhere_called():
            self._elsewhere.report(progress, message, data)
        else:
            self._task.publish(TaskStatus.PROGRESS, message, progress, data)

    def output(self, text: str) -> None:
        """Append some text."""
        if self._elsewhere_called():
            self._elsewhere.output(text)
        else:
            self._task.write(text)

    def _elsewhere_called(self) -> bool:
        """Whether another thread calls; or the task has ended, which the mailbox then says."""
        if self._task.ended:
            self._elsewhere.close()
            return True
        return threading.get_ident() != self._thread

    def _take(self) -> None:
        for item in self._elsewhere.take():
            if isinstance(item, Output):
                self._task.write(item.text)
            else:
                self._task.publish(TaskStatus.PROGRESS, item.message, item.progress, item.data)


def explain(error: BaseException) -> str:
    """An error in words for the viewers, who must not be shown a traceback."""
    if isinstance(error, WorkError):
        return text_of(error) or "Failed"  # its own `__str__` may fail: the task has to end all the same
    return f"Unexpected {type(error).__name__}: the server's log has the details"


def read_snapshot(data: bytes) -> Snapshot:
    """The snapshot that is the data of an event."""
    fields = pydantic_core.from_json(data)
    return Snapshot(**{**fields, "status": TaskStatus(fields["status"])})
