"""A function that reports in a tight loop, beside one that moves a progress bar of tqdm."""

import asyncio
import os
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.servers import Figures
from taskstream.registry import Registry
from taskstream.threads import Report, WorkThreads
from taskstream.work import WORK, make_begin

MESSAGE = "Working"


def report_loop(report: Report, *, calls: int) -> float:
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
    WORK["report_loop"] = report_loop
    registry = Registry(make_begin(WorkThreads(1)))
    task = await registry.start("report_loop", {"calls": calls}, "")
    ended = asyncio.Event()
    task.log.listeners.add(lambda: ended.set() if task.ended else None)
    await ended.wait()
    await registry.close()
    return float(str(task.snapshot.data))


async def update_in_thread(*, calls: int) -> float:
    """The updates, likewise beside an event loop."""
    return await asyncio.to_thread(update_loop, calls=calls)


def hot_loop(name: str, *, calls: int) -> Figures:
    """The cost of one call."""
    contestant = {"ours": report_in_task, "tqdm": update_in_thread}[name]
    return {"call_ns": 1e9 * asyncio.run(contestant(calls=calls)) / calls}
