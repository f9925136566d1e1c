"""A Redis, and what speaks to it, for tests without servers and workers."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis

from taskstream.redis.logs import RedisLogs
from taskstream.settings import Settings
from tests.support.backends import RedisServer

NAMESPACE = "test"


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as redis:
        yield redis


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Redis]:
    """A connection to an empty Redis."""
    with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        redis.flushall()
        yield redis


def logs_of(url: str, **settings: float) -> RedisLogs:
    return RedisLogs(
        Settings(redis_url=url, **{"history_length": 250, **settings}), NAMESPACE, connections=4
    )


@pytest.fixture
async def logs(redis_server: RedisServer, client: Redis) -> AsyncIterator[RedisLogs]:  # noqa: ARG001 - empty
    logs = logs_of(redis_server.url)
    yield logs
    await logs.close()
