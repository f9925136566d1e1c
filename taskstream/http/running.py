"""What a `TaskStream` has while it runs: the registry, the open streams, and what happens beside them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from taskstream.http.stopping import until_server_stops
from taskstream.http.streams import Streams
from taskstream.registry import MemoryRegistry, Registry
from taskstream.settings import Settings


@dataclass(frozen=True)
class Running:
    """The registry and the streams of one event loop."""

    registry: Registry
    streams: Streams
    loop: asyncio.AbstractEventLoop


@asynccontextmanager
async def run(settings: Settings, namespace: str) -> AsyncIterator[Running]:
    """Open them; let the viewers go when the server stops; in the end, end what still runs."""
    registry = open_registry(settings, namespace)
    streams = Streams(settings.max_streams, settings.ping_seconds, settings.stall_seconds)

    async def release_viewers() -> None:
        # The end of the lifespan comes too late for this: it waits for the streams to end.
        await until_server_stops()
        registry.release_viewers()

    owned = [asyncio.create_task(release_viewers()), asyncio.create_task(streams.watch())]
    try:
        yield Running(registry, streams, asyncio.get_running_loop())
    finally:
        for each in owned:
            each.cancel()
        registry.release_viewers()
        await registry.close()


def open_registry(settings: Settings, namespace: str) -> Registry:
    """The registry of this process; or, with a Redis URL, the one that it shares with others."""
    if settings.redis_url is None:
        return MemoryRegistry(settings)
    from taskstream.redis.registry import RedisRegistry  # here, because what it needs is optional

    return RedisRegistry(settings, namespace)
