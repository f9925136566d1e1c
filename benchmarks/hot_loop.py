"""A function that reports in a tight loop, beside one that moves a progress bar of tqdm."""

import asyncio
import os
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.servers import Figures
from taskstream import TaskStream, report

MESSAGE = "Working"


def report_loop(*, calls: int) -> float:
    """Seconds for so many reports."""
    began = time.perf_counter()
    for number in range(calls):
        report(number, MESSAGE)
    return time.perf_counter() - began


def update_loop(*, calls: int) -> float:
    """Seconds for so many updates of a bar, which tqdm draws ten times a second."""
    with Path(os.devnull).open("w") as nowhere, tqdm(total=calls, file=nowhere) as bar:
        began = time.perf_counter()
        for _ in range(calls):
            bar.update()
        return time.perf_counter() - began


async def report_in_task(*, calls: int) -> float:
    """The reports, as the work of a task, whose log takes them as it can."""
    tasks = TaskStream()
    tasks.work(report_loop)
    async with tasks:
        snapshot = await tasks.start(report_loop, calls=calls)
        async for event in tasks.follow(snapshot.task_id):
            if event.snapshot:
                snapshot = event.snapshot
    return float(str(snapshot.data))


async def update_in_thread(*, calls: int) -> float:
    """The updates, likewise beside an event loop."""
    return await asyncio.to_thread(update_loop, calls=calls)


def hot_loop(name: str, *, calls: int) -> Figures:
    """The cost of one call."""
    contestant = {"ours": report_in_task, "tqdm": update_in_thread}[name]
    return {"call_ns": 1e9 * asyncio.run(contestant(calls=calls)) / calls}
