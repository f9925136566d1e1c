"""Whether Redis answers: what a server knows of it, and what it tells its clients."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from taskstream.errors import BackendUnavailable

OUT_OF_REACH = "Redis is out of reach: try again later."

REQUEST_SECONDS = 1.5
"""How long the client of a request is kept waiting for Redis."""

RETRY_SECONDS = 0.5
"""How long the background waits before it tries again."""

logger = logging.getLogger(__name__)


class Availability:
    """Whether Redis has answered the last time, and since when it has."""

    def __init__(self) -> None:
        self.available = True
        self._since = asyncio.get_running_loop().time()

    @property
    def seconds(self) -> float:
        """For how long Redis has been answering."""
        return asyncio.get_running_loop().time() - self._since if self.available else 0

    def found(self) -> None:
        """Redis has answered."""
        if not self.available:
            logger.warning("Redis is back")
            self.available = True
            self._since = asyncio.get_running_loop().time()

    def lost(self, error: Exception) -> None:
        """Redis has not answered."""
        if self.available:
            logger.warning("Redis is out of reach: %s", error)
            self.available = False

    def check(self) -> None:
        """Raise `BackendUnavailable` if Redis has not answered the last time."""
        if not self.available:
            raise BackendUnavailable(OUT_OF_REACH)

    @asynccontextmanager
    async def required(self) -> AsyncIterator[None]:
        """Ask Redis, but don't wait for long. Raises `BackendUnavailable`."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                yield
        except (RedisError, OperationalError, TimeoutError) as error:
            self.lost(error)
            raise BackendUnavailable(OUT_OF_REACH) from error
        self.found()

    async def keep(self, doing: Callable[[], Awaitable[None]]) -> None:
        """Do something in the background, again and again, for ever."""
        while True:
            try:
                await doing()
            except (RedisError, BackendUnavailable) as error:
                self.lost(error)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                logger.exception("This should not happen; carrying on")
                await asyncio.sleep(RETRY_SECONDS)
