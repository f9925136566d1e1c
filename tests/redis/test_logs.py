"""The logs of tasks in Redis: what holds whoever writes, and however often."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis

from taskstream.redis.logs import KEYS, LEASE_SECONDS, LOG, PAGE, Leases, RedisLogs
from tests.support.backends import RedisServer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as redis:
        yield redis


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        redis.flushall()
        yield redis


def logs_of(url: str, retention_seconds: float = 300) -> RedisLogs:
    return RedisLogs(url, connections=4, history_length=250, retention_seconds=retention_seconds)


@pytest.fixture
async def logs(redis_server: RedisServer, redis: Redis) -> AsyncIterator[RedisLogs]:  # noqa: ARG001 - empty
    logs = logs_of(redis_server.url)
    yield logs
    await logs.close()


async def ids(logs: RedisLogs, task_id: str, position: int = 0) -> list[int]:
    [page] = await logs.read([(task_id, position)])
    return [event_id for event_id, _ in page]


async def test_a_log(logs: RedisLogs) -> None:
    """Events come back as they were appended, from the position that is asked for."""
    assert await logs.latest("a") is None
    assert await logs.create("a", b"one", 10)
    assert await logs.append("a", 2, b"two", "me", last=False)
    assert await logs.append("a", 3, b"three", "me", last=True)
    assert await logs.latest("a") == (3, b"three")
    assert await logs.read([("a", 0), ("b", 0), ("a", 2), ("a", 4)]) == [
        [(1, b"one"), (2, b"two"), (3, b"three")],
        [],
        [(2, b"two"), (3, b"three")],
        [],
    ]


async def test_the_oldest_events_are_trimmed(logs: RedisLogs) -> None:
    """A log is bounded to the event, and read page by page."""
    await logs.create("a", b"1", 10)
    for event_id in range(2, 501):
        await logs.append("a", event_id, b"%d" % event_id, "me", last=False)
    first = await ids(logs, "a")
    assert first == list(range(251, 251 + PAGE))
    assert await ids(logs, "a", first[-1]) == list(range(first[-1], first[-1] + PAGE))


async def test_of_many_last_events_one_wins(logs: RedisLogs) -> None:
    """However many end a task at the same time, it ends once."""
    await logs.create("a", b"1", 10)
    ends = [logs.append("a", 2, b"%d" % number, str(number), last=True) for number in range(50)]
    assert sum(await asyncio.gather(*ends)) == 1
    assert await ids(logs, "a") == [1, 2]
    assert await logs.count() == (1, 0)


async def test_what_is_sent_again_counts_once(logs: RedisLogs) -> None:
    """After a lost reply the same event may be sent again; another's with its id is refused."""
    await logs.create("a", b"1", 10)
    assert await logs.create("a", b"1", 10)
    for _ in range(2):
        assert await logs.append("a", 2, b"2", "me", last=False)
    assert not await logs.append("a", 2, b"2", "somebody else", last=False)
    assert not await logs.append("a", 1, b"1", "somebody else", last=False)
    assert await ids(logs, "a") == [1, 2]


async def test_what_was_forgotten_stays_forgotten(logs: RedisLogs, redis: Redis) -> None:
    """A late writer doesn't bring a log back to life, nor a task that it can't hold."""
    await logs.create("a", b"1", 10)
    await logs.forget("a")
    assert not await logs.append("a", 2, b"2", "me", last=False)
    await logs.create("b", b"1", 10)
    redis.delete(LOG + "b")
    assert not await logs.append("b", 2, b"2", "me", last=False)
    await logs.forget("b")
    assert redis.keys() == []


async def test_places(logs: RedisLogs) -> None:
    """Running tasks fill the registry; of those that have ended, the one that ended first makes room."""
    for task_id in "abc":
        assert await logs.create(task_id, b"1", 3)
    assert not await logs.create("d", b"1", 3)
    for task_id in "ba":
        await logs.append(task_id, 2, b"2", "me", last=True)
    assert await logs.create("d", b"1", 3)
    assert await logs.latest("b") is None
    assert await logs.latest("a") == (2, b"2")
    assert await logs.count() == (3, 2)


async def test_retention(redis_server: RedisServer, redis: Redis) -> None:
    """An ended task counts for its time; its log stays long enough for its end to be read."""
    logs = logs_of(redis_server.url, retention_seconds=0)
    await logs.create("a", b"1", 10)
    await logs.append("a", 2, b"2", "me", last=True)
    assert await logs.count() == (0, 0)
    assert 0 < redis.pttl(LOG + "a") <= 2000
    await logs.sweep()
    assert redis.keys() == [LOG + "a"]
    await logs.close()


async def test_leases(logs: RedisLogs, redis_server: RedisServer, redis: Redis) -> None:
    """Whoever holds a task learns that it has ended; a lease that isn't renewed is found."""
    leases = Leases(redis_server.url)
    assert not leases.renew("a")
    await logs.create("a", b"1", 10)
    assert leases.renew("a")
    assert await logs.sweep() == []
    redis.zincrby(KEYS[2], -LEASE_SECONDS, "a")
    assert await logs.sweep() == ["a"]
    await logs.append("a", 2, b"2", "me", last=True)
    assert await logs.sweep() == []
    assert not leases.renew("a")
    leases.close()


async def test_a_start_broken_off_half_way(logs: RedisLogs, redis: Redis) -> None:
    """A task that was never submitted is forgotten; one that was, or that was begun, isn't."""
    for task_id in "abc":
        await logs.create(task_id, b"1", 10)
    await logs.submitted("b")
    await logs.append("c", 2, b"2", "me", last=False)
    redis.zincrby(KEYS[3], -1000, "a")
    await logs.sweep()
    assert [await logs.latest(task_id) for task_id in "abc"] == [None, (1, b"1"), (2, b"2")]
    assert await logs.count() == (2, 2)
