"""Whether Redis answers: how long it is waited for, when it is asked again, and what clients are told."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from redis import exceptions
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost, RedisError, ResponseError
from redis.retry import Retry

from taskstream.errors import BackendUnavailable

ANSWER_SECONDS = 1
"""How long an answer of Redis is waited for."""

RECONNECT_SECONDS = 0.1
"""How long after a connection was lost it is replaced."""

RETRY_SECONDS = 0.5
"""How long a worker, or the background of a server, waits between attempts while Redis is out of reach."""

CONNECTION_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": ANSWER_SECONDS,
    "socket_timeout": ANSWER_SECONDS,
    "retry": Retry(NoBackoff(), 0),  # callers know what may be sent again, and for how long
}
"""Of the connections of our own; Celery has others."""

OUT_OF_REACH = "Redis is out of reach: try again later."
REFUSED = "Redis refuses the user or the password in its URL."

PROBLEMS: dict[type[Exception] | tuple[type[Exception], ...], str] = {
    exceptions.AuthenticationError: REFUSED,
    exceptions.OutOfMemoryError: "Redis is full: it takes no new task until others are forgotten.",
    exceptions.ReadOnlyError: "This Redis is a replica, which takes no changes: name its primary.",
    (exceptions.AskError, exceptions.ClusterDownError): (
        "This Redis is a node of a cluster, which is not supported: name a single Redis."
    ),
    exceptions.NoPermissionError: (
        "Redis forbids this user a command or a key: its access rules (ACL) lack it."
    ),
    ResponseError: "Redis refuses to change anything: the server's log says why.",
    Exception: OUT_OF_REACH,
}
"""What is said of errors: of the first kind that fits."""
SENTINEL = "This is no Redis that runs scripts, perhaps a Sentinel: name the Redis that it watches."

REQUEST_SECONDS = 1.5
"""How long the client of a request is kept waiting for Redis."""

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


class Availability:
    """Whether Redis has answered the last time; changes are logged."""

    def __init__(self) -> None:
        self._problem = ""

    @property
    def available(self) -> bool:
        """Whether Redis can be reached; it may refuse changes nevertheless."""
        return self._problem not in (OUT_OF_REACH, REFUSED)

    def record_answer(self) -> None:
        """Note that Redis has answered."""
        if self._problem:
            logger.warning("Redis is available again")
            self._problem = ""

    def record_error(self, error: Exception) -> str:
        """Note that Redis has not answered, or has refused; the sentence that clients are told."""
        problem = next(sentence for kind, sentence in PROBLEMS.items() if isinstance(error, kind))
        if "unknown command" in str(error):
            problem = SENTINEL
        if problem != self._problem:
            logger.warning("%s (%s)", problem, str(error) or type(error).__name__)
            self._problem = problem
        return problem

    @asynccontextmanager
    async def required(self) -> AsyncIterator[None]:
        """Wait for Redis no longer than the client of a request would. Raises `BackendUnavailable`."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                yield
        except (RedisError, TimeoutError) as error:
            raise BackendUnavailable(self.record_error(error)) from error

    async def repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step of the background for ever; what it raises in a row is logged once."""
        logged = ""
        while True:
            try:
                await step()
                logged = ""
                continue
            except RedisError as error:
                self.record_error(error)
            except Exception as error:
                if logged != (logged := repr(error)):
                    logger.exception("Unexpected error in the background, which goes on")
            await asyncio.sleep(RETRY_SECONDS)

    async def retry(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a request, however long Redis is out of reach or refuses changes."""
        while True:
            try:
                return await request()
            except RedisError as error:
                self.record_error(error)
            await asyncio.sleep(RETRY_SECONDS)


async def answer_to(request: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer to a request. Raises `RedisError`, also if it takes more than `ANSWER_SECONDS`."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await request()
    except TimeoutError as error:
        raise exceptions.TimeoutError(f"No answer within {ANSWER_SECONDS} s") from error
    except RuntimeError as error:  # how uvloop reports a closed connection; redis-py lets it through
        raise ConnectionLost(str(error)) from error
