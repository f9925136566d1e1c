"""Leases: how servers learn that a worker has died, and workers that their task has ended elsewhere."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError

from taskstream.redis import scripts
from taskstream.redis.availability import Availability
from taskstream.redis.connections import CONNECTION_OPTIONS
from taskstream.redis.logs import LEASE_SECONDS

RENEW_SECONDS = 1
"""How often a worker renews a lease, and learns whether its task has been cancelled."""


class Leases:
    """The leases that a worker has on the tasks that it runs."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        self._prefix = f"{namespace}:"
        self._availability = Availability()
        redis = Redis.from_url(redis_url, **CONNECTION_OPTIONS)
        self._script = redis.register_script(scripts.source())

    def renew(self, task_id: str) -> bool:
        """Renew a lease; whether the task still has to be run. Raises `RedisError`."""
        return bool(self._script([self._prefix], ["renew", task_id, LEASE_SECONDS]))

    @contextmanager
    def hold(self, task_id: str, on_end: Callable[[], object]) -> Iterator[None]:
        """Renew a lease while entered. `on_end` is called in the event loop if the task ends elsewhere.

        In a thread, because work may block the event loop for longer than a lease lasts.
        """
        loop = asyncio.get_running_loop()
        done = threading.Event()

        def keep_renewing() -> None:
            while self._has_to_run(task_id):
                if done.wait(RENEW_SECONDS):
                    return
            loop.call_soon_threadsafe(on_end)

        thread = threading.Thread(target=keep_renewing, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _has_to_run(self, task_id: str) -> bool:
        """Whether a task has to be run as far as is known: while Redis is out of reach, it does."""
        try:
            has_to_run = self.renew(task_id)
        except RedisError as error:
            self._availability.record_error(error)
            return True
        self._availability.record_answer()
        return has_to_run
