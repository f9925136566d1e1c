"""Whether Redis answers: what a server knows of it, what it tells its clients, and when it tries again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from taskstream.errors import BackendUnavailable
from taskstream.redis.connections import RETRY_SECONDS, Answer

OUT_OF_REACH = "Redis is out of reach: try again later."
FULL = "Redis is full: it takes no new task until others are forgotten, or it is given more memory."
REFUSES = "Redis refuses to change anything: the server's log says why."

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
            problem = FULL if isinstance(error, OutOfMemoryError) else REFUSES
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
        """Repeat a step of the background for ever, whatever it raises."""
        while True:
            try:
                await step()
            except RedisError as error:
                self.record_error(error)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                logger.exception("Unexpected error in the background, which goes on")
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
