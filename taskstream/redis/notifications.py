"""What tells a server that there is something new in the logs that it watches (Redis' pub/sub).

One subscription for each log, over one connection: a server that watches nothing is told nothing.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as ConnectionLost

from taskstream.redis.connections import ANSWER_SECONDS

SILENCE_SECONDS = 3
"""Without a notification, after which the connection is asked for a sign of life."""

AGAIN_SECONDS = 0.1
"""How soon a lost connection is replaced."""

CLOSED = (ConnectionLost, RuntimeError)
"""What is raised for a lost connection; the second by uvloop, and redis-py lets it through."""


class Notifications:
    """The subscriptions of one server, and what keeps them. Raises `RedisError`."""

    def __init__(self, redis: Redis, prefix: str, on_news: Callable[[str], object]) -> None:
        """`on_news` is called with the id of a task: when something is new, or may have been missed."""
        self._redis = redis
        self._prefix = prefix
        self._on_news = on_news
        self._wanted: set[str] = set()
        self._subscribed: set[str] = set()
        self._pubsub: PubSub | None = None
        self._changed = asyncio.Event()

    def watch(self, task_id: str) -> None:
        """Subscribe to a log, soon."""
        self._wanted.add(task_id)
        self._changed.set()

    def forget(self, task_id: str) -> None:
        """Unsubscribe, soon."""
        self._wanted.discard(task_id)
        self._changed.set()

    async def listen(self) -> None:
        """Receive notifications, until the connection is lost."""
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(self._prefix)  # for nothing, as there has to be one subscription
            self._pubsub, self._subscribed = pubsub, set()
            self._changed.set()
            try:
                with suppress(*CLOSED):
                    while message := await self._next_message(pubsub):
                        self._take(message)
            finally:
                self._pubsub = None
        await asyncio.sleep(AGAIN_SECONDS)

    async def subscribe(self) -> None:
        """Subscribe to what is wanted, and only that, once that changes."""
        await self._changed.wait()
        self._changed.clear()
        if self._pubsub is None:
            return
        new, old = self._wanted - self._subscribed, self._subscribed - self._wanted
        self._subscribed = set(self._wanted)
        with suppress(*CLOSED):  # all are subscribed to over the next one
            if new:
                await self._pubsub.subscribe(*(self._prefix + task_id for task_id in new))
            if old:
                await self._pubsub.unsubscribe(*(self._prefix + task_id for task_id in old))

    async def _next_message(self, pubsub: PubSub) -> dict[str, Any] | None:
        """The next message, or `None` if the connection has gone silent."""
        if message := await pubsub.get_message(timeout=SILENCE_SECONDS):
            return dict(message)
        await pubsub.ping()
        message = await pubsub.get_message(timeout=ANSWER_SECONDS)
        return message and dict(message)

    def _take(self, message: dict[str, Any]) -> None:
        """A notification; or the word that a subscription counts from here on, so look once more."""
        if message["type"] in ("message", "subscribe"):
            self._on_news(message["channel"].decode().removeprefix(self._prefix))
