"""The registry of servers that share their tasks, which Celery workers run; the logs are in Redis."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

from taskstream.redis.availability import Availability
from taskstream.redis.logs import CONNECT_SECONDS, LEASE_SECONDS, RedisLogs
from taskstream.redis.mirrors import Mirrors
from taskstream.redis.queue import QUEUE, RUN, create_celery
from taskstream.registry import CLOSE_SECONDS, BackendUnavailable, RegistryFull, TaskNotFound
from taskstream.tasks import Task, TaskStatus

CONNECTIONS = 6
"""To Redis for all requests; the bells and the queue have one more each."""

SWEEP_SECONDS = 2
"""How often a server looks after what no bell rings for."""


class RedisRegistry:
    """The tasks of all servers and workers that share a Redis; for the verbs, see `tasks.Registry`.

    All of them raise `BackendUnavailable`.
    """

    backend: Literal["redis"] = "redis"

    def __init__(
        self,
        redis_url: str,
        *,
        retention_seconds: float,
        max_tasks: int,
        history_length: int,
        queue: str = QUEUE,
    ) -> None:
        self._retention_seconds = retention_seconds
        self._max_tasks = max_tasks
        self._history_length = history_length
        self._logs = RedisLogs(
            redis_url,
            connections=CONNECTIONS,
            history_length=history_length,
            retention_seconds=retention_seconds,
        )
        # In one thread: Celery blocks while it submits, and has a connection for each thread.
        self._submitter = ThreadPoolExecutor(1)
        self._submitting = asyncio.Lock()
        self._half_started: set[str] = set()
        timeouts = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": CONNECT_SECONDS}
        self._celery = create_celery(redis_url, broker_transport_options=timeouts, task_default_queue=queue)
        self._redis = Availability()
        self._mirrors = Mirrors(self._logs, self._redis, history_length)
        self._owned = [
            asyncio.create_task(self._redis.keep(doing))
            for doing in (self._mirrors.listen, self._mirrors.read, self._sweep)
        ]

    async def start(self, work: str, parameters: Mapping[str, object], name: str) -> Task:
        """Submit some work; the oldest ended task makes room for it. Raises `RegistryFull`."""
        task = Task.create(name, self._history_length)
        try:
            async with self._redis.required():
                placed = await self._logs.create(task.task_id, task.log.latest, self._max_tasks)
            if placed:
                async with self._submitting:
                    self._redis.check()  # those who wait need not each find it out in their turn
                    async with self._redis.required():
                        await self._submit(task.task_id, work, parameters)
                        await self._logs.submitted(task.task_id)
        except BaseException:
            # Redis may have heard some of it even so. A worker that finds no log runs nothing.
            self._half_started.add(task.task_id)
            raise
        if not placed:
            raise RegistryFull(self._max_tasks)
        return task

    async def get(self, task_id: str) -> Task:
        """The task with this id, as it is, or as it was when Redis went away. Raises `TaskNotFound`."""
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
        raise TaskNotFound(task_id, self._retention_seconds)

    async def cancel(self, task_id: str) -> Task:
        """End a task that still runs as REVOKED. Raises `TaskNotFound`."""
        return await self._end(task_id, TaskStatus.REVOKED, "Cancelled")

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        async with self._redis.required():
            return await self._logs.count()

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

    async def _submit(self, task_id: str, work: str, parameters: Mapping[str, object]) -> None:
        submit = partial(
            self._celery.send_task,
            RUN,
            (work, parameters),
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
            await self._logs.forget(task_id)
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
            ended = Task(task_id, history_length=1)
            ended.receive(task.log.last_id, task.log.latest)
            ended.publish(status, message)
            async with self._redis.required():  # and once more, if the worker was faster
                await self._logs.append(task_id, ended.log.last_id, ended.log.latest, "", last=True)
        return task
