"""The Celery application, whose workers take tasks from the queue in Redis."""

from functools import cached_property
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.apps.worker import Worker
from celery.worker.request import Request
from kombu import Connection, Queue
from kombu.transport.redis import Transport
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from taskstream.redis.connections import CONNECT_SECONDS, KEEPALIVE
from taskstream.redis.messages import QUEUE

HEALTH_SECONDS = 4
"""How often a worker looks whether its connections still answer; a dead one is noticed the second time."""

ANSWER_SECONDS = 5
"""How long a worker's connection waits for an answer; kombu has Redis wait 1 s for a message."""

SETTINGS: dict[str, Any] = {
    "task_ignore_result": True,  # the log is the truth
    "task_default_queue": QUEUE,
    # Unacknowledged: kombu's own records of what was fetched would need memory that Redis may not have, and
    # could tell nothing of a message that was lost before; a sweep finds both.
    "task_queues": [Queue(QUEUE, no_ack=True)],
    "worker_disable_prefetch": True,  # what one worker can't begin is for another
    "worker_prefetch_multiplier": 1,
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


class UnacknowledgedRequest(Request):
    """What a worker knows of a message that has nothing to be acknowledged."""

    def acknowledge(self) -> None:
        """Leave Redis alone, which may be full."""
        self.acknowledged = True


class PatientTransport(Transport):
    """kombu's, but a Redis that is full, or no longer the primary, is one that may be back later.

    To kombu it is a mistake in the program: a worker that connected meanwhile would end for good.
    """

    connection_errors = (*Transport.connection_errors, OutOfMemoryError, ReadOnlyError)


class PatientConnection(Connection):
    """One that has this transport, whatever its URL."""

    def get_transport_cls(self) -> type[Transport]:
        """The class of the transport."""
        return PatientTransport


class PatientAMQP(AMQP):
    """What makes the connections of an application."""

    Connection = PatientConnection


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
