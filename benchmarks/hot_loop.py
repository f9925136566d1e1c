"""A function that reports or tracks in a tight loop, beside bars of tqdm; events, also in a file."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from benchmarks.servers import Figures
from taskstream import Result, TaskStream, Update, report, track

MESSAGE = "Working"

TURNS = 3
"""After so many turns of the event loop, what was yielded is in the file."""


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


async def yield_loop(*, calls: int, together: int) -> AsyncIterator[Update | Result]:
    """Seconds of CPU for so many events, each in a turn of the event loop with so many others."""
    began = time.process_time()
    for number in range(calls):
        yield Update(50, MESSAGE)
        if number % together == 0:
            for _ in range(TURNS):
                await asyncio.sleep(0)
    yield Result(time.process_time() - began)


async def in_task(work: Callable[..., object], calls: int, database: str | None = None) -> float:
    """What some work measures as a task, whose log takes what it says as it can."""
    tasks = TaskStream(database=database)
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


def events(name: str, *, calls: int, together: int) -> Figures:
    """The cost of an event that is alone in its turn of the event loop, and of one among others."""
    figures = {}
    for key, number in (("alone_us", 1), ("together_us", together)):
        with TemporaryDirectory(prefix="tasks-") as folder:
            database = f"{folder}/tasks.db" if name == "ours-in-file" else None
            run = in_task(partial(yield_loop, together=number), calls, database)
            figures[key] = 1e6 * asyncio.run(run) / calls
    return figures


def hot_loop(name: str, *, calls: int) -> Figures:
    """The cost of one call, and of one item in a thread and in a coroutine."""
    if name == "ours":
        runs = [in_task(each, calls) for each in (report_loop, track_loop, track_in_loop)]
    else:
        runs = [in_thread(each, calls) for each in (update_loop, bar_loop, bar_loop)]
    names = ("call_ns", "item_ns", "coroutine_ns")
    return {key: 1e9 * asyncio.run(each) / calls for key, each in zip(names, runs, strict=True)}
