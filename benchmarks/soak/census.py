"""What a server has, before and after the load."""

import asyncio
import json
import time

from benchmarks.soak.load import Load
from benchmarks.soak.server import SoakServer
from taskstream.client.event_source import EventSource

SETTLE_SECONDS = 10
SPARE_KIB = 5 * 1024
"""Memory that may be more: parts of the allocator's blocks, which it can't give back."""


async def take_census(
    load: Load, server: SoakServer, expected: dict[str, int] | None = None
) -> dict[str, int]:
    """What the server has when nobody wants anything of it; taken again until it is as expected."""
    async with asyncio.timeout(60):
        while not await is_idle(load):
            pass
    patience = time.monotonic() + SETTLE_SECONDS
    while True:
        await asyncio.sleep(1)
        task_id = (await load.post("/start-task", work="census"))["task_id"]
        async with EventSource(load.session, f"{load.url}/task-progress/{task_id}").connect() as events:
            counted: dict[str, int] = [json.loads(event.data)["data"] async for event in events][-1]
        counted.update(descriptors=server.descriptors(), memory_kib=server.memory())
        if not expected or time.monotonic() > patience or not excess(expected, counted):
            return counted


async def is_idle(load: Load) -> bool:
    """Whether the server knows no task, and has no stream; after a moment."""
    await asyncio.sleep(0.2)
    async with load.session.get(f"{load.url}/health") as response:
        health = await response.json()
    return (health["tasks"], health["streams"]) == (0, 0)


def excess(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """What there is more of than before."""
    return [
        f"{name}: {before[name]} before, {after[name]} after"
        for name in before
        if after[name] > before[name] + (SPARE_KIB if name == "memory_kib" else 0)
    ]
