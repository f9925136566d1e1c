"""The logs of tasks in Redis: one stream for each, whose entry `7-0` is event 7."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any

from redis.asyncio import Redis

from taskstream.redis import scripts
from taskstream.redis.connections import connection_options, once_more
from taskstream.redis.entries import Decision, Kind, LoggedEvent, Page, logged_events, logged_snapshot
from taskstream.redis.messages import QUEUE
from taskstream.redis.preamble import PREAMBLE
from taskstream.registry import IdempotencyKey
from taskstream.settings import Settings

LEASE_SECONDS = 10
"""For how long a worker that says nothing is alive; its work must let other threads run meanwhile."""

RESUBMIT_SECONDS = 10
"""How often it is seen whether a task that has not begun still is in the queue."""

PAUSE_SECONDS = 5
"""Without a sweep, after which workers too need time to come back."""

LAST_EVENT_SECONDS = 2
"""For how long a log stays at the least, so that every server can read its end."""

PAGE = 100
"""Entries that are read at a time."""

LOST = "FAILURE worker lost"
"""The end of a task whose lease was not renewed."""


class Creation(StrEnum):
    """What became of an attempt to begin a log."""

    CREATED = "created"
    KNOWN = "known"
    """The key has started this task before."""
    KEY_REUSED = "key reused"
    """The key has started something else before."""
    FULL = "full"
    LATE = "late"
    """Redis has heard of it when nobody waited for it any more."""


class Keys:
    """The names of all keys in one namespace."""

    def __init__(self, namespace: str) -> None:
        self.logs = f"{namespace}:log:"
        """Before the id of a task: its log, and the channel on which something new in it is notified."""
        self.snapshots = f"{namespace}:snapshots"
        """The latest snapshot of each task, under its id, with its number."""
        self.state = f"{namespace}:state"
        self.all = (
            # the set of tasks that have not ended; when which one is forgotten, or presumed lost
            *(f"{namespace}:{name}" for name in ("running", "ended", "leases")),
            # how tasks have to end, until they have
            f"{namespace}:ending",
            # of the tasks that have not begun: their messages, and when to see where those are
            *(f"{namespace}:{name}" for name in ("messages", "due")),
            self.snapshots,
            # which task an idempotency key has started, with the fingerprint; and the other way round
            *(f"{namespace}:{name}" for name in ("keys", "key_of")),
            self.state,
            f"{namespace}:{QUEUE}",
            self.logs,
        )


class RedisLogs:
    """The logs of all tasks, for servers and workers. Raises `RedisError`."""

    def __init__(self, settings: Settings, namespace: str, connections: int) -> None:
        self.keys = Keys(namespace)
        self.redis = Redis.from_url(settings.redis_url or "", **connection_options())
        # Not redis-py's BlockingConnectionPool, which deadlocks when many of those who wait are cancelled.
        self._places = asyncio.Semaphore(connections)
        self._settings = settings
        self._create = self._script(scripts.CREATE)
        self._append = self._script(scripts.APPEND)
        self._latest = self._script(scripts.LATEST)
        self._decide = self._script(scripts.DECIDE)
        self._count = self._script(scripts.COUNT)
        self._snapshots = self._script(scripts.SNAPSHOTS)
        self._sweep = self._script(scripts.SWEEP)

    async def create(
        self,
        task_id: str,
        data: bytes,
        message: str,
        max_tasks: int,
        key: IdempotencyKey | None = None,
        deadline: float = float("inf"),
    ) -> tuple[Creation, str]:
        """Begin a log with its first event, and queue the message for a worker, if there is a place.

        What became of that, and the id of the task that was, or had been, created. `deadline` is a time of
        Redis' clock.
        """
        names = (key.key, key.fingerprint) if key else ("", "")
        reply = await self._create(task_id, data, message, max_tasks, RESUBMIT_SECONDS, deadline, *names)
        outcome, created_id = reply
        return Creation(outcome.decode()), created_id.decode()

    async def append(self, task_id: str, events: Sequence[LoggedEvent], writer: str) -> bool:
        """Add events: `id` is how their writer counts them, and in the log they get their numbers.

        Not if another writer has begun the task, or it has ended, has to, or is forgotten. An end that was
        decided has no writer; it counts on from the event that it was made from, and has to follow it.
        """
        settings = self._settings
        lengths = (settings.history_length, settings.history_bytes)
        times = (settings.retention_seconds, max(settings.retention_seconds, LAST_EVENT_SECONDS))
        values = [value for event in events for value in (event.id, event.kind, event.data)]
        last = int(events[-1].kind is Kind.LAST)
        return bool(await self._append(task_id, writer, last, LEASE_SECONDS, *lengths, *times, *values))

    async def read(self, positions: Iterable[tuple[str, int]]) -> list[Page]:
        """A page of each log: the event at this position, if it is still there, and those that follow."""
        positions = list(positions)

        async def request() -> list[Any]:
            async with self.redis.pipeline(transaction=False) as pipeline:
                for task_id, event_id in positions:
                    pipeline.xrange(self.keys.logs + task_id, f"{event_id}-0", count=PAGE)
                    if event_id == 0:
                        pipeline.hget(self.keys.snapshots, task_id)
                return await pipeline.execute()

        async with self._places:
            replies = await once_more(self.redis, request)
        pages = iter(replies)
        return [
            Page(logged_events(next(pages)), logged_snapshot(next(pages)) if event_id == 0 else None)
            for _, event_id in positions
        ]

    async def latest(self, task_id: str) -> LoggedEvent | None:
        """The latest snapshot of a task that is remembered, under the number of its latest event."""
        reply = await self._latest(task_id)
        return LoggedEvent(int(reply[0]), reply[1]) if reply else None

    async def decide(self, task_id: str, status: str, message: str) -> Decision | None:
        """Have a task end like this, if it has not ended; or like it was decided before.

        From now on no worker's events are appended, but the last event remains to be.
        """
        reply = await self._decide(task_id, status, message)
        return Decision.of(reply) if reply else None

    async def snapshots(self) -> list[bytes]:
        """The latest snapshot of each task that is remembered."""
        return [reply.partition(b" ")[2] for reply in await self._snapshots()]

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended. Not if Redis is full."""
        tasks, running = await self._count()
        return tasks, running

    async def sweep(self) -> tuple[float, list[Decision]]:
        """See to what is lost, late or left over; the time by Redis' clock, and which tasks have to end."""
        reply = await self._sweep(LEASE_SECONDS, RESUBMIT_SECONDS, PAUSE_SECONDS, LOST)
        return float(reply[0]), [Decision.of(each) for each in reply[1]]

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()

    def _script(self, script: str) -> Callable[..., Awaitable[Any]]:
        registered = self.redis.register_script(PREAMBLE + script)

        async def call(*arguments: str | bytes | float) -> Any:  # noqa: ANN401 - what the script returns
            async with self._places:
                return await once_more(self.redis, lambda: registered(self.keys.all, arguments))

        return call
