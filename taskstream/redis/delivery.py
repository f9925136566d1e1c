"""How the events that a task publishes in a worker get into its log in Redis."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from itertools import islice

from taskstream.events import Event
from taskstream.redis.availability import retry_until_available
from taskstream.redis.logs import RedisLogs
from taskstream.tasks import Checkpoint, Task

BATCH = 100
"""Events that are appended at a time, and how many may wait before the work has to."""


class Delivery:
    """Appends the events of one task to its log in Redis, as many at a time as are waiting."""

    def __init__(self, task: Task, logs: RedisLogs) -> None:
        self._task = task
        self._logs = logs
        self._writer = secrets.token_hex(8)
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()
        self._checkpoint = Checkpoint()
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
        if not self._accepted or len(self._waiting) >= BATCH:
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
                await retry_until_available(self._append)
                if self._task.reporter is not None and len(self._waiting) < BATCH:
                    self._task.reporter.resume()

    async def _append(self) -> None:
        # With the last event, everything: a full Redis takes only a batch that ends the task.
        batch = list(islice(self._waiting, None if self._task.ended else BATCH))
        self._refused = not await self._logs.append(self._task.task_id, batch, self._writer)
        for _ in batch:
            self._waiting.popleft()

    def _published(self) -> None:
        log, reporter = self._task.log, self._task.reporter
        self._waiting += log.events_after(log.last_id - 1)
        if reporter is not None and len(self._waiting) >= BATCH:
            reporter.paused = True
        self._news.set()
