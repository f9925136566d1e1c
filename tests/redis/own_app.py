"""The demo with more work: `python -m tests.redis.own_app`; `celery -A tests.redis.own_app worker`."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

from tqdm import tqdm

import tests.support.own_work  # noqa: F401 - it adds its work
from app import celery, main, tasks
from taskstream import Update, output, report, track

__all__ = ["celery"]

tasks.track_tqdm = True


@tasks.work
def bars() -> None:
    """A bar of tqdm, which nobody sees in the worker, in a loop."""
    for _ in track(range(2), "Files"):
        with tqdm(total=4, desc="Rows", disable=True, mininterval=0) as bar:
            bar.update(2)
            return


@tasks.work
async def tight_loop(*, updates: int) -> AsyncIterator[Update]:
    """An async generator that never awaits."""
    for number in range(1, updates + 1):
        yield Update(100 * number / updates, f"Update {number}")


@tasks.work
def speak_in_thread(*, pieces: int) -> None:
    """A function that says nothing but output."""
    for number in range(pieces):
        output(f"{number}\n")


@tasks.work
async def rows(*, count: int) -> None:
    """A coroutine that never awaits."""
    for number in range(1, count + 1):
        report(100 * number / count, f"Row {number}")
        output(f"{number}\n")


@tasks.work
def count_runs(*, file: str, seconds: float) -> None:
    """Work that notes in a file each time it is begun."""
    with Path(file).open("a", encoding="ascii") as runs:
        runs.write("begun\n")
    time.sleep(seconds)


@tasks.work
def beat(*, file: str) -> None:
    """Work that notes in a file that it goes on, and reports."""
    for number in count():
        time.sleep(0.05)
        with Path(file).open("a", encoding="ascii") as beats:
            beats.write("beat\n")
        report(0, f"Beat {number}")


@tasks.work
async def wait_for_ever() -> None:
    """A coroutine that doesn't end, nor says anything."""
    await asyncio.Event().wait()


@tasks.work
async def exit_in_group() -> None:
    """A coroutine whose asyncio task wants to end the program."""

    async def leave() -> None:
        sys.exit(3)

    async with asyncio.TaskGroup() as group:
        group.create_task(leave())


if __name__ == "__main__":
    main()
