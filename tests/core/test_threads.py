"""Blocking work runs in a bounded number of threads, and is cancelled at its next report."""

import asyncio
import threading
import time

from taskstream import TaskStatus, TaskStream, report
from tests.core.running import events, snapshots, start_until


async def test_cancel() -> None:
    """Cancelling makes the next report raise; the place is free when the function returns."""
    tasks = TaskStream(work_threads=1)
    go_on = threading.Event()
    raised: list[BaseException] = []

    @tasks.work
    def function() -> None:
        report(10, "first")
        go_on.wait()
        try:
            report(20, "second")
        except Exception:  # noqa: BLE001 - what careless work does
            raised.append(AssertionError("caught by accident"))
        except BaseException as error:
            raised.append(error)
            raise

    @tasks.work
    def next_one() -> None:
        """Work that needs the same thread."""

    async with tasks:
        await tasks.cancel(await start_until(tasks, function, "first"))
        waiting = asyncio.create_task(snapshots(tasks, next_one))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        go_on.set()
        statuses = [each.status for each in await waiting]
    assert statuses == [TaskStatus.PENDING, TaskStatus.STARTED, TaskStatus.SUCCESS]
    assert [type(error) for error in raised] == [asyncio.CancelledError]


async def test_a_bounded_number_of_threads() -> None:
    """No more functions run at a time than there are places, and as many as there are."""
    tasks = TaskStream(work_threads=3)
    running = 0
    most = 0
    lock = threading.Lock()

    @tasks.work
    def function() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    async with tasks:
        await asyncio.gather(*(events(tasks, function) for _ in range(20)))
    assert most == 3
