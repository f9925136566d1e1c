"""The Celery application, whose workers take tasks from the queue in Redis."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

from billiard.pool import soft_timeout_sighandler
from celery import Celery
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from celery.worker.state import maybe_shutdown
from kombu import Connection, Queue
from kombu.transport.redis import Channel, Transport
from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from taskstream.events import TaskStatus
from taskstream.redis.availability import ANSWER_SECONDS, RETRY_SECONDS
from taskstream.redis.messages import QUEUE, key_prefix

SETTINGS: dict[str, Any] = {
    "task_ignore_result": True,  # results are in the logs
    "task_default_queue": QUEUE,
    # Unacknowledged: kombu's own records of what was fetched would need memory that Redis may not have, and
    # don't know of a message that was lost on its way to the worker; a sweep finds both.
    "task_queues": [Queue(QUEUE, no_ack=True)],
    "worker_disable_prefetch": True,  # what one worker can't begin is for another
    "worker_prefetch_multiplier": 1,
    "worker_consumer": f"{__name__}:TaskConsumer",
    "broker_transport": f"{__name__}:RetryingTransport",
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,  # without a limit
}

TRANSPORT_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": ANSWER_SECONDS,
    "socket_timeout": 5,  # longer than kombu has Redis wait for a message, which is 1 s
    "health_check_interval": 4,  # a dead connection is noticed at the second check
    "unacked_restore_interval": 3600,  # there is nothing to restore
}

PRESENT_SECONDS = 8
"""How long a worker that says nothing is taken to be there."""

logger = logging.getLogger(__name__)


class WorkRequest(Request):
    """A message that a worker has taken from the queue, and which need not be acknowledged."""

    def info(self, safe: bool = False) -> Any:  # noqa: ANN401, ARG002 - Celery's
        """What `celery inspect` shows: without the parameters, some of which may be secret."""
        return super().info(safe=True)

    def acknowledge(self) -> None:
        """Write nothing to Redis, which may be full."""
        self.acknowledged = True

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Have the task end whose process is killed because of its hard time limit."""
        super().on_timeout(soft, timeout)
        if not soft:
            end = self.task.end  # type: ignore[attr-defined]  # see Worker
            message = f"It took longer than its time limit of {timeout:g} s"
            asyncio.run(end(self.id, TaskStatus.FAILURE, message))


def is_process_of_pool() -> bool:
    """Whether this is a process of a `prefork` pool, and not the worker itself."""
    return signal.getsignal(signal.SIGUSR1) is soft_timeout_sighandler


@contextmanager
def on_soft_time_limit(call: Callable[[], object]) -> Iterator[None]:
    """While entered, call this in the event loop when Celery says by a signal that work takes too long.

    Celery's own handler raises an exception wherever the loop happens to be.
    """
    if not is_process_of_pool():
        yield  # there is no such limit
        return
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(call))
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, soft_timeout_sighandler)


class TolerantChannel(Channel):
    """kombu's channel, for which a worker neither ends nor connects anew where it need not."""

    def _receive(self) -> object:
        try:
            return super()._receive()  # type: ignore[misc]
        except Transport.connection_errors:
            # Of these subscriptions, which carry Celery's commands. A worker that connected anew would lose
            # the task that Redis hands at this moment to the connection on which it waits for one.
            self.subclient.connection.disconnect()
            return False

    def _brpop_read(self, **options: object) -> object:
        """Drop what is in the queue but is no message."""
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            logger.error("Something in the queue is no message of Celery's, and was dropped: %r", error)  # noqa: TRY400 - a sentence
            return True


class RetryingTransport(Transport):
    """kombu's transport, which connects again when Redis refuses a change.

    Redis is full, can't write to its disk, or has become a replica. kombu takes that for a mistake in the
    program, and its worker would end.
    """

    Channel = TolerantChannel
    connection_errors = (*Transport.connection_errors, ResponseError)


class TaskConsumer(Consumer):
    """Connects a worker to its queue, once Redis accepts changes, and without gossip between workers."""

    def __init__(self, on_task_request: Callable[..., Any], *, task_events: bool, **options: Any) -> None:  # noqa: ANN401 - Celery's own
        if getattr(options.get("pool"), "is_green", False):
            raise SystemExit("gevent and eventlet can't run asyncio: take prefork, threads or solo.")
        if not task_events:  # which are for Flower, and it wants to hear of the workers too
            options |= dict.fromkeys(("without_gossip", "without_mingle", "without_heartbeat"), True)
        super().__init__(on_task_request, task_events=task_events, **options)
        Thread(target=self._keep_present, daemon=True).start()

    def _keep_present(self) -> None:
        """Have servers know that there is a worker."""
        redis = Redis.from_url(self.app.conf.broker_url, socket_timeout=PRESENT_SECONDS)
        while True:
            with suppress(RedisError):
                redis.set(f"{self.app.main}:worker", "", ex=PRESENT_SECONDS)
            time.sleep(PRESENT_SECONDS / 4)

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect once Redis accepts the changes that kombu makes then; log once why it waits."""
        connection = super().ensure_connected(conn)
        channel: Any = connection.default_channel
        waiting = False
        while True:
            try:
                channel.client.setrange(f"{self.app.main}:probe", 0, "")  # which changes nothing
            except ResponseError as error:
                if not waiting:
                    full = isinstance(error, OutOfMemoryError)
                    reason = "Redis is full" if full else f"Redis refuses changes ({error})"
                    logger.warning("%s: this worker waits until that is over", reason)
                    waiting = True
            else:
                return connection
            time.sleep(RETRY_SECONDS)
            maybe_shutdown()


def create_celery(redis_url: str, namespace: str) -> Celery:
    """A Celery application over this Redis, which is not made the current one.

    All of its keys and channels begin with the namespace.
    """
    celery = Celery(namespace, broker=redis_url, set_as_current=False)
    celery.conf.update(SETTINGS)
    celery.conf.broker_transport_options = {**TRANSPORT_OPTIONS, "global_keyprefix": key_prefix(namespace)}
    return celery
