"""The logs of tasks in Redis: one stream for each, whose entry `7-0` is event 7."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Any, cast

from redis.asyncio import Redis as AsyncRedis
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskstream.redis.scripts import (
    APPEND,
    COUNT,
    CREATE,
    FORGET,
    FORGET_UNSUBMITTED,
    PREAMBLE,
    SUBMITTED,
    SWEEP,
    TASK_IDS,
)
from taskstream.registry import IdempotencyKey

Event = tuple[int, bytes]
"""Its id and its data."""


class Creation(StrEnum):
    """What became of an attempt to begin a log."""

    CREATED = "created"
    """It has to be submitted; also if an earlier start with the same key was broken off half-way."""
    KNOWN = "known"
    """The key has started this task before."""
    KEY_REUSED = "key reused"
    """The key has started something else before."""
    FULL = "full"


Entries = list[tuple[bytes, dict[bytes, bytes]]]

CONNECT_SECONDS = 1
ANSWER_SECONDS = 1
"""How long a connection, or an answer, is waited for."""

SUBMIT_SECONDS = 30
"""After which a task whose start was broken off half-way is forgotten."""

LAST_EVENT_SECONDS = 2
"""For how long a log stays at the least, so that every server can read its end."""

PAGE = 100
"""Entries that are read at a time."""


class Keys:
    """The names of all keys, and of the channel of notifications, in one namespace."""

    def __init__(self, namespace: str) -> None:
        self.logs = f"{namespace}:log:"
        self.notifications = f"{namespace}:notifications"
        """The channel on which the id of a task is published when there is something new in its log."""
        self.all = (
            # the set of tasks that have not ended; when which task is forgotten, presumed lost, given up
            *(f"{namespace}:{name}" for name in ("running", "ended", "leases", "submitting")),
            # which task an idempotency key has started, with the fingerprint; and the other way round
            *(f"{namespace}:{name}" for name in ("keys", "key_of")),
            self.notifications,
            self.logs,
        )


def events(entries: Entries) -> list[Event]:
    """The events that are the entries of a stream."""
    return [(int(key.partition(b"-")[0]), fields[b"data"]) for key, fields in entries]


def connection_options() -> dict[str, Any]:
    """How long Redis is waited for. Who tries again does so where it is known what for."""
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }


class RedisLogs:
    """The logs of all tasks, for servers and workers. Raises `RedisError`."""

    def __init__(
        self,
        redis_url: str,
        namespace: str,
        *,
        connections: int,
        history_length: int,
        retention_seconds: float,
    ) -> None:
        self.keys = Keys(namespace)
        self.redis = AsyncRedis.from_url(redis_url, **connection_options())
        # Not redis-py's BlockingConnectionPool, which deadlocks when many of those who wait are cancelled.
        self._places = asyncio.Semaphore(connections)
        self._history_length = history_length
        self._retention_seconds = retention_seconds
        self._create = self._script(CREATE)
        self._submitted = self._script(SUBMITTED)
        self._append = self._script(APPEND)
        self._forget = self._script(FORGET)
        self._forget_unsubmitted = self._script(FORGET_UNSUBMITTED)
        self._count = self._script(COUNT)
        self._sweep = self._script(SWEEP)
        self._task_ids = self._script(TASK_IDS)

    async def create(
        self, task_id: str, data: bytes, max_tasks: int, key: IdempotencyKey | None = None
    ) -> tuple[Creation, str]:
        """Begin a log with its first event, if there is a place for it; what became of that, and the id."""
        names = (key.key, key.fingerprint) if key else ("", "")
        outcome, created_id = await self._create(task_id, data, max_tasks, SUBMIT_SECONDS, *names)
        return Creation(outcome.decode()), created_id.decode()

    async def submitted(self, task_id: str) -> None:
        """Keep a task whose start is complete."""
        await self._submitted(task_id)

    async def append(self, task_id: str, events: Iterable[Event], writer: str, *, last: bool) -> bool:
        """Add events, of which the last one may be the task's last.

        Not if their ids were given out by another writer, or the task has ended or is forgotten.
        """
        retention_seconds = self._retention_seconds
        log_seconds = max(retention_seconds, LAST_EVENT_SECONDS)
        entries = [value for event_id, data in events for value in (event_id, data, 0)]
        entries[-1] = int(last)
        lengths = (self._history_length, retention_seconds, log_seconds)
        return bool(await self._append(task_id, writer, *lengths, *entries))

    async def read(self, positions: Iterable[tuple[str, int]]) -> list[list[Event]]:
        """A page of each log: the event at this position, if it is still there, and those that follow."""
        async with self._places, self.redis.pipeline(transaction=False) as pipeline:
            for task_id, event_id in positions:
                pipeline.xrange(self.keys.logs + task_id, f"{event_id}-0", count=PAGE)
            replies = await pipeline.execute()
        return [events(reply) for reply in replies]

    async def latest(self, task_id: str) -> Event | None:
        """The latest event of a log, if there is one."""
        async with self._places:
            reply = await self.redis.xrevrange(self.keys.logs + task_id, count=1)
        return events(cast("Entries", reply))[0] if reply else None

    async def latest_of_all(self) -> list[Event]:
        """The latest event of each log that is remembered."""
        task_ids = await self._task_ids()
        async with self._places, self.redis.pipeline(transaction=False) as pipeline:
            for task_id in task_ids:
                pipeline.xrevrange(self.keys.logs + task_id.decode(), count=1)
            replies = await pipeline.execute()
        return [event for reply in replies for event in events(reply)]

    async def forget(self, task_id: str) -> None:
        """Delete all there is of a task."""
        await self._forget(task_id)

    async def forget_unsubmitted(self, task_id: str) -> None:
        """Delete all there is of a task whose start was broken off half-way, unless it was completed."""
        await self._forget_unsubmitted(task_id)

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        tasks, running = await self._count()
        return tasks, running

    async def sweep(self) -> list[str]:
        """Forget what was started half-way, notify every server, and name the tasks whose lease is over."""
        return [task_id.decode() for task_id in await self._sweep()]

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()

    def _script(self, script: str) -> Callable[..., Awaitable[Any]]:
        registered = self.redis.register_script(PREAMBLE + script)

        async def call(*arguments: str | bytes | float) -> Any:  # noqa: ANN401 - what the script returns
            async with self._places:
                return await registered(self.keys.all, arguments)

        return call
