"""How what a task publishes in a worker gets into its log in Redis."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import TypeVar

from redis.exceptions import RedisError

from taskstream.redis.entries import Kind, LoggedEvent
from taskstream.redis.logs import RedisLogs
from taskstream.registry import Turns
from taskstream.tasks import Task

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
        self._waiting: deque[LoggedEvent] = deque()
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()
        self._turns = Turns()
        self._accepted = self._refused = False
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
        if not self._accepted or len(self._waiting) >= BATCH:
            await self.flush()
            self._accepted = True
        await self._turns.take()
        if self._refused:
            raise asyncio.CancelledError

    async def flush(self) -> None:
        """Append all that waits, unless the task has ended elsewhere."""
        async with self._sending:
            while self._waiting and not self._refused:
                await retry_until_available(self._append)

    async def _append(self) -> None:
        # With its last event all of it is appended: a Redis that is full takes nothing else.
        batch = list(islice(self._waiting, None if self._task.ended else BATCH))
        self._refused = not await self._logs.append(self._task.task_id, batch, self._writer)
        for _ in batch:
            self._waiting.popleft()

    def _published(self) -> None:
        log = self._task.log
        if log.latest_id == log.last_id:
            event = LoggedEvent(log.last_id, log.latest, Kind.LAST if log.ended else Kind.SNAPSHOT)
        else:
            block, _ = log.after(log.last_id - 1)
            event = LoggedEvent(log.last_id, block.split(b"\ndata: ", 1)[1].rstrip(b"\n"), Kind.OUTPUT)
        self._waiting.append(event)
        self._news.set()


async def retry_until_available(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of Redis, however long it is out of reach, or full; the log says so once."""
    waiting = False
    while True:
        try:
            return await call()
        except RedisError as error:
            if not waiting:
                logger.warning("Redis is out of reach or full, trying again until it is not: %s", error)
                waiting = True
            await asyncio.sleep(RETRY_SECONDS)
