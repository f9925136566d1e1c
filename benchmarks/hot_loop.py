"""A function that reports in a tight loop, or tracks it, beside bars of tqdm."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

from benchmarks.servers import Figures
from taskstream import TaskStream, report, track

MESSAGE = "Working"


def report_loop(*, calls: int) -> float:
    """Seconds for so many reports."""
    began = time.perf_counter()
    for number in range(calls):
        report(number, MESSAGE)
    return time.perf_counter() - began


def track_loop(*, calls: int) -> float:
    """Seconds for so many tracked items."""
    return seconds_of(track(range(calls)))


async def track_in_loop(*, calls: int) -> float:
    """The same in a coroutine, which never awaits."""
    return seconds_of(track(range(calls)))


def update_loop(*, calls: int) -> float:
    """Seconds for so many updates of a bar, which tqdm draws ten times a second."""
    with Path(os.devnull).open("w") as nowhere, tqdm(total=calls, file=nowhere) as bar:
        began = time.perf_counter()
        for _ in range(calls):
            bar.update()
        return time.perf_counter() - began


def bar_loop(*, calls: int) -> float:
    """Seconds for so many items of such a bar."""
    with Path(os.devnull).open("w") as nowhere:
        return seconds_of(tqdm(range(calls), file=nowhere))


def seconds_of(items: Iterable[object]) -> float:
    """Seconds for a loop that does nothing."""
    began = time.perf_counter()
    for _ in items:
        pass
    return time.perf_counter() - began


async def in_task(work: Callable[..., object], calls: int) -> float:
    """What some work measures as a task, whose log takes what it says as it can."""
    tasks = TaskStream()
    tasks.work(work)
    async with tasks:
        snapshot = await tasks.start(work, calls=calls)
        async for event in tasks.follow(snapshot.task_id):
            if event.snapshot:
                snapshot = event.snapshot
    return float(str(snapshot.data))


async def in_thread(function: Callable[..., float], calls: int) -> float:
    """What a function measures in a thread, likewise beside an event loop."""
    return await asyncio.to_thread(function, calls=calls)


def hot_loop(name: str, *, calls: int) -> Figures:
    """The cost of one call, and of one item in a thread and in a coroutine."""
    if name == "ours":
        runs = [in_task(each, calls) for each in (report_loop, track_loop, track_in_loop)]
    else:
        runs = [in_thread(each, calls) for each in (update_loop, bar_loop, bar_loop)]
    names = ("call_ns", "item_ns", "coroutine_ns")
    return {key: 1e9 * asyncio.run(each) / calls for key, each in zip(names, runs, strict=True)}
