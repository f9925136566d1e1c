"""What can happen to Redis: no room, a restart, less data, lost connections, and what others write."""

import asyncio
import math
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from redis.exceptions import RedisError

from benchmarks.chaos.cluster import NAMESPACE
from benchmarks.chaos.history import What
from benchmarks.chaos.scene import Scene

SET_BACK = """
for _, times in ipairs({KEYS[1] .. 'leases', KEYS[1] .. 'due'}) do
    for _, task in ipairs(redis.call('ZRANGE', times, 0, -1)) do
        redis.call('ZINCRBY', times, 3600, task)
    end
end
for _, field in ipairs(redis.call('HKEYS', KEYS[1] .. 'state')) do
    redis.call('HINCRBYFLOAT', KEYS[1] .. 'state', field, 3600)
end
"""

APPEND_LATER_KIND = """
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x%x%x%x%x%x%x%x)')
for _, task in ipairs(redis.call('SMEMBERS', KEYS[1] .. 'running')) do
    local log = KEYS[1] .. 'log:' .. task
    for _, entry in ipairs(redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)) do
        local id, fields = string.format('%.0f', string.match(entry[1], '%d+') + 1), entry[2]
        fields[2], fields[4] = '{"later":' .. id .. '}', 'later'
        if fields[10] == history then redis.call('XADD', log, id .. '-0', unpack(fields)) end
    end
end
"""


@asynccontextmanager
async def redis_full(scene: Scene) -> AsyncIterator[None]:
    """Redis has no memory left for what is new."""
    redis = scene.cluster.redis
    with suppress(RedisError):
        used = (await redis.info("memory"))["used_memory"]
        await redis.config_set("maxmemory", max(1, used - 100_000))
    try:
        yield
    finally:
        if scene.cluster.redis_server.running:  # when it is started again, it has all memory
            scene.cluster.redis_server.signal(signal.SIGCONT)
            await scene.cluster.redis_ready()
            await redis.config_set("maxmemory", 0)


@asynccontextmanager
async def redis_restarted(scene: Scene) -> AsyncIterator[None]:
    """Redis is stopped in good order, and started again with all that it had."""
    scene.cluster.redis_server.terminate()
    try:
        yield
    finally:
        scene.cluster.redis_server.start()


@asynccontextmanager
async def clients_killed(scene: Scene) -> AsyncIterator[None]:
    """Redis ends all connections of a kind, once or several times."""
    for _ in range(scene.draw.randint(1, 5)):
        with suppress(RedisError):
            await scene.cluster.redis.client_kill_filter(_type=scene.draw.choice(["normal", "pubsub"]))
        await asyncio.sleep(scene.draw.choice([0, 0.05, 0.5]))
    yield


@asynccontextmanager
async def clock_set_back(scene: Scene) -> AsyncIterator[None]:
    """The clock of Redis goes back by an hour: as seen from there, what is due comes an hour later."""
    with suppress(RedisError):
        await scene.cluster.redis.eval(SET_BACK, 1, f"{NAMESPACE}:")
    yield


@asynccontextmanager
async def later_version(scene: Scene) -> AsyncIterator[None]:
    """Logs of tasks that run get events of a kind that only a later version knows."""
    for _ in range(3):
        with suppress(RedisError):
            await scene.cluster.redis.eval(APPEND_LATER_KIND, 1, f"{NAMESPACE}:")
        await asyncio.sleep(0.2)
    yield


@asynccontextmanager
async def redis_flushed(scene: Scene) -> AsyncIterator[None]:
    """Redis loses all that it has."""
    began_at, done_at = time.time(), math.inf  # a Redis that doesn't answer may do it later
    with suppress(RedisError):
        await scene.cluster.redis.flushall()
        done_at = time.time()
    scene.recorder.record(What.LOSS, "nemesis", at=began_at, until=done_at)
    yield


@asynccontextmanager
async def redis_rolled_back(scene: Scene) -> AsyncIterator[None]:
    """Redis is started again with what it had a while ago."""
    copy, copied_at = scene.cluster.copy_data()
    try:
        yield
    finally:
        began_at = time.time()
        scene.cluster.redis_server.kill()
        await restore(scene, copy, began_at, copied_at)


@asynccontextmanager
async def redis_failed_over(scene: Scene) -> AsyncIterator[None]:
    """Redis dies; after a while a replica takes its place, which had lagged behind a little."""
    copy, copied_at = scene.cluster.copy_data()
    await asyncio.sleep(scene.draw.choice([0.05, 0.2, 0.5]))
    began_at = time.time()
    scene.cluster.redis_server.kill()
    try:
        yield
    finally:
        await restore(scene, copy, began_at, copied_at)


async def restore(scene: Scene, copy: Path, began_at: float, copied_at: float) -> None:
    """Start Redis, which has died, with an older copy of what it has written."""
    scene.cluster.restore_data(copy)
    await scene.cluster.redis_ready()
    scene.recorder.record(What.LOSS, "nemesis", at=began_at, since=copied_at, until=time.time())


@asynccontextmanager
async def messages_twice(scene: Scene) -> AsyncIterator[None]:
    """Messages for workers come several times, some of them long after their tasks have ended."""
    enough = asyncio.Event()
    repeating = asyncio.create_task(repeat_messages(scene, enough))
    try:
        yield
    finally:
        enough.set()
        await repeating


async def repeat_messages(scene: Scene, enough: asyncio.Event) -> None:
    """Add messages to the queue that are, or were, in there."""
    redis = scene.cluster.redis
    known: dict[bytes | str, None] = {}
    while not enough.is_set():
        with suppress(RedisError):
            new = [each for each in await redis.hvals(f"{NAMESPACE}:messages") if each not in known]
            known.update(dict.fromkeys(new))
            again = new * 3 + scene.draw.sample(list(known), min(len(known), 1))
            if again:
                await redis.lpush(f"{NAMESPACE}:queue", *again)
        await asyncio.sleep(0.02)
