"""Leases: how servers learn that a worker has died, and workers that their task has ended elsewhere."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError

from taskstream.redis.availability import Availability
from taskstream.redis.connections import ANSWER_SECONDS, CONNECTION_OPTIONS, script
from taskstream.redis.logs import LEASE_SECONDS

RENEW_SECONDS = 1
"""How often a worker renews a lease, and learns whether its task has been cancelled."""


class Leases:
    """The leases that a worker has on the tasks that it runs."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        self._prefix = f"{namespace}:"
        self._availability = Availability()
        redis = Redis.from_url(redis_url, **CONNECTION_OPTIONS | {"socket_timeout": ANSWER_SECONDS})
        self._script = redis.register_script(script("keys", "commands"))

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
            has_to_run = True
            while has_to_run and not done.is_set():
                try:
                    has_to_run = self.renew(task_id)
                    self._availability.record_answer()
                except RedisError as error:  # as far as is known, it has to
                    self._availability.record_error(error)
                done.wait(RENEW_SECONDS if has_to_run else 0)
            if not has_to_run:
                loop.call_soon_threadsafe(on_end)

        thread = threading.Thread(target=keep_renewing, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
