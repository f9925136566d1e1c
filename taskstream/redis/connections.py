"""Connections to Redis: how long it is waited for, and what becomes of a request that is cut off."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError
from redis.retry import Retry

CONNECT_SECONDS = 1
ANSWER_SECONDS = 1
"""How long a connection, or an answer, is waited for."""

KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}
"""When the system presumes a silent connection dead: after some 11 s."""

Answer = TypeVar("Answer")


def connection_options() -> dict[str, Any]:
    """How long Redis is waited for. Who tries again does so where it is known what for."""
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
        "retry": Retry(NoBackoff(), 0),
    }


async def once_more(redis: Redis, request: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer to a request, sent again at once if its connection was lost: all may be sent twice.

    Raises `RedisError`.
    """
    try:
        return await request()
    except (ConnectionLost, RuntimeError):
        # The others may be lost as well: then Redis was restarted, or has closed all of them.
        with suppress(RedisError, OSError, RuntimeError):
            await redis.connection_pool.disconnect(inuse_connections=False)
    try:
        return await request()
    except RuntimeError as error:  # uvloop's word for a closed connection, which redis-py lets through
        raise ConnectionLost(str(error)) from error
