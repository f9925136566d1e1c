"""Run tasks in Celery workers, on as many machines as you like, with their logs in Redis.

    TASKSTREAM_REDIS_URL=redis://localhost celery -A app:celery worker

The work, and the life of a task, are the same as in one process; its events go to Redis.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial

import uvloop
from celery import Task as CeleryTask, signals
from celery.app.task import Context
from celery.exceptions import WorkerTerminate
from pydantic import ValidationError
from redis import Redis
from redis.exceptions import RedisError

from taskstream.errors import InvalidParameters, explain, log_failure
from taskstream.events import TaskStatus
from taskstream.redis.availability import CONNECTION_OPTIONS, Availability
from taskstream.redis.delivery import Delivery, end_task, find_task
from taskstream.redis.logs import COMMANDS, RedisLogs, script
from taskstream.redis.messages import key_prefix, run_name
from taskstream.redis.queue import WorkRequest, create_celery, is_process_of_pool, on_soft_time_limit
from taskstream.running import Running, home_of_work
from taskstream.tasks import Task
from taskstream.threads import WorkThreads
from taskstream.updates import Updates, WorkError

RENEW_SECONDS = 1
"""How often a worker renews a lease, and learns whether its task has been cancelled."""

STOP_SECONDS = 1
"""How long work may go on to its next report when it has reached its soft time limit."""

ANOTHER_VERSION = "The worker has another version of this work than the server"


class Leases:
    """Leases on the tasks of a worker: without one a task is lost; who renews one hears of its end."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        self._prefix = key_prefix(namespace)
        self._availability = Availability()
        redis = Redis.from_url(redis_url, **CONNECTION_OPTIONS)
        self._script = redis.register_script(script(*COMMANDS))

    def renew(self, task_id: str) -> bool:
        """Renew a lease; whether the task still has to be run. Raises `RedisError`."""
        return bool(self._script([self._prefix], ["renew", task_id]))

    @contextmanager
    def hold(self, task_id: str, on_end: Callable[[], object]) -> Iterator[None]:
        """Renew a lease while entered. `on_end` is called in the event loop if the task ends elsewhere.

        In a thread, because work may block the event loop for longer than a lease lasts.
        """
        loop = asyncio.get_running_loop()
        done = threading.Event()

        def keep_renewing() -> None:
            while not done.is_set():
                try:
                    if not self.renew(task_id):
                        loop.call_soon_threadsafe(on_end)
                        return
                    self._availability.record_answer()
                except RedisError as error:  # as far as is known, it has to be run
                    self._availability.record_error(error)
                done.wait(RENEW_SECONDS)

        thread = threading.Thread(target=keep_renewing, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


class Worker:
    """The Celery application, whose one task runs any work of an application."""

    def __init__(self, tasks: Running) -> None:
        self._tasks = tasks
        self._settings = tasks.settings
        self._namespace = namespace = tasks.namespace
        redis_url = tasks.settings.redis_url or ""
        self._leases = Leases(redis_url, namespace)
        self.celery = create_celery(redis_url, namespace)

        @self.celery.task(name=run_name(namespace), bind=True, Request=WorkRequest, end=self._end)
        def run(celery_task: "CeleryTask[..., None]", work: str, parameters: str) -> None:
            """Run some work; Celery's task id is the task's."""
            self._run_in_loop(str(celery_task.request.id), work, parameters)

        @signals.task_revoked.connect(weak=False)
        def end_revoked(sender: "CeleryTask[..., None]", request: Context, **_: object) -> None:
            """End a task that Celery or Flower revoked: in the queue or, if terminated, while it runs."""
            if sender.app is self.celery:  # the signal is that of all applications
                asyncio.run(self._end(str(request.id), TaskStatus.REVOKED, "Cancelled"))

    def _run_in_loop(self, task_id: str, work_name: str, json_parameters: str) -> None:
        """Run a task in an event loop of its own, which an exit in an asyncio task of its work ends."""
        try:
            uvloop.run(self._run(task_id, work_name, json_parameters))
        except (SystemExit, KeyboardInterrupt) as error:
            if isinstance(error, WorkerTerminate) or is_process_of_pool():
                raise  # which may have been told to end, and is replaced; the place in another pool isn't
            log_failure(f"Task {task_id} failed", error)
            asyncio.run(self._end(task_id, TaskStatus.FAILURE, explain(error)))

    async def _run(self, task_id: str, work_name: str, json_parameters: str) -> None:
        """Run a task, unless it has begun or ended already."""
        async with aclosing(RedisLogs(self._settings, self._namespace)) as logs:
            task = await logs.availability.retry(partial(find_task, logs, task_id))
            if task is None or task.snapshot.status is not TaskStatus.PENDING:
                return  # forgotten, cancelled, or begun by another worker
            async with self._tasks.at_home() as home:
                home_of_work.set(home)
                await self._run_pending(task, logs, work_name, json_parameters)

    async def _run_pending(self, task: Task, logs: RedisLogs, work_name: str, json_parameters: str) -> None:
        threads = WorkThreads(1)
        delivery = Delivery(task, logs)

        async def begin() -> Updates:
            try:
                work = self._tasks.works.get(work_name)
                parameters = work.from_json(json_parameters)
            except InvalidParameters as error:
                raise WorkError(f"{ANOTHER_VERSION} ({error})") from error
            except ValidationError as error:
                wrong = InvalidParameters(error.errors(), "body")
                raise WorkError(f"{ANOTHER_VERSION} ({wrong})") from error
            return await work.begin(parameters, threads)

        running = asyncio.create_task(task.run(begin, delivery.next, self._settings.output_queue_length))
        delivering = asyncio.create_task(delivery.run(running.cancel))

        def end_at_soft_time_limit() -> None:
            delivering.cancel()  # the end is told when the work has stopped
            task.publish(TaskStatus.FAILURE, "It took longer than its soft time limit")
            asyncio.get_running_loop().call_later(STOP_SECONDS, running.cancel)

        lease = self._leases.hold(task.task_id, on_end=running.cancel)
        with lease, on_soft_time_limit(end_at_soft_time_limit):
            await asyncio.wait([running])
            await delivery.flush()
        delivering.cancel()
        await threads.join()

    async def _end(self, task_id: str, status: TaskStatus, message: str) -> None:
        """End a task that has not ended."""
        async with aclosing(RedisLogs(self._settings, self._namespace)) as logs:
            await logs.availability.retry(partial(end_task, logs, task_id, status, message))
