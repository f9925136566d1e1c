"""What can happen to what Redis keeps: there is no room for it, it is lost, or some of it comes twice."""

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
