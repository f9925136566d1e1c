"""Leases: how servers learn that a worker has died, and workers that their task has ended elsewhere."""

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from taskstream.redis.connections import connection_options
from taskstream.redis.logs import LEASE_SECONDS, Keys
from taskstream.redis.preamble import PREAMBLE
from taskstream.redis.scripts import RENEW

RENEW_SECONDS = 1
"""How often a worker says that it is alive, and learns whether its task has been cancelled."""

logger = logging.getLogger(__name__)


class Leases:
    """The leases that workers hold on the tasks they run; for threads."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        self._keys = Keys(namespace)
        self._redis = Redis.from_url(redis_url, **connection_options())
        self._renew = self._redis.register_script(PREAMBLE + RENEW)

    def renew(self, task_id: str) -> bool:
        """Hold a task for some more time; whether it still has to be run. Raises `RedisError`."""
        return bool(self._renew(self._keys.all, (task_id, LEASE_SECONDS)))

    def hold(self, task_id: str) -> bool:
        """The same, but as far as one knows: while Redis is out of reach, a task has to be run."""
        try:
            return self.renew(task_id)
        except RedisError as error:
            logger.warning("A lease can't be renewed: %s", error)
            return True

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()


class Lease:
    """Says that a task is being run, while entered, and learns whether it has ended elsewhere.

    In a thread, because work may keep the event loop busy for longer than a lease lasts.
    """

    def __init__(self, leases: Leases, task_id: str, on_end: Callable[[], object]) -> None:
        self._hold = partial(leases.hold, task_id)
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
        while self._hold():
            if self._left.wait(RENEW_SECONDS):
                return
        self._tell()
