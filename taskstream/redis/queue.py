"""The Celery application: how servers submit tasks, and how workers take them."""

from typing import Any

from celery import Celery

SETTINGS: dict[str, Any] = {
    "task_ignore_result": True,  # the log is the truth
    # What a worker has fetched but not begun would wait for an hour if it died; so it fetches nothing
    # that it can't begin. Early acknowledgement (Celery's default) then concerns running tasks only,
    # and those are never to be run twice: when their worker dies, they have failed.
    "worker_disable_prefetch": True,
    "worker_prefetch_multiplier": 1,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,  # a worker waits for Redis for as long as it takes
}


def run_name(namespace: str) -> str:
    """The name of the one Celery task, which runs any work."""
    return f"{namespace}.run"


def create_celery(redis_url: str, namespace: str, **settings: object) -> Celery:
    """The Celery application over this Redis, beside the application's own if it has one.

    The queue is called like the namespace.
    """
    celery = Celery(namespace, broker=redis_url, set_as_current=False)
    celery.conf.update(SETTINGS | {"task_default_queue": namespace} | settings)
    return celery
