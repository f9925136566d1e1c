"""The Celery application, whose workers take tasks from the queue in Redis."""

import logging
import time
from functools import cached_property
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.apps.worker import Worker
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from celery.worker.state import maybe_shutdown
from kombu import Connection, Queue
from kombu.transport.redis import Transport
from redis import Redis
from redis.exceptions import OutOfMemoryError, ResponseError

from taskstream.redis.connections import CONNECT_SECONDS, KEEPALIVE
from taskstream.redis.messages import QUEUE

HEALTH_SECONDS = 4
"""How often a worker looks whether its connections still answer; a dead one is noticed the second time."""

ANSWER_SECONDS = 5
"""How long a worker's connection waits for an answer; kombu has Redis wait 1 s for a message."""

RETRY_SECONDS = 1
"""How often a worker asks whether Redis takes changes, which kombu makes while it connects."""

SETTINGS: dict[str, Any] = {
    "task_ignore_result": True,  # the log is the truth
    "task_default_queue": QUEUE,
    # Unacknowledged: kombu's own records of what was fetched would need memory that Redis may not have, and
    # could tell nothing of a message that was lost before; a sweep finds both.
    "task_queues": [Queue(QUEUE, no_ack=True)],
    "worker_disable_prefetch": True,  # what one worker can't begin is for another
    "worker_prefetch_multiplier": 1,
    "worker_consumer": f"{__name__}:PatientConsumer",
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,  # a worker waits for Redis for as long as it takes
}

TRANSPORT: dict[str, Any] = {
    "socket_connect_timeout": CONNECT_SECONDS,
    "socket_timeout": ANSWER_SECONDS,
    "socket_keepalive": True,
    "socket_keepalive_options": KEEPALIVE,
    "health_check_interval": HEALTH_SECONDS,
    "unacked_restore_interval": 3600,  # there are none
}

logger = logging.getLogger(__name__)


class UnacknowledgedRequest(Request):
    """What a worker knows of a message that has nothing to be acknowledged."""

    def acknowledge(self) -> None:
        """Leave Redis alone, which may be full."""
        self.acknowledged = True


class PatientTransport(Transport):
    """kombu's, but a Redis that takes no changes is one that may take some later.

    It is full, or can't write to its disk, or has become a replica. To kombu that is a mistake in the
    program: a worker would end for good.
    """

    connection_errors = (*Transport.connection_errors, ResponseError)


class PatientConnection(Connection):
    """One that has this transport, whatever its URL."""

    def get_transport_cls(self) -> type[Transport]:
        """The class of the transport."""
        return PatientTransport


class PatientAMQP(AMQP):
    """What makes the connections of an application."""

    Connection = PatientConnection


class PatientConsumer(Consumer):
    """What connects a worker to the queue, as soon as Redis takes changes."""

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect, however long Redis is out of reach, or takes no changes."""
        connection = super().ensure_connected(conn)
        channel: Any = connection.default_channel
        self._wait_for_changes(channel.client)
        return connection

    def _wait_for_changes(self, redis: Redis) -> None:
        """Return when Redis takes changes, which kombu is about to make; the log says once why it waits."""
        waiting = False
        while refusal := refusal_of(redis, self.app.main):
            if not waiting:
                logger.warning("%s: this worker waits until that is over", refusal)
                waiting = True
            time.sleep(RETRY_SECONDS)
            maybe_shutdown()


def refusal_of(redis: Redis, namespace: str) -> str:
    """Why Redis takes no changes, in words; nothing if it does."""
    try:
        redis.setrange(f"{namespace}:probe", 0, "")  # which changes nothing
    except OutOfMemoryError:
        return "Redis is full"
    except ResponseError as error:
        return f"Redis takes no changes ({str(error).rstrip('.')})"
    return ""


class QuietWorker(Worker):
    """A worker that has nothing to say to other workers; with `--task-events` it talks, for Flower."""

    def prepare_args(self, **options: object) -> dict[str, object]:
        """The options of the command line, with that added."""
        quiet = dict.fromkeys(("without_gossip", "without_mingle", "without_heartbeat"), True)
        return options if options.get("task_events") else {**options, **quiet}


class TaskCelery(Celery):
    """A Celery application whose workers are quiet and patient."""

    amqp_cls = f"{__name__}:{PatientAMQP.__name__}"

    @cached_property
    def Worker(self) -> type[Worker]:  # noqa: N802 - Celery's name
        """The class of its workers."""
        worker: type[Worker] = self.subclass_with_self(QuietWorker)
        return worker


def create_celery(redis_url: str, namespace: str) -> Celery:
    """The Celery application over this Redis, beside the application's own if it has one.

    All of its keys and channels begin with the namespace.
    """
    celery = TaskCelery(namespace, broker=redis_url, set_as_current=False)
    celery.conf.update(SETTINGS)
    celery.conf.broker_transport_options = {**TRANSPORT, "global_keyprefix": f"{namespace}:"}
    return celery
