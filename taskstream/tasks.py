"""Tasks: the life of each from its start to its end. No HTTP in here.

A task is one run of some work. Work is an async generator that yields `Update`s; the task is advanced
exactly once, whoever watches, and what it yields is appended to its log. Viewers only read the log, so
they never steal events from each other and never make the work run twice.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Self

from taskstream.bridge import OUTPUT_CHARACTERS, Reporter
from taskstream.encoding import Json, encode, one_line, pieces, plain_text, to_json
from taskstream.errors import explain, log_failure
from taskstream.events import ENDED, Count, Kind, Snapshot, TaskStatus
from taskstream.idempotency import IdempotencyKey
from taskstream.log import Log
from taskstream.steps import current_step
from taskstream.updates import InvalidUpdate, Output, Result, Update, Updates

Turn = Callable[[], Awaitable[object]]
"""A checkpoint: what is awaited after each event of a task but the last."""

NO_DATA = b'"data":null'
"""The field of a snapshot that its data is put into."""

TURN_SECONDS = 0.001
"""How long work that never awaits may run on before others have their turn."""


class Checkpoint:
    """Where others get their turn: work that never awaits must not starve them."""

    def __init__(self) -> None:
        self._turn_began = time.monotonic()

    async def __call__(self) -> None:
        """Let the others go first, if this turn has been long enough."""
        if time.monotonic() - self._turn_began > TURN_SECONDS:
            await asyncio.sleep(0)
            self._turn_began = time.monotonic()


class Task:
    """One run of some work: its latest snapshot, and the log of all that there was."""

    outline: Snapshot
    """The latest snapshot, but without its data, which stands in the log as JSON."""
    key: IdempotencyKey | None = None
    """What its start can be sent again with, if something."""
    reporter: Reporter | None = None
    """What its work says by `report` and `output`, while it runs here."""

    def __init__(self, task_id: str, log: Log, scope: str | None = None) -> None:
        """`scope` says whose it is, where that makes a difference."""
        self.task_id = task_id
        self.log = log
        self.scope = scope
        self.on_end: Callable[[Task], object] = lambda _: None

    @classmethod
    def create(cls, name: str, log: Log, mark: str = "", scope: str | None = None) -> Self:
        """A new task, which is PENDING; its id ends with the mark of who gives it out."""
        task = cls(secrets.token_hex(12) + mark, log, scope)
        name = name if name.isprintable() else plain_text(name)
        task.outline = Snapshot(task.task_id, name, TaskStatus.PENDING)
        task.append(TaskStatus.PENDING, "Waiting to start", 0, None, [])
        return task

    @property
    def snapshot(self) -> Snapshot:
        """The latest snapshot, decoded on demand: its data may be large."""
        return Snapshot.from_json(self.log.latest)

    async def run(
        self, begin: Callable[[], Awaitable[Updates]], checkpoint: Turn, output_queue_length: int
    ) -> None:
        """Advance it from its start to its end. Awaits `checkpoint()` after each event but the last."""
        self.reporter = reporter = Reporter(self, output_queue_length)
        current_step.set(reporter)
        result: Result | None = None
        try:
            async with aclosing(await begin()) as updates:
                self.publish(TaskStatus.STARTED, "Started")
                await checkpoint()  # before the work begins, as it may not be accepted
                async for update in updates:
                    match update:
                        case _ if self.log.sealed:  # cancelled, but the work didn't want to hear of it
                            await asyncio.sleep(0)  # a cancellation is raised here, not in its cleanup
                            return
                        case Update():
                            self.publish(TaskStatus.PROGRESS, update.message, update.progress, update.data)
                        case Output():
                            reporter.output(update.text)
                        case Result():
                            result = update
                        case _:
                            raise InvalidUpdate(  # noqa: TRY301 - it fails like any other work
                                f"The work yielded {type(update).__name__}, not an Update, Output or Result"
                            )
                    await checkpoint()
            result = result or Result()
            self.publish(TaskStatus.SUCCESS, result.message, data=await json_in_turns(result.data))
        except BaseException as error:  # not even `sys.exit()` in some work may stop the server
            # Without a name for the asyncio task: its frame and its cancellation would be in a cycle.
            cancelled = self.log.sealed or asyncio.current_task().cancelling()  # type: ignore[union-attr]
            if cancelled and issubclass(type(error), asyncio.CancelledError):
                self.publish(TaskStatus.REVOKED, "Cancelled")
                raise
            self.publish(TaskStatus.FAILURE, explain(error))
            log_failure(f"Task {self.task_id} ({self.outline.name!r}) failed", error)

    def publish(
        self, status: TaskStatus, message: str, progress: float | None = None, data: object = None
    ) -> None:
        """Append a snapshot, unless the task has ended: of two last events the first one counts.

        What the work has said before comes first; and before that the JSON of the data, as making it may
        run code that says something.
        """
        json = None if data is None else to_json(data, iterators=False)
        if self.reporter is not None and self.reporter.scheduled:
            self.reporter.flush()
        steps = self.outline.steps
        if steps and status is TaskStatus.PROGRESS and self.reporter is not None:
            steps = self.reporter.latest.nearest_open.counts()
        self.append(status, message, progress or 0, json, steps)

    def append(
        self, status: TaskStatus, message: str, progress: float, data: Json | None, steps: list[Count]
    ) -> None:
        """Append a snapshot, unless the task has ended."""
        if self.log.sealed:
            return
        before = self.outline
        succeeded = status is TaskStatus.SUCCESS
        now = datetime.now(UTC).isoformat()
        self.outline = Snapshot(
            before.task_id,
            before.name,
            status,
            100 if succeeded else max(before.progress, min(99, round(float(progress)))),
            message if message.isprintable() else plain_text(message),
            [] if succeeded else steps,
            None,
            now if status is TaskStatus.STARTED else before.started_at,
            now,
        )
        line = encode(self.outline)
        if not line.isascii():
            line = one_line(line)
        if data is not None:  # text can't look like the field: there its quotes have backslashes
            before_data, _, after_data = line.partition(NO_DATA)
            line = b"".join((before_data, NO_DATA[:-4], data, after_data))  # copied once, if large
        self.log.append(line, Kind.LAST if status in ENDED else Kind.SNAPSHOT)
        if self.log.sealed:
            if self.reporter is not None:
                self.reporter.close()
                self.reporter = None
            self.on_end(self)

    def append_output(self, text: str) -> None:
        """Append output, unless the task has ended."""
        for start in range(0, 0 if self.log.sealed else len(text), OUTPUT_CHARACTERS):
            self.log.append(to_json({"text": text[start : start + OUTPUT_CHARACTERS]}), Kind.OUTPUT)


async def json_in_turns(value: object) -> Json | None:
    """The JSON of a value, with turns for others while it is made."""
    if value is None or isinstance(value, Json):
        return value
    checkpoint, json = Checkpoint(), []
    for piece in pieces(value, iterators=False):
        json.append(piece)
        await checkpoint()
    return Json(b"".join(json))
