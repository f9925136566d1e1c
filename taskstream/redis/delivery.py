"""How what a task publishes in a worker gets into its log in Redis."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import islice
from typing import TypeVar

from redis.exceptions import RedisError

from taskstream.redis.logs import Event, RedisLogs
from taskstream.registry import Turns
from taskstream.tasks import Task, TaskStatus

BATCH = 100
"""Events that are appended at a time; and that may wait before the work does."""

RETRY_SECONDS = 0.5

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


class Delivery:
    """Appends what a task publishes to its log in Redis: all that waits, at a time."""

    def __init__(self, task: Task, logs: RedisLogs) -> None:
        self._task = task
        self._logs = logs
        self._writer = secrets.token_hex(8)
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()
        self._turns = Turns()
        self._refused = False
        task.log.listeners.add(self._published)

    async def run(self, on_refused: Callable[[], object]) -> None:
        """Append whatever is published, until cancelled. `on_refused`: the task has ended elsewhere."""
        while not self._refused:
            await self._news.wait()
            self._news.clear()
            await self.flush()
        on_refused()

    async def next(self) -> None:
        """Let the work go on once its task is accepted, and while not too much waits.

        Raises `CancelledError` if the task has ended elsewhere.
        """
        if self._task.snapshot.status is TaskStatus.STARTED or len(self._waiting) >= BATCH:
            await self.flush()
        await self._turns.take()
        if self._refused:
            raise asyncio.CancelledError

    async def flush(self) -> None:
        """Append all that waits, unless the task has ended elsewhere."""
        async with self._sending:
            while self._waiting and not self._refused:
                batch = list(islice(self._waiting, BATCH))
                last = self._task.ended and len(batch) == len(self._waiting)
                append = partial(self._logs.append, self._task.task_id, batch, self._writer, last=last)
                self._refused = not await retry_until_available(append)
                for _ in batch:
                    self._waiting.popleft()

    def _published(self) -> None:
        self._waiting.append((self._task.log.last_id, self._task.log.latest))
        self._news.set()


async def retry_until_available(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of Redis, however long it is out of reach."""
    while True:
        try:
            return await call()
        except RedisError as error:
            logger.warning("Redis is out of reach, trying again: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
