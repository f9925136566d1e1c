"""Notifications of new events in the logs that a server watches, by Redis' pub/sub.

All subscriptions, one for each log, share one connection.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as ConnectionLost

from taskstream.redis.availability import ANSWER_SECONDS, RECONNECT_SECONDS, answer_to
from taskstream.redis.logs import RedisLogs

SILENCE_SECONDS = 3
"""Seconds without a notification until the connection is checked by a ping."""

CLOSED = (ConnectionLost, RuntimeError)
"""How a closed connection is reported; the second is uvloop's, which redis-py lets through."""


class Notifications:
    """The subscriptions of one server. Raises `RedisError`."""

    def __init__(
        self, logs: RedisLogs, wanted: Collection[str], on_news: Callable[[str, bytes], object]
    ) -> None:
        """`wanted` are the ids of tasks: what is added or taken away counts when `changed` is set.

        `on_news` is called with the id of a task that may have new events, and the notification.
        """
        self.changed = asyncio.Event()
        self._redis, self._prefix = logs.redis, logs.prefix
        self._on_news = on_news
        self._wanted = wanted
        self._subscribed: set[str] = set()
        self._pubsub: PubSub | None = None

    async def listen(self) -> None:
        """Receive notifications, until the connection is lost."""
        async with self._redis.pubsub() as pubsub:
            await answer_to(lambda: pubsub.subscribe(self._prefix))  # to nothing: get_message() needs one
            self._pubsub, self._subscribed = pubsub, set()
            self.changed.set()
            try:
                with suppress(*CLOSED):
                    while message := await self._next_message(pubsub):
                        if message["type"] in ("message", "subscribe"):  # what came before is not notified
                            told = message["data"] if message["type"] == "message" else b""
                            self._on_news(message["channel"].decode().removeprefix(self._prefix), told)
            finally:
                self._pubsub = None
        await asyncio.sleep(RECONNECT_SECONDS)

    async def subscribe(self) -> None:
        """Wait for a change of what is wanted, then subscribe and unsubscribe accordingly."""
        await self.changed.wait()
        self.changed.clear()
        if self._pubsub is None:
            return
        wanted = set(self._wanted)
        new, old, self._subscribed = wanted - self._subscribed, self._subscribed - wanted, wanted
        with suppress(*CLOSED):  # then the next connection subscribes to all
            if new:
                await self._pubsub.subscribe(*(self._prefix + task_id for task_id in new))
            if old:
                await self._pubsub.unsubscribe(*(self._prefix + task_id for task_id in old))

    async def _next_message(self, pubsub: PubSub) -> dict[str, Any] | None:
        """The next message, or `None` if the connection doesn't answer a ping."""
        message = await pubsub.get_message(timeout=SILENCE_SECONDS)
        if message is None:
            await pubsub.ping()
            message = await pubsub.get_message(timeout=ANSWER_SECONDS)
        return message and dict(message)
