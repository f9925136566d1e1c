"""Whether Redis answers: what a server knows of it, what it tells its clients, and when it tries again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from redis import exceptions
from redis.exceptions import RedisError, ResponseError

from taskstream.errors import BackendUnavailable
from taskstream.redis.connections import RETRY_SECONDS, Answer

OUT_OF_REACH = "Redis is out of reach: try again later."
FULL = "Redis is full: it takes no new task until others are forgotten, or it is given more memory."
REFUSES = "Redis refuses to change anything: the server's log says why."

CLUSTER = "This Redis is a node of a cluster, which is not supported: name a single Redis."

REFUSALS: dict[type[ResponseError] | tuple[type[ResponseError], ...], str] = {
    exceptions.OutOfMemoryError: FULL,
    exceptions.ReadOnlyError: "This Redis is a replica, which takes no changes: name its primary.",
    (exceptions.AskError, exceptions.ClusterDownError): CLUSTER,
    exceptions.NoPermissionError: "Redis forbids this user a command: its access rules (ACL) lack it.",
}
"""What is said of errors that Redis answers."""

SENTINEL = "This is no Redis that runs scripts, perhaps a Sentinel: name the Redis that it watches."

REQUEST_SECONDS = 1.5
"""How long the client of a request is kept waiting for Redis."""

logger = logging.getLogger(__name__)


class Availability:
    """Whether Redis has answered the last time; changes are logged."""

    def __init__(self) -> None:
        self._problem = ""

    @property
    def available(self) -> bool:
        """Whether Redis can be reached; it may refuse changes nevertheless."""
        return self._problem != OUT_OF_REACH

    def record_answer(self) -> None:
        """Note that Redis has answered."""
        if self._problem:
            logger.warning("Redis is available again")
            self._problem = ""

    def record_error(self, error: Exception) -> str:
        """Note that Redis has not answered, or has refused; the sentence that clients are told."""
        if isinstance(error, ResponseError):
            otherwise = SENTINEL if "unknown command" in str(error) else REFUSES
            sentences = (sentence for kind, sentence in REFUSALS.items() if isinstance(error, kind))
            problem = next(sentences, otherwise)
        else:
            problem = OUT_OF_REACH
        if problem != self._problem:
            logger.warning("%s (%s)", problem, error)
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
        self.record_answer()

    async def repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step of the background for ever; what it raises in a row is logged once."""
        logged = ""
        while True:
            try:
                await step()
            except RedisError as error:
                self.record_error(error)
            except Exception as error:
                if logged != (logged := repr(error)):
                    logger.exception("Unexpected error in the background, which goes on")
            else:
                logged = ""
                continue
            await asyncio.sleep(RETRY_SECONDS)


async def retry_until_available(request: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer to a request, however long Redis is out of reach or refuses changes."""
    redis = Availability()
    while True:
        try:
            return await request()
        except RedisError as error:
            redis.record_error(error)
            await asyncio.sleep(RETRY_SECONDS)
