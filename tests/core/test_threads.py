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


async def test_cancelled_while_waiting_for_a_place() -> None:
    """A task that is cancelled while it waits for a place takes none, and never starts."""
    tasks = TaskStream(work_threads=1)
    go_on = threading.Event()
    called: list[int] = []

    @tasks.work
    def function(*, number: int) -> None:
        called.append(number)
        report(1, "begun")
        go_on.wait()

    async with tasks:
        first = (await tasks.start(function, number=0)).task_id
        waiting = [(await tasks.start(function, number=number)).task_id for number in (1, 2, 3)]
        await asyncio.sleep(0)
        for task_id in waiting:
            assert (await tasks.cancel(task_id)).started_at is None
        go_on.set()
        assert [event async for event in tasks.follow(first)]
        assert (await snapshots(tasks, function, number=4))[-1].status is TaskStatus.SUCCESS
    assert called == [0, 4]
