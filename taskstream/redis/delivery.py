"""How events get into logs in Redis: those that a task publishes in a worker, and what servers decide."""

import asyncio
import secrets
from collections.abc import Callable

from redis.exceptions import OutOfMemoryError

from taskstream.events import Event, Kind, Snapshot, TaskStatus
from taskstream.log import Log
from taskstream.redis.logs import Decision, Position, RedisLogs
from taskstream.tasks import Checkpoint, Task

BATCH = 100
"""Events that are appended at a time, at most a piece, and how many may wait before the work has to."""


class Delivery:
    """A cursor in the log of a task, behind which events are yet to be appended to its log in Redis.

    Both are bounded alike, so what has fallen out of the one before it was sent is lost for the other.
    """

    def __init__(self, task: Task, logs: RedisLogs) -> None:
        self._task = task
        self._logs = logs
        self._writer = secrets.token_hex(8)
        self._sent_id = task.log.last_id
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()
        self._checkpoint = Checkpoint()
        self._position: Position | None = None
        self._accepted = self._refused = False
        task.log.listeners.add(self._published)

    async def run(self, on_refused: Callable[[], object]) -> None:
        """Append events until cancelled. `on_refused` is called if the task has ended elsewhere."""
        while not self._refused:
            await self._news.wait()
            self._news.clear()
            await self.flush()
        on_refused()

    async def next(self) -> None:
        """Let the work go on once its first event is in the log, and while fewer than `BATCH` are waiting.

        Raises `CancelledError` if the task has ended elsewhere.
        """
        if not self._accepted or self._waiting >= BATCH:
            await self.flush()
            self._accepted = True
        await self._checkpoint()
        if self._refused and (running := asyncio.current_task()):
            running.cancel()
            await asyncio.sleep(0)  # which raises

    async def flush(self) -> None:
        """Append all that is waiting, unless the task has ended elsewhere."""
        async with self._sending:
            while self._waiting and not self._refused:
                await self._logs.availability.retry(self._append)
                reporter = self._task.reporter
                if reporter is not None and reporter.paused and self._waiting < BATCH:
                    reporter.resume()

    @property
    def _waiting(self) -> int:
        return self._task.log.last_id - self._sent_id

    async def _append(self) -> None:
        log = self._task.log
        piece, ended = log.events_after(self._sent_id), log.ended
        events = [event for event in piece if event.kind is not Kind.LOST][:BATCH]
        try:
            await self._send(events)
        except OutOfMemoryError:  # a full Redis takes nothing but the end
            if not ended:
                raise
            events = log.events_after(log.last_id - 1)
            await self._send(events)
        self._sent_id = (events or piece)[-1].id

    async def _send(self, events: list[Event]) -> None:
        if events:  # the numbers of those that are lost are left out
            before, self._position = self._position, None  # which, after an error, isn't known
            self._position = await self._logs.append(self._task.task_id, events, self._writer, before)
            self._refused = self._position is None

    def _published(self) -> None:
        if self._task.reporter is not None and self._waiting >= BATCH:
            self._task.reporter.paused = True
        self._news.set()


async def find_task(logs: RedisLogs, task_id: str) -> Task | None:
    """A task that is remembered, to be continued after its latest event."""
    if not (found := await logs.call("latest", task_id)):
        return None
    number, snapshot, scope = found
    log = Log(logs.settings.history_length, logs.settings.history_bytes)
    return continued(Task(task_id, log, scope.decode() or None), number, snapshot)


async def end_task(logs: RedisLogs, task_id: str, status: TaskStatus, message: str) -> None:
    """End a task that has not ended, whatever its worker does at the same moment."""
    while decision := await logs.call("decide", task_id, status, message):
        if await carry_out(logs, decision):
            return


async def carry_out(logs: RedisLogs, decision: Decision) -> bool:
    """Append what was decided, unless something else was appended meanwhile.

    False if so: the task has ended, or begun, or Redis has lost the decision.
    """
    task_id, status, message, number, snapshot = decision
    task = continued(Task(task_id.decode(), Log(1)), number, snapshot)
    task.publish(TaskStatus(status.decode()), message.decode())
    events = task.log.events_after(int(number))
    return await logs.append(task.task_id, events, writer="") is not None


def continued(task: Task, number: bytes, snapshot: bytes) -> Task:
    """The task, with its latest snapshot, after the event of this number."""
    task.log.append(snapshot, event_id=int(number))
    task.outline = Snapshot.from_json(snapshot)
    return task
