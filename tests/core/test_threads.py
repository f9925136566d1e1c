"""Blocking work: the bridge between threads and the event loop."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import aclosing

import pytest

from taskstream import report
from taskstream.mailbox import Item
from taskstream.threads import ThreadRun, WorkThreads
from taskstream.updates import Result, Update


async def collect(updates: ThreadRun) -> list[Item | Result]:
    """All that a run yields."""
    return [update async for update in updates]


def working() -> list[threading.Thread]:
    """The threads that run work."""
    return [each for each in threading.enumerate() if each.name.startswith("work ")]


async def settled(condition: Callable[[], bool]) -> None:
    """Return when something holds that other threads bring about; fail after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event for the end of a thread
            await asyncio.sleep(0.001)


async def test_reports_and_result() -> None:
    """Reports become updates, and the return value the result."""
    taken = threading.Semaphore(0)

    def function(*, word: str) -> str:
        for number in (10, 20, 30):
            report(number, word, {"number": number})
            taken.acquire()
        return word * 2

    seen = []
    async for update in await WorkThreads(1).run(function, {"word": "ha"}):
        seen.append(update)
        taken.release()
    assert seen == [*(Update(n, "ha", {"number": n}) for n in (10, 20, 30)), Result("haha")]


async def test_without_a_report() -> None:
    """A function that never reports still comes to its end: nobody waits for a report."""
    assert await collect(await WorkThreads(1).run(lambda: 7, {})) == [Result(7)]


async def test_the_last_report_always_arrives() -> None:
    """However fast the end follows the last report, neither is lost."""

    def function(*, count: int) -> None:
        for number in range(count):
            report(number, "")

    threads = WorkThreads(8)
    for count in range(1, 300):
        *reports, end = await collect(await threads.run(function, {"count": count}))
        assert end == Result(None)
        assert reports[-1] == Update(count - 1, "")
        numbers = [each.progress for each in reports if isinstance(each, Update)]
        assert numbers == sorted(set(numbers))


async def test_a_million_reports() -> None:
    """Reporting in a tight loop is cheap: what the loop can't take is merged, the last one arrives."""
    count = 1_000_000
    taken = 0
    ticks = 0

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
    last: Item | Result | None = None
    async for update in await WorkThreads(1).run(function, {}):
        taken += 1
        if isinstance(update, Update):
            last = update
    ticking.cancel()
    assert isinstance(last, Update)
    assert last.data == count - 1
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
    """What the function raises is raised where its updates are awaited, after its last report."""

    def function() -> None:
        report(50, "half")
        raise error

    updates = await WorkThreads(1).run(function, {})
    assert await anext(updates) == Update(50, "half")
    with pytest.raises(BaseException) as raised:  # noqa: PT011
        await anext(updates)
    assert error in (raised.value, raised.value.__cause__)


async def test_result_in_words() -> None:
    """A function may hand over a result with a message of its own, as a generator may."""
    assert await collect(await WorkThreads(1).run(lambda: Result(3, "Found three"), {})) == [
        Result(3, "Found three")
    ]


async def test_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that can't be started takes no place."""
    threads = WorkThreads(1)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            async with aclosing(await threads.run(lambda: None, {})) as updates:
                with pytest.raises(RuntimeError, match="can't start"):
                    await anext(updates)
    assert await collect(await threads.run(lambda: 1, {})) == [Result(1)]


async def test_cancel() -> None:
    """Closing the updates makes the next report raise; the place is free when the function returns."""
    go_on = threading.Event()
    raised: list[BaseException] = []

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

    threads = WorkThreads(1)
    async with aclosing(await threads.run(function, {})) as updates:
        await anext(updates)
    waiting = asyncio.create_task(threads.run(lambda: None, {}))
    await asyncio.sleep(0)
    assert not waiting.done()
    go_on.set()
    assert await collect(await waiting) == [Result(None)]
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

    async def one() -> list[Item | Result]:
        return await collect(await threads.run(function, {}))

    assert await asyncio.gather(*(one() for _ in range(20))) == [[Result(None)]] * 20
    assert most == 3


async def test_cancelled_while_waiting_for_a_place() -> None:
    """Who gives up waiting takes no place with them."""
    go_on = threading.Event()
    threads = WorkThreads(1)
    first = await threads.run(go_on.wait, {})
    waiting = [asyncio.create_task(threads.run(lambda: None, {})) for _ in range(3)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    go_on.set()
    assert await collect(first) == [Result(True)]
    assert await collect(await threads.run(lambda: 1, {})) == [Result(1)]


async def test_thousands_of_runs_leave_nothing_behind() -> None:
    """Ended, failed and cancelled runs leave no thread behind."""

    def function(*, fail: bool) -> None:
        report(1, "one")
        report(2, "two")
        if fail:
            raise ValueError("on purpose")

    threads = WorkThreads(8)

    async def one(number: int) -> None:
        async with aclosing(await threads.run(function, {"fail": number % 3 == 0})) as updates:
            if number % 3 == 1:
                await anext(updates)
            elif number % 3 == 0:
                with pytest.raises(ValueError, match="on purpose"):
                    await collect(updates)
            else:
                await collect(updates)

    await asyncio.gather(*(one(number) for number in range(2000)))
    await settled(lambda: not working())


def test_a_thread_that_outlives_its_loop() -> None:
    """A function that is still at work when the server has stopped ends quietly at its next report."""
    go_on = threading.Event()
    ended: list[BaseException] = []

    def function() -> None:
        try:
            go_on.wait()
            report(1, "nobody listens")
            report(2, "really nobody")
        except BaseException as error:
            ended.append(error)
            raise

    async def main() -> None:
        updates = await WorkThreads(1).run(function, {})
        first = asyncio.create_task(anext(updates))
        await asyncio.sleep(0)
        first.cancel()

    asyncio.run(main())
    assert len(working()) == 1
    go_on.set()
    for thread in working():
        thread.join(10)
        assert not thread.is_alive()
    assert [type(error) for error in ended] == [asyncio.CancelledError]
