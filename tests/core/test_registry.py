"""The registry stops what runs, and keeps nothing of what it has forgotten."""

import asyncio
import gc
import logging
import random
import threading
import time
import weakref
from contextlib import suppress
from types import AsyncGeneratorType

import pytest

from taskstream import TaskNotFound, TaskStatus, TaskStream, Update, WorkError, report
from taskstream.bridge import Reporter
from taskstream.tasks import Task
from tests.core.running import (
    FORMS,
    Form,
    Updates,
    cleans_up,
    for_ever,
    generator,
    others,
    start_until,
    three_steps,
)


def working() -> list[threading.Thread]:
    """The threads that run work."""
    return [each for each in threading.enumerate() if each.name.startswith("work ")]


def reporters() -> list[object]:
    """Those that are kept, if only by the garbage collector."""
    return [each for each in gc.get_objects() if type(each) is Reporter]


def is_ours(value: object) -> bool:
    """Whether something is a run of an async generator that stands in these tests."""
    return isinstance(value, AsyncGeneratorType) and "/tests/core/" in value.ag_code.co_filename


async def deaf() -> Updates:
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.001)
        yield Update(5, "Still here")


async def breaks() -> Updates:
    yield Update(30, "So far")
    raise KeyError("/secret/path")


async def cancels_itself() -> Updates:
    yield Update(30, "So far")
    raise asyncio.CancelledError


async def test_hundreds_of_tasks_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Ended, failed, cancelled and forgotten tasks leave no thread, timer, generator or log behind."""
    caplog.set_level(logging.CRITICAL)
    tasks = TaskStream(retention_seconds=0, max_tasks=10_000)
    draw = random.Random(1)

    @tasks.work
    def reports() -> None:
        report(50, "Half")

    @tasks.work
    def raises() -> None:
        raise WorkError("The disk is full")

    works = [three_steps, for_ever, breaks, cancels_itself, deaf]
    for work in works:
        tasks.work(work)

    async def one() -> None:
        work = draw.choice([*works, reports, raises])
        task_id = (await tasks.start(work)).task_id
        for _ in range(draw.randint(0, 5)):
            await asyncio.sleep(0)
        with suppress(TaskNotFound):
            if work in (for_ever, deaf) or draw.random() < 0.2:
                await tasks.cancel(task_id)
            assert [event async for event in tasks.follow(task_id)]

    async with asyncio.timeout(30), tasks:
        idle = others()
        for _ in range(4):
            await asyncio.gather(*(one() for _ in range(100)))
        while others() != idle or await tasks.registry.count() != (0, 0):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert 0 < len(working()) <= tasks.settings.work_threads
        gc.collect()
        kept = [each for each in gc.get_objects() if isinstance(each, Task) or is_ours(each)]
        assert kept == []
    for thread in working():
        await asyncio.to_thread(thread.join, 10)


@pytest.mark.parametrize("form", FORMS)
async def test_forgotten_tasks_are_freed_at_once(form: Form) -> None:
    """A task that is forgotten frees its log, which may be a mebibyte, and its reporter by itself."""
    tasks = TaskStream(retention_seconds=0)
    waits = tasks.work(name="waits")(asyncio.Event().wait)
    work = tasks.work(form(lambda: Update(50, "Half") if form is generator else report(50, "Half")))
    gc.collect()
    gc.disable()
    try:
        async with tasks:
            cancelled, ended = [(await tasks.start(each)).task_id for each in (waits, work)]
            logs = [weakref.ref((await tasks.find(each, None)).log) for each in (cancelled, ended)]
            assert [event async for event in tasks.follow(ended)]
            await tasks.cancel(cancelled)
            async with asyncio.timeout(10):
                while any(log() for log in logs) or reporters():  # noqa: ASYNC110
                    await asyncio.sleep(0)  # nobody is told that a task is forgotten
    finally:
        gc.enable()


def test_stopping() -> None:
    """A stopping server ends what runs and lets it clean up, but waits for no function that won't stop.

    Such a function ends quietly at its next report, when nobody listens any more.
    """
    tasks = TaskStream()
    log: list[str] = []
    go_on = threading.Event()
    closed = asyncio.Event()
    updates = tasks.work(cleans_up(closed))
    tasks.work(for_ever)

    @tasks.work
    def reports() -> None:
        try:
            while True:
                report(10, "Working")
                time.sleep(0.001)
        finally:
            log.append("a thread")

    @tasks.work
    def busy() -> None:
        report(10, "Busy")
        go_on.wait()
        try:
            report(1, "nobody listens")
        except asyncio.CancelledError:
            log.append("the busy one")
            raise

    async def main() -> None:
        async with tasks:
            begun = [(updates, "Opened"), (reports, "Working"), (busy, "Busy"), (for_ever, "Started")]
            ids = [await start_until(tasks, work, message) for work, message in begun]
            records = [await tasks.find(task_id, None) for task_id in ids]
        assert {task.snapshot.status for task in records} == {TaskStatus.REVOKED}
        assert closed.is_set()
        assert log == ["a thread"]
        assert not others()

    asyncio.run(main())
    (left,) = [each for each in working() if each.name == "work busy"]
    go_on.set()
    left.join(10)
    assert log[-1] == "the busy one"
