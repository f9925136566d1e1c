"""The registry of servers that share their tasks, which Celery workers run; the logs are in Redis."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

from taskstream.errors import BackendUnavailable, IdempotencyKeyReused, RegistryFull, TaskNotFound
from taskstream.log import Log
from taskstream.redis.availability import Availability
from taskstream.redis.leases import LEASE_SECONDS
from taskstream.redis.logs import CONNECT_SECONDS, Creation, RedisLogs
from taskstream.redis.mirrors import Mirrors, RemoteTask
from taskstream.redis.queue import create_celery, run_name
from taskstream.registry import CLOSE_SECONDS, IdempotencyKey
from taskstream.settings import Settings
from taskstream.tasks import Task, TaskStatus, read_snapshot
from taskstream.work import Parameters, Work

CONNECTIONS = 6
"""To Redis for all requests; notifications and the queue have one more each."""

SWEEP_SECONDS = 2
"""How often a server looks for what no notification tells."""


class RedisRegistry:
    """The tasks of all servers and workers that share a Redis and a namespace; see `Registry`."""

    backend: Literal["memory", "redis"] = "redis"

    def __init__(self, settings: Settings, namespace: str) -> None:
        redis_url = settings.redis_url or ""
        self._settings = settings
        self._logs = RedisLogs(
            redis_url,
            namespace,
            connections=CONNECTIONS,
            history_length=settings.history_length,
            retention_seconds=settings.retention_seconds,
        )
        # In one thread: Celery blocks while it submits, and has a connection for each thread.
        self._submitter = ThreadPoolExecutor(1)
        self._submitting = asyncio.Lock()
        self._half_started: set[str] = set()
        timeouts = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": CONNECT_SECONDS}
        self._celery = create_celery(redis_url, namespace, broker_transport_options=timeouts)
        self._run_name = run_name(namespace)
        self._redis = Availability()
        self._mirrors = Mirrors(self._logs, self._redis, settings.history_length)
        self._owned = [
            asyncio.create_task(self._redis.keep(doing))
            for doing in (self._mirrors.listen, self._mirrors.read, self._sweep)
        ]

    async def start(
        self, work: Work, parameters: Parameters, name: str, key: IdempotencyKey | None = None
    ) -> Task:
        """Submit some work; the oldest ended task makes room for it."""
        task = Task.create(name, Log(self._settings.history_length))
        created_id = task.task_id
        try:
            async with self._redis.required():
                outcome, created_id = await self._logs.create(
                    task.task_id, task.log.latest, self._settings.max_tasks, key
                )
            if outcome is Creation.CREATED:
                async with self._submitting:
                    self._redis.check()  # those who wait need not each find it out in their turn
                    async with self._redis.required():
                        await self._submit(created_id, work, parameters)
                        await self._logs.submitted(created_id)
        except BaseException:
            # Redis may have heard some of it even so. A worker that finds no log runs nothing.
            self._half_started.add(created_id)
            raise
        if outcome is Creation.FULL:
            raise RegistryFull(self._settings.max_tasks)
        if outcome is Creation.KEY_REUSED:
            raise IdempotencyKeyReused
        return task if created_id == task.task_id else await self.get(created_id)

    async def get(self, task_id: str) -> Task:
        """The task with this id, as it is, or as it was when Redis went away."""
        mirror = self._mirrors.get(task_id)
        if mirror and not self._redis.available:
            return mirror
        try:
            async with self._redis.required():
                await self._mirrors.refresh([task_id])
        except BackendUnavailable:
            if mirror:
                return mirror
            raise
        if mirror := self._mirrors.get(task_id):
            return mirror
        raise TaskNotFound(task_id, self._settings.retention_seconds)

    async def cancel(self, task_id: str) -> Task:
        """End a task that still runs as REVOKED."""
        return await self._end(task_id, TaskStatus.REVOKED, "Cancelled")

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        async with self._redis.required():
            return await self._logs.count()

    async def count_by_status(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are in each status."""
        async with self._redis.required():
            latest = await self._logs.latest_of_all()
        return Counter(read_snapshot(data).status for _, data in latest)

    @property
    def events_published(self) -> int:
        """None: the workers publish them."""
        return 0

    def release_viewers(self) -> None:
        """Let every viewer go, because the server stops."""
        self._mirrors.release_viewers()

    async def close(self) -> None:
        """Let go of Redis; the tasks go on."""
        for each in self._owned:
            each.cancel()
        await asyncio.wait(self._owned, timeout=CLOSE_SECONDS)
        self._submitter.shutdown(wait=False, cancel_futures=True)
        await self._logs.close()

    async def _submit(self, task_id: str, work: Work, parameters: Parameters) -> None:
        submit = partial(
            self._celery.send_task,
            self._run_name,
            (work.name, parameters.json_values()),
            task_id=task_id,
            ignore_result=True,  # or Celery would subscribe to it
            retry_policy={"max_retries": 1, "interval_start": 0},
        )
        await asyncio.get_running_loop().run_in_executor(self._submitter, submit)

    async def _sweep(self) -> None:
        """Forget what is idle, read what is new, and end the tasks whose workers are lost."""
        await asyncio.sleep(SWEEP_SECONDS)
        self._mirrors.drop_idle()
        self._mirrors.refresh_all_soon()
        expired = await self._logs.sweep()
        self._redis.found()
        for task_id in list(self._half_started):
            await self._logs.forget_unsubmitted(task_id)
            self._half_started.discard(task_id)
        if self._redis.seconds < LEASE_SECONDS:  # after an outage, workers too need time to come back
            return
        for task_id in expired:
            try:
                await self._end(task_id, TaskStatus.FAILURE, "worker lost")
            except TaskNotFound:
                await self._logs.forget(task_id)

    async def _end(self, task_id: str, status: TaskStatus, message: str) -> Task:
        """Append a last event, unless there is one."""
        while not (task := await self.get(task_id)).ended:
            ended = RemoteTask(task_id, history_length=1)
            ended.receive(task.log.last_id, task.log.latest)
            ended.publish(status, message)
            event = (ended.log.last_id, ended.log.latest)
            async with self._redis.required():  # and once more, if the worker was faster
                await self._logs.append(task_id, [event], "", last=True)
        return task
