"""The registry of servers that share a Redis: Celery workers run the tasks, the logs are in Redis."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal

from taskstream.errors import BackendUnavailable, IdempotencyKeyReused, RegistryFull
from taskstream.events import TaskStatus
from taskstream.idempotency import IdempotencyKey
from taskstream.log import Log
from taskstream.redis.availability import OUT_OF_REACH, RECONNECT_SECONDS, REQUEST_SECONDS
from taskstream.redis.delivery import carry_out, end_task
from taskstream.redis.logs import RedisLogs
from taskstream.redis.messages import celery_message
from taskstream.redis.mirrors import Mirror, Mirrors
from taskstream.registry import CLOSE_SECONDS
from taskstream.settings import Settings
from taskstream.tasks import Task
from taskstream.work import Parameters, Work

CONNECTIONS = 6
"""Connections for requests; notifications have one more."""

SWEEP_SECONDS = 2
"""How often a server looks for lost workers, lost messages and missed notifications."""


class RedisRegistry:
    """The tasks of all servers and workers that share a Redis and a namespace; see `Registry`."""

    backend: Literal["memory", "sqlite", "redis"] = "redis"

    def __init__(self, settings: Settings, namespace: str) -> None:
        self._settings = settings
        self._namespace = namespace
        self._logs = RedisLogs(settings, namespace, CONNECTIONS)
        self._redis = self._logs.availability
        self._mirrors = Mirrors(self._logs, settings)
        self.mark = self.warning = ""
        self._clock_ahead = float("inf")
        """By how many seconds Redis' clock is ahead of ours; unknown at first."""
        notifications = self._mirrors.notifications
        steps = (notifications.listen, notifications.subscribe, self._mirrors.refresh_stale, self._sweep)
        self._owned = [asyncio.create_task(self._redis.repeat(step)) for step in steps]

    async def start(
        self, work: Work, parameters: Parameters, name: str, key: IdempotencyKey | None, scope: str | None
    ) -> Task:
        """Submit some work; the oldest ended task makes room for it."""
        async with self._redis.required():
            self.mark = self.mark or (await self._logs.call("mark", secrets.token_hex(4))).decode()
        task = Task.create(name, Log(1), self.mark, scope)
        message = celery_message(task.task_id, self._namespace, work.name, work.to_json(parameters))
        deadline = time.time() + self._clock_ahead + REQUEST_SECONDS
        async with self._redis.required():
            outcome, created_id = await self._logs.create(task, message, key, deadline)
        match outcome:
            case "full":
                raise RegistryFull(self._settings.max_tasks)
            case "key reused":
                raise IdempotencyKeyReused
            case "created":
                return task
            case "known" if earlier := await self.get(created_id):
                return earlier
        raise BackendUnavailable(OUT_OF_REACH)  # the start came too late, or Redis has lost what it knew

    async def get(self, task_id: str, last_event_id: str | None = None) -> Task | None:
        """The task with this id; while Redis is out of reach, as it was known last.

        But never with less than the viewer who sends this id has seen: then it waits `REQUEST_SECONDS`.
        """
        mirror = self._mirrors.get(task_id)
        if mirror and (not last_event_id or mirror.log.parse_id(last_event_id)):
            if self._redis.available:
                with suppress(BackendUnavailable):
                    [mirror] = await self._read([task_id])
            return mirror
        [mirror] = await self.get_many([task_id])
        return mirror

    async def get_many(self, task_ids: Sequence[str]) -> Sequence[Mirror | None]:
        """The tasks with these ids; waits for Redis for `REQUEST_SECONDS`."""
        give_up_at = time.monotonic() + REQUEST_SECONDS
        while True:
            try:
                return await self._read(task_ids)
            except BackendUnavailable:
                if time.monotonic() + RECONNECT_SECONDS > give_up_at:
                    raise
            await asyncio.sleep(RECONNECT_SECONDS)

    async def list(self, scope: str | None, status: TaskStatus | None, limit: int) -> Sequence[bytes]:
        """The latest snapshots, newest task first."""
        async with self._redis.required():
            snapshots: Sequence[bytes] = await self._logs.call("list", scope or "", status or "", limit)
        return snapshots

    async def cancel(self, task: Task) -> None:
        """End a task that still runs as REVOKED."""
        async with self._redis.required():
            await end_task(self._logs, task.task_id, TaskStatus.REVOKED, "Cancelled")
        await self._read([task.task_id])

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        async with self._redis.required():
            tasks, running = await self._logs.call("count")
        return tasks, running

    async def count_by_status(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are in each status."""
        async with self._redis.required():
            return Counter(TaskStatus(each.decode()) for each in await self._logs.call("statuses"))

    @property
    def events_published(self) -> None:
        """Unknown: workers publish the events."""

    def release_viewers(self) -> None:
        """End every stream, because the server stops."""
        self._mirrors.release_viewers()

    async def close(self) -> None:
        """Close all connections; the tasks go on."""
        for background in self._owned:
            background.cancel()
        await asyncio.wait(self._owned, timeout=CLOSE_SECONDS)
        await self._logs.aclose()

    async def _read(self, task_ids: Sequence[str]) -> Sequence[Mirror | None]:
        """The tasks with these ids, read from Redis."""
        async with self._redis.required():
            await self._mirrors.refresh(task_ids)
        return [self._mirrors.get(task_id) for task_id in task_ids]

    async def _sweep(self) -> None:
        """Drop idle mirrors, refresh the others, and append what was decided."""
        self._mirrors.check_all()
        redis_time, decisions, warning = await self._logs.call("sweep")
        self.warning = warning.decode()
        self._clock_ahead = float(redis_time) - time.time()
        for decision in decisions:
            await carry_out(self._logs, decision)
        await asyncio.sleep(SWEEP_SECONDS)
