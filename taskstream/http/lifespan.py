"""What lives as long as the server: the registry, and the open streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypedDict

from fastapi import Depends, FastAPI, Request

from taskstream.http.stopping import until_server_stops
from taskstream.http.streams import Streams
from taskstream.registry import Registry
from taskstream.server.settings import Settings
from taskstream.threads import WorkThreads
from taskstream.work import make_begin

if TYPE_CHECKING:
    from taskstream.redis.registry import RedisRegistry


@dataclass(frozen=True)
class Shared:
    """What the routes share."""

    settings: Settings
    registry: "Registry | RedisRegistry"
    streams: Streams


class LifespanState(TypedDict):
    """What Starlette puts into `request.state`."""

    shared: Shared


def open_registry(settings: Settings) -> "Registry | RedisRegistry":
    """The registry of this process; or, with a Redis URL, the one that it shares with others."""
    if settings.redis_url is None:
        return Registry(
            make_begin(WorkThreads(settings.work_threads)),
            retention_seconds=settings.retention_seconds,
            max_tasks=settings.max_tasks,
            history_length=settings.history_length,
        )
    from taskstream.redis.registry import RedisRegistry  # here, because what it needs is optional

    return RedisRegistry(
        settings.redis_url,
        retention_seconds=settings.retention_seconds,
        max_tasks=settings.max_tasks,
        history_length=settings.history_length,
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[LifespanState]:
    """Make what the routes share, let the streams go when the server stops, end what still runs."""
    settings: Settings = app.state.settings
    registry = open_registry(settings)
    streams = Streams(settings.max_streams, settings.ping_seconds)

    async def release_viewers() -> None:
        # The end of the lifespan comes too late for this: it waits for the streams to end.
        await until_server_stops()
        registry.release_viewers()

    owned = [asyncio.create_task(release_viewers()), asyncio.create_task(streams.watch())]
    try:
        yield {"shared": Shared(settings, registry, streams)}
    finally:
        for each in owned:
            each.cancel()
        await registry.close()


async def get_shared(request: Request) -> Shared:
    """What `lifespan` has made."""
    shared: Shared = request.state.shared
    return shared


SharedDependency = Annotated[Shared, Depends(get_shared)]
