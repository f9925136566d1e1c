"""Run tasks in Celery workers, on as many machines as you like, with their logs in Redis.

    PROGRESS_REDIS_URL=redis://localhost celery -A distributed worker

The same work as in one process, and the same life: only what is published goes to Redis.
"""

import asyncio
import logging
import secrets
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Self, TypeVar

from celery import Task as CeleryTask
from celery import signals
from celery.worker.request import Request
from redis.exceptions import RedisError

from taskstream.redis.logs import Leases, RedisLogs
from taskstream.redis.queue import RUN, create_celery
from taskstream.server.settings import Settings
from taskstream.tasks import Task, TaskStatus
from taskstream.threads import WorkThreads
from taskstream.work import make_begin

RENEW_SECONDS = 1
"""How often a worker says that it is alive, and learns whether its task has been cancelled."""

RETRY_SECONDS = 0.5

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)

settings = Settings.load()
if settings.redis_url is None:
    print("distributed.py: set PROGRESS_REDIS_URL to the Redis that the servers use.", file=sys.stderr)
    raise SystemExit(2)
redis_url = settings.redis_url
app = create_celery(redis_url)
leases = Leases(redis_url)


@app.task(name=RUN, bind=True)
def run(self: CeleryTask[..., None], work: str, parameters: Mapping[str, object]) -> None:
    """Run some work; Celery's task id is the task's."""
    asyncio.run(run_task(str(self.request.id), work, parameters))


async def run_task(task_id: str, work: str, parameters: Mapping[str, object]) -> None:
    """Run a task that waits for a worker, from its start to its end."""
    async with open_logs() as logs:
        task = await patiently(partial(read_task, logs, task_id))
        if task is None or task.snapshot.status is not TaskStatus.PENDING:
            return  # it was forgotten, or cancelled
        threads = WorkThreads(1)
        delivery = Delivery(task, logs)
        running = asyncio.create_task(
            task.run(partial(make_begin(threads), work, parameters), delivery.next)
        )
        with Lease(task_id, on_end=running.cancel):
            await asyncio.wait([running])
            await delivery.last()
        await threads.join()


async def revoke_task(task_id: str) -> None:
    """End a task that has not ended as REVOKED."""
    async with open_logs() as logs:
        task = await patiently(partial(read_task, logs, task_id))
        if task and not task.ended:
            task.publish(TaskStatus.REVOKED, "Cancelled")
            await Delivery(task, logs).last()


@asynccontextmanager
async def open_logs() -> AsyncIterator[RedisLogs]:
    """The logs in Redis, over one connection."""
    logs = RedisLogs(
        redis_url,
        connections=1,
        history_length=settings.history_length,
        retention_seconds=settings.retention_seconds,
    )
    try:
        yield logs
    finally:
        await logs.close()


async def read_task(logs: RedisLogs, task_id: str) -> Task | None:
    """A task as its log in Redis has it, if there is one."""
    latest = await logs.latest(task_id)
    if latest is None:
        return None
    task = Task(task_id, history_length=1)
    task.receive(*latest)
    return task


class Delivery:
    """Brings what a task publishes here to its log in Redis, event by event."""

    def __init__(self, task: Task, logs: RedisLogs) -> None:
        self._task = task
        self._logs = logs
        self._writer = secrets.token_hex(8)
        self._refused = False

    async def next(self) -> None:
        """Append the latest event. Raises `CancelledError` if the task has ended elsewhere."""
        if not await self._append():
            self._refused = True
            raise asyncio.CancelledError

    async def last(self) -> None:
        """Append the last event, unless the task has had one elsewhere."""
        if not self._refused:
            await self._append()

    async def _append(self) -> bool:
        log = self._task.log
        event = (self._task.task_id, log.last_id, log.latest, self._writer)
        return await patiently(partial(self._logs.append, *event, last=log.ended))


async def patiently(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of Redis, however long it is out of reach."""
    while True:
        try:
            return await call()
        except RedisError as error:
            logger.warning("Redis is out of reach, trying again: %s", error)
            await asyncio.sleep(RETRY_SECONDS)


class Lease:
    """Says that a task is being run, while entered, and learns whether it has ended elsewhere.

    In a thread, because work may keep the event loop busy for longer than a lease lasts.
    """

    def __init__(self, task_id: str, on_end: Callable[[], object]) -> None:
        self._task_id = task_id
        self._tell = partial(asyncio.get_running_loop().call_soon_threadsafe, on_end)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def _keep(self) -> None:
        while hold(self._task_id):
            if self._left.wait(RENEW_SECONDS):
                return
        self._tell()


def hold(task_id: str) -> bool:
    """Renew the lease on a task; whether it still has to be run, as far as one knows."""
    try:
        return leases.renew(task_id)
    except RedisError as error:
        logger.warning("Redis is out of reach, the lease has to wait: %s", error)
        return True


@signals.task_received.connect
def hold_received(request: Request, **_: object) -> None:
    """Hold a task from the moment it leaves the queue: a worker may die before it has begun."""
    hold(request.id)


@signals.task_revoked.connect
def end_revoked(request: Request, **_: object) -> None:
    """End a task that Celery or Flower was told to revoke, in the queue or, terminated, at work."""
    asyncio.run(revoke_task(request.id))
