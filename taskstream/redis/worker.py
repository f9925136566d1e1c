"""Run tasks in Celery workers, on as many machines as you like, with their logs in Redis.

    TASKSTREAM_REDIS_URL=redis://localhost celery -A app:celery worker

The same work as in one process, and the same life: only what is published goes to Redis.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from celery import Task as CeleryTask
from celery import signals
from celery.worker.request import Request

from taskstream.redis.delivery import Delivery, retry_until_available
from taskstream.redis.leases import Lease, Leases
from taskstream.redis.logs import RedisLogs
from taskstream.redis.mirrors import RemoteTask
from taskstream.redis.queue import create_celery, run_name
from taskstream.settings import Settings
from taskstream.tasks import TaskStatus
from taskstream.threads import WorkThreads
from taskstream.updates import Updates
from taskstream.work import Works


class Worker:
    """Runs the tasks of an application: its works, its Redis, and its Celery application."""

    def __init__(self, works: Works, settings: Settings, namespace: str) -> None:
        self._works = works
        self._settings = settings
        self._namespace = namespace
        self._redis_url = settings.redis_url or ""
        self._leases = Leases(self._redis_url, namespace)
        self.celery = create_celery(self._redis_url, namespace)

        @self.celery.task(name=run_name(namespace), bind=True)
        def run(celery_task: "CeleryTask[..., None]", work: str, parameters: str) -> None:
            """Run some work; Celery's task id is the task's."""
            asyncio.run(self._run(str(celery_task.request.id), work, parameters))

        @signals.task_received.connect(weak=False)
        def hold_received(request: Request, **_: object) -> None:
            """Hold a task from the moment it leaves the queue: a worker may die before it has begun."""
            self._leases.hold(request.id)

        @signals.task_revoked.connect(weak=False)
        def end_revoked(request: Request, **_: object) -> None:
            """End a task that Celery or Flower was told to revoke, in the queue or, terminated, at work."""
            asyncio.run(self._revoke(request.id))

    async def _run(self, task_id: str, work_name: str, json_parameters: str) -> None:
        """Run a task that waits for a worker, from its start to its end."""
        async with self._logs() as logs:
            task = await retry_until_available(partial(read_task, logs, task_id))
            if task is None or task.snapshot.status is not TaskStatus.PENDING:
                return  # it was forgotten, or cancelled
            threads = WorkThreads(1)
            delivery = Delivery(task, logs)

            async def begin() -> Updates:
                work = self._works.get(work_name)  # an unknown one is a failure of the task
                parameters = work.parameters.model_validate_json(json_parameters)
                return await work.begin(parameters, threads)

            running = asyncio.create_task(task.run(begin, delivery.next))
            delivering = asyncio.create_task(delivery.run(running.cancel))
            with Lease(self._leases, task_id, on_end=running.cancel):
                await asyncio.wait([running])
                await delivery.flush()
            delivering.cancel()
            await threads.join()

    async def _revoke(self, task_id: str) -> None:
        """End a task that has not ended as REVOKED."""
        async with self._logs() as logs:
            task = await retry_until_available(partial(read_task, logs, task_id))
            if task and not task.ended:
                delivery = Delivery(task, logs)
                task.publish(TaskStatus.REVOKED, "Cancelled")
                await delivery.flush()

    @asynccontextmanager
    async def _logs(self) -> AsyncIterator[RedisLogs]:
        """The logs in Redis, over one connection."""
        logs = RedisLogs(
            self._redis_url,
            self._namespace,
            connections=1,
            history_length=self._settings.history_length,
            retention_seconds=self._settings.retention_seconds,
        )
        try:
            yield logs
        finally:
            await logs.close()


async def read_task(logs: RedisLogs, task_id: str) -> RemoteTask | None:
    """A task as its log in Redis has it, if there is one."""
    latest = await logs.latest(task_id)
    if latest is None:
        return None
    task = RemoteTask(task_id, history_length=1)
    task.receive(*latest)
    return task
