"""What a server has, before and after the load."""

import asyncio
import json
import time

from benchmarks.soak.load import Load
from benchmarks.soak.server import SoakServer
from taskstream.client.event_source import EventSource

SETTLE_SECONDS = 40
SPARE = {
    "malloc": {"memory_kib": 5 * 1024, "threads": 8},
    "pymalloc": {"memory_kib": 20 * 1024, "memory_blocks": 1_000, "threads": 8},
}
"""What may be more, by allocator: parts of pages or arenas that are used, caches that fill now and then,
threads that wait for work. If each connection left a single block behind, it would show in the blocks."""


async def take_census(
    load: Load, server: SoakServer, expected: dict[str, int] | None = None
) -> dict[str, int]:
    """What the server has when nobody wants anything of it; taken again until it is as expected."""
    patience = time.monotonic() + SETTLE_SECONDS
    while True:
        await until_idle(load)
        counted = await count(load, server.collects)
        await until_idle(load)  # what the count itself needed lies anywhere in the heap
        counted.update(descriptors=server.descriptors(), memory_kib=server.memory())
        if not expected or time.monotonic() > patience or not excess(expected, counted, server):
            return counted


async def count(load: Load, collect: bool) -> dict[str, int]:
    """What the server says that it has."""
    task_id = (await load.post("/start-task", work="census", collect=collect))["task_id"]
    async with EventSource(load.session, f"{load.url}/task-progress/{task_id}").connect() as events:
        counted: dict[str, int] = [json.loads(event.data)["data"] async for event in events][-1]
        return counted


async def until_idle(load: Load) -> None:
    """Until the server knows no task, and has no stream; TimeoutError after a minute."""
    health: dict[str, int] = {}
    async with asyncio.timeout(60):
        while (health.get("tasks"), health.get("streams")) != (0, 0):
            await asyncio.sleep(0.2)
            async with load.session.get(f"{load.url}/health") as response:
                health = await response.json()
    await asyncio.sleep(1)  # for the connection that has asked, to be closed


def excess(before: dict[str, int], after: dict[str, int], server: SoakServer) -> list[str]:
    """What there is more of than before."""
    spare = SPARE[server.allocator]
    return [
        f"{name}: {before[name]} before, {after[name]} after"
        for name in before
        if after[name] > before[name] + spare.get(name, 0)
    ]
