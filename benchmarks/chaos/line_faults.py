"""What can happen to the lines to Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from benchmarks.chaos.proxy import Damage, Proxy
from benchmarks.chaos.scene import Fault, Scene


def damaged(choose: Callable[[Scene], list[Proxy]], **damage: float) -> Fault:
    """Lines to Redis are damaged for a while; the connections on them are lost, then or before."""

    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[None]:
        lines = choose(scene)
        for line in lines:
            line.damage = replace(line.damage, **damage)  # type: ignore[arg-type]
            if line.damage.refuses:
                scene.draw.choice([line.cut, line.reset])()
        try:
            yield
        finally:
            for line in lines:
                line.damage = Damage()

    return fault


@asynccontextmanager
async def lines_reset(scene: Scene) -> AsyncIterator[None]:
    """All connections to Redis are reset, once or several times."""
    for _ in range(scene.draw.randint(1, 3)):
        for line in scene.cluster.lines:
            line.reset()
        await asyncio.sleep(0.2)
    yield


def server_line(scene: Scene) -> list[Proxy]:
    """The line of one server."""
    return [scene.draw.choice(scene.cluster.server_lines)]


def worker_line(scene: Scene) -> list[Proxy]:
    """The line of one worker."""
    return [scene.draw.choice(scene.cluster.worker_lines)]


def all_lines(scene: Scene) -> list[Proxy]:
    """The lines of all."""
    return scene.cluster.lines


def worker_lines(scene: Scene) -> list[Proxy]:
    """The lines of all workers."""
    return scene.cluster.worker_lines


def server_lines(scene: Scene) -> list[Proxy]:
    """The lines of all servers."""
    return scene.cluster.server_lines
