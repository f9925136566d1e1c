"""Blocking work: functions in a bounded number of threads, and what they say on its way to the log."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest

from taskstream import Snapshot, TaskStatus, TaskStream, report
from taskstream.threads import WorkThreads
from taskstream.updates import Result


async def result_of(call: AsyncGenerator[Result, None]) -> Result:
    """The result of a call, which yields nothing else."""
    (result,) = [update async for update in call]
    return result


async def snapshots(
    tasks: TaskStream, function: Callable[..., object], **parameters: Any
) -> list[Snapshot]:
    """All snapshots of a run of some work."""
    task_id = (await tasks.start(function, **parameters)).task_id
    return [event.snapshot async for event in tasks.follow(task_id) if event.snapshot]


def working() -> list[threading.Thread]:
    """The threads that run work."""
    return [each for each in threading.enumerate() if each.name.startswith("work ")]


async def settled(condition: Callable[[], bool]) -> None:
    """Return when something holds that other threads bring about; fail after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event for the end of a thread
            await asyncio.sleep(0.001)


async def test_reports_and_result() -> None:
    """Reports become snapshots, and the return value the data of the last one."""
    tasks = TaskStream()
    taken = threading.Semaphore(0)

    @tasks.work
    def function(*, word: str) -> str:
        for number in (10, 20, 30):
            report(number, word, {"number": number})
            taken.acquire()
        return word * 2

    async with tasks:
        task_id = (await tasks.start(function, word="ha")).task_id
        seen = []
        async for event in tasks.follow(task_id):
            if (snapshot := event.snapshot) and snapshot.status in (
                TaskStatus.PROGRESS,
                TaskStatus.SUCCESS,
            ):
                seen.append((snapshot.progress, snapshot.message, snapshot.data))
                taken.release()
    assert seen == [*((n, "ha", {"number": n}) for n in (10, 20, 30)), (100, "Done", "haha")]


async def test_without_a_report() -> None:
    """A function that never reports still comes to its end: nobody waits for a report."""
    assert await result_of(await WorkThreads(1).call(lambda: 7, "")) == Result(7)


async def test_the_last_report_always_arrives() -> None:
    """However fast the end follows the last report, neither is lost."""
    tasks = TaskStream()

    @tasks.work
    def function(*, count: int) -> None:
        for number in range(count):
            report(number, str(number))

    async with tasks:
        for count in range(1, 300):
            *_, last, end = await snapshots(tasks, function, count=count)
            assert (last.message, end.status) == (str(count - 1), TaskStatus.SUCCESS)


async def test_a_million_reports() -> None:
    """Reporting in a tight loop is cheap: what the loop can't take is merged, the last one arrives."""
    tasks = TaskStream()
    count = 1_000_000
    ticks = 0

    @tasks.work
    def function() -> str:
        for number in range(count):
            report(100 * number / count, "busy", number)
        return "done"

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    async with tasks:
        task_id = (await tasks.start(function)).task_id
        data, taken = [], 0
        async for event in tasks.follow(task_id):
            data.append(event.snapshot and event.snapshot.data)
            taken = event.id
    ticking.cancel()
    assert data[-2:] == [count - 1, "done"]
    assert taken < count / 10
    assert ticks > 3


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        SystemExit(3),
        StopIteration(),
        StopAsyncIteration(),
        GeneratorExit(),
        asyncio.CancelledError(),
    ],
)
async def test_exception(error: BaseException) -> None:
    """What the function raises is raised where its result is awaited."""

    def function() -> None:
        raise error

    with pytest.raises(BaseException) as raised:  # noqa: PT011
        await result_of(await WorkThreads(1).call(function, ""))
    assert error in (raised.value, raised.value.__cause__)


async def test_result_in_words() -> None:
    """A function may hand over a result with a message of its own, as a generator may."""
    result = Result(3, "Found three")
    assert await result_of(await WorkThreads(1).call(lambda: result, "")) == result


async def test_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that can't be started takes no place."""
    threads = WorkThreads(1)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            async with aclosing(await threads.call(lambda: None, "")) as call:
                with pytest.raises(RuntimeError, match="can't start"):
                    await anext(call)
    assert await result_of(await threads.call(lambda: 1, "")) == Result(1)


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
        task_id = (await tasks.start(function)).task_id
        async for event in tasks.follow(task_id):
            if event.snapshot and event.snapshot.message == "first":
                await tasks.cancel(task_id)
        waiting = (await tasks.start(next_one)).task_id
        await asyncio.sleep(0)
        assert (await tasks.get(waiting)).status is TaskStatus.PENDING
        go_on.set()
        assert [event async for event in tasks.follow(waiting)]
        assert (await tasks.get(waiting)).status is TaskStatus.SUCCESS
    assert [type(error) for error in raised] == [asyncio.CancelledError]


async def test_a_bounded_number_of_threads() -> None:
    """No more functions run at a time than there are places."""
    running = 0
    most = 0
    lock = threading.Lock()

    def function() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    threads = WorkThreads(3)

    async def one() -> Result:
        return await result_of(await threads.call(function, ""))

    assert await asyncio.gather(*(one() for _ in range(20))) == [Result(None)] * 20
    assert most == 3


async def test_cancelled_while_waiting_for_a_place() -> None:
    """Who gives up waiting takes no place with them."""
    go_on = threading.Event()
    threads = WorkThreads(1)
    first = await threads.call(go_on.wait, "")
    waiting = [asyncio.create_task(threads.call(lambda: None, "")) for _ in range(3)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    go_on.set()
    assert await result_of(first) == Result(True)
    assert await result_of(await threads.call(lambda: 1, "")) == Result(1)


async def test_thousands_of_calls_leave_nothing_behind() -> None:
    """Ended, failed and cancelled calls leave no thread behind."""

    def function() -> None:
        if threading.get_ident() % 2:
            raise ValueError("on purpose")

    threads = WorkThreads(8)

    async def one(number: int) -> None:
        async with aclosing(await threads.call(function, "work")) as call:
            with suppress(ValueError, TimeoutError):
                async with asyncio.timeout(0 if number % 3 == 1 else None):
                    await anext(call)

    await asyncio.gather(*(one(number) for number in range(2000)))
    await settled(lambda: not working())


def test_a_thread_that_outlives_its_loop() -> None:
    """A function that is still at work when the server has stopped ends quietly at its next report."""
    tasks = TaskStream()
    begun, go_on = threading.Event(), threading.Event()
    ended: list[BaseException] = []

    @tasks.work
    def function() -> None:
        try:
            begun.set()
            go_on.wait()
            report(1, "nobody listens")
            report(2, "really nobody")
        except BaseException as error:
            ended.append(error)
            raise

    async def main() -> None:
        async with tasks:
            await tasks.start(function)
            await asyncio.to_thread(begun.wait, 10)

    asyncio.run(main())
    assert len(working()) == 1
    go_on.set()
    for thread in working():
        thread.join(10)
        assert not thread.is_alive()
    assert [type(error) for error in ended] == [asyncio.CancelledError]
