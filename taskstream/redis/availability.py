"""Whether Redis answers: what a server knows of it, and what it tells its clients."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from taskstream.errors import BackendUnavailable

OUT_OF_REACH = "Redis is out of reach: try again later."
FULL = "Redis is full: it takes no new task until others are forgotten, or it is given more memory."
REFUSES = "Redis refuses to change anything: the server's log says why."

REQUEST_SECONDS = 1.5
"""How long the client of a request is kept waiting for Redis."""

RETRY_SECONDS = 0.5
"""How long the background waits before it tries again."""

logger = logging.getLogger(__name__)


class Availability:
    """Whether Redis has answered the last time."""

    def __init__(self) -> None:
        self.available = True

    def found(self) -> None:
        """Redis has answered."""
        if not self.available:
            logger.warning("Redis is back")
            self.available = True

    def failed(self, error: Exception) -> str:
        """Redis has not answered, or has said no; in words."""
        if isinstance(error, ResponseError):
            logger.warning("Redis says no: %s", error)
            return FULL if isinstance(error, OutOfMemoryError) else REFUSES
        if self.available:
            logger.warning("Redis is out of reach: %s", error)
            self.available = False
        return OUT_OF_REACH

    @asynccontextmanager
    async def required(self) -> AsyncIterator[None]:
        """Ask Redis, but don't wait for long. Raises `BackendUnavailable`."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                yield
        except (RedisError, TimeoutError) as error:
            raise BackendUnavailable(self.failed(error)) from error
        self.found()

    async def keep(self, doing: Callable[[], Awaitable[None]]) -> None:
        """Do something in the background, again and again, for ever."""
        while True:
            try:
                await doing()
            except RedisError as error:
                self.failed(error)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                logger.exception("This should not happen; carrying on")
                await asyncio.sleep(RETRY_SECONDS)
