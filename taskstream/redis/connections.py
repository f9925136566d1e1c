"""Connections to Redis: how long it is waited for, when a request is sent again; and its scripts."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost, RedisError, TimeoutError as TimedOut
from redis.retry import Retry

ANSWER_SECONDS = 1
"""How long an answer of Redis is waited for."""

RECONNECT_SECONDS = 0.1
"""How long after a connection was lost it is replaced."""

RETRY_SECONDS = 0.5
"""How long a worker, or the background of a server, waits between attempts while Redis is out of reach."""

SOCKET_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 1,
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, name): value
        for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    },
}
"""Of all connections: the system presumes a silent one dead after some 11 s."""

CONNECTION_OPTIONS: dict[str, Any] = {
    **SOCKET_OPTIONS,
    "socket_timeout": None,  # redis-py would make an asyncio task for each request: see `answer_to`
    "retry": Retry(NoBackoff(), 0),  # callers know what may be sent again, and for how long
}
"""Of the connections of our own; Celery has others."""

Answer = TypeVar("Answer")


def check_namespace(namespace: str) -> None:
    """Raise `ValueError` if keys of this namespace could be those of another one."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", namespace):
        raise ValueError(f"The namespace {namespace!r} may have letters, digits, '_', '.' and '-' only.")


def script(*names: str) -> str:
    """The Lua in some files, as one script, whose one key is the namespace with a colon."""
    return "".join((files(__package__) / f"{name}.lua").read_text(encoding="utf-8") for name in names)


async def retry_once(redis: Redis, request: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer to a request that may be sent twice: again at once if its connection was lost.

    Raises `RedisError`.
    """
    try:
        return await answer_to(request)
    except ConnectionLost:
        # Idle connections may be lost too: Redis was restarted, or has closed all of them.
        with suppress(RedisError, OSError, RuntimeError):
            await redis.connection_pool.disconnect(inuse_connections=False)
    return await answer_to(request)


async def answer_to(request: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer to a request. Raises `RedisError`, also if it takes more than `ANSWER_SECONDS`."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await request()
    except TimeoutError as error:
        raise TimedOut(f"No answer within {ANSWER_SECONDS} s") from error
    except RuntimeError as error:  # how uvloop reports a closed connection; redis-py lets it through
        raise ConnectionLost(str(error)) from error
