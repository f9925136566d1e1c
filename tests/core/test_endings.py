"""However work ends, its task does; and nothing goes on, or is even begun, that was cancelled."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, NoReturn

import pytest

from taskstream import Output, Result, Snapshot, TaskStatus, TaskStream, Update, WorkError, output, report
from taskstream.log import Log
from taskstream.tasks import Task
from taskstream.threads import WorkThreads
from taskstream.work import Work

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The tracebacks of work that fails on purpose go nowhere."""
    caplog.set_level("CRITICAL")


class Mute(BaseException):
    """What raises itself when it is asked what it says."""

    def __str__(self) -> NoReturn:
        raise self

    __repr__ = __str__


class MuteError(WorkError):
    """A failure that can't be put into words."""

    def __str__(self) -> NoReturn:
        raise Mute

    __repr__ = __str__


def throws(error: type[BaseException], *arguments: object) -> Callable[[], NoReturn]:
    """Something that raises such an error, another one each time."""

    def throw() -> NoReturn:
        raise error(*arguments)

    return throw


def group() -> NoReturn:
    """Raise two errors at once, others each time: they keep the frames that they pass."""
    raise BaseExceptionGroup("two", [Mute(), asyncio.CancelledError()])


ENDS: dict[str, Callable[[], object]] = {
    "a WorkError that says nothing": throws(MuteError),
    "a WorkError in half a surrogate pair": throws(WorkError, "\ud800"),
    "a WorkError without words": throws(WorkError),
    "an exception that says nothing": throws(Mute),
    "a group of exceptions": group,
    "StopIteration": throws(StopIteration, 7),
    "StopAsyncIteration": throws(StopAsyncIteration, 7),
    "GeneratorExit": throws(GeneratorExit),
    "CancelledError": throws(asyncio.CancelledError),
    "TimeoutError": throws(TimeoutError),
    "the end of the program": throws(SystemExit, 3),
    "Ctrl-C": throws(KeyboardInterrupt),
    "a result that says nothing": Mute,
    "a message that says nothing": lambda: Result(1, Mute()),  # type: ignore[arg-type]
    "a report that says nothing": lambda: report(1, Mute()),  # type: ignore[arg-type]
    "a report of what says nothing": lambda: report(1, "", [Mute()]),
    "no number": lambda: report("half", "text"),  # type: ignore[arg-type]
    "not a number": lambda: report(float("nan"), "text"),
    "infinity": lambda: report(float("inf"), "text"),
    "output that is no text": lambda: output(7),  # type: ignore[arg-type]
    "no number at all": lambda: report(Mute(), "text"),  # type: ignore[arg-type]
    "a number that is too large": lambda: report(10**5000, "text"),
    "no message": lambda: report(5, None),  # type: ignore[arg-type]
    "output in half a surrogate pair": lambda: output("\ud800"),
    "an Output of a number": lambda: Output(7),  # type: ignore[arg-type]
    "an Output of nothing": lambda: Output(None),  # type: ignore[arg-type]
    "an Output of half a surrogate pair": lambda: Output("\ud800"),
    "an Update with data that says nothing": lambda: Update(5, "text", Mute()),
    "an object with no attributes": object,
}


def coroutine_function(function: Callable[[], object]) -> Callable[[], object]:
    """The function as work in the event loop."""

    async def work() -> Any:
        return function()

    return work


def generator(function: Callable[[], object]) -> Callable[[], object]:
    """The function as an async generator that yields what it returns."""

    async def work() -> AsyncIterator[Any]:
        yield function()

    return work


def blocking(function: Callable[[], object]) -> Callable[[], object]:
    """The function as work in a thread."""

    def work() -> Any:
        return function()

    return work


def elsewhere(function: Callable[[], object]) -> Callable[[], object]:
    """The function as work in the event loop that has it called in a thread."""

    async def work() -> Any:
        return await asyncio.to_thread(function)

    return work


async def last_snapshot(tasks: TaskStream, task_id: str) -> Snapshot:
    """The end of a task. Fails if there is none."""
    async with asyncio.timeout(10):
        snapshots = [event.snapshot async for event in tasks.follow(task_id) if event.snapshot]
    return snapshots[-1]


@pytest.mark.parametrize("kind", [coroutine_function, generator, blocking, elsewhere])
@pytest.mark.parametrize("end", ENDS)
async def test_every_task_ends(
    end: str, kind: Callable[[Callable[[], object]], Callable[[], object]]
) -> None:
    """Whatever work raises, returns, yields or reports, its task ends, and the next one runs."""
    if kind is elsewhere and end in ("StopIteration", "the end of the program", "Ctrl-C"):
        pytest.skip("asyncio itself doesn't hand this over from a thread")
    tasks = TaskStream(work_threads=1)
    work = tasks.work(kind(ENDS[end]))

    @tasks.work(name="next")
    def next_one() -> None:
        """Work that needs a thread."""

    async with tasks:
        last = await last_snapshot(tasks, (await tasks.start(work)).task_id)
        assert last.status.ended
        assert isinstance(last.message, str)
        assert (await tasks.get(last.task_id)) == last
        following = await tasks.start(next_one)
        assert (await last_snapshot(tasks, following.task_id)).status is TaskStatus.SUCCESS


@pytest.mark.parametrize("seed", range(20))
async def test_a_cancelled_function_does_not_go_on(seed: int) -> None:
    """Cancelled at any moment, a function either never begins or has its next report raise."""
    draw = random.Random(seed)
    tasks = TaskStream(work_threads=8)
    begun: list[int] = []
    raised: list[int] = []
    finished: list[int] = []

    @tasks.work
    def function(*, number: int) -> None:
        begun.append(number)
        try:
            cancelled[number].wait(10)
            report(1, "first")
        except asyncio.CancelledError:
            raised.append(number)
            raise
        else:
            finished.append(number)

    cancelled = [threading.Event() for _ in range(50)]
    async with tasks:
        for number, event in enumerate(cancelled):
            task_id = (await tasks.start(function, number=number)).task_id
            for _ in range(draw.randint(0, 8)):
                await asyncio.sleep(0)
            assert (await tasks.cancel(task_id)).status is TaskStatus.REVOKED
            for _ in range(5):  # until it has reached the work
                await asyncio.sleep(0)
            event.set()
    for thread in threading.enumerate():
        if thread.name == "work function":
            await asyncio.to_thread(thread.join, 10)
    assert finished == []
    assert sorted(raised) == sorted(begun)
    assert len(begun) < len(cancelled)


async def test_what_is_closed_before_it_begins_never_does() -> None:
    """A run that was prepared and closed, but not iterated, calls nothing and leaves its place."""
    called = []
    tasks = TaskStream(work_threads=1)

    @tasks.work
    def function() -> None:
        called.append("function")

    @tasks.work
    async def coroutine() -> None:
        called.append("coroutine")

    @tasks.work
    async def updates() -> AsyncIterator[Update]:
        called.append("generator")
        yield Update(1, "")

    async with tasks:
        for name in ("function", "coroutine", "updates"):
            work = tasks.works.get(name)
            threads = tasks.registry._threads  # type: ignore[attr-defined]
            async with aclosing(await work.begin(work.parse({}), threads)):
                pass
        assert called == []
        last = await last_snapshot(tasks, (await tasks.start(function)).task_id)
        assert last.status is TaskStatus.SUCCESS
    assert called == ["function"]


@pytest.mark.parametrize("kind", [coroutine_function, generator, blocking])
async def test_what_was_refused_never_begins(
    kind: Callable[[Callable[[], object]], Callable[[], object]],
) -> None:
    """Work whose task could not be made known is not begun, and leaves its place to others."""
    called: list[str] = []
    work = Work(kind(lambda: called.append("function")))
    threads = WorkThreads(1)
    task = Task.create("a name", Log(10))

    async def refuse() -> NoReturn:
        raise ConnectionError

    await task.run(partial(work.begin, work.parse({}), threads), refuse)
    assert task.snapshot.status is TaskStatus.FAILURE
    async with asyncio.timeout(10):
        await threads.join()
    assert called == []


@pytest.mark.parametrize("kind", ["blocking", "elsewhere"])
async def test_what_was_reported_is_what_is_sent(kind: str) -> None:
    """A function may go on filling what it has reported: viewers are shown what was there."""
    tasks = TaskStream()
    rows: list[int] = []
    found: dict[str, object] = {"rows": rows, "pages": set()}

    def fill() -> None:
        for number in range(2000):
            report(number / 100, str(number), found)
            rows.append(number)
            rows[0] = number

    tasks.work(name="blocking")(fill)

    @tasks.work(name="elsewhere")
    async def _() -> None:
        await asyncio.to_thread(fill)

    async with tasks:
        task_id = (await tasks.start(kind)).task_id
        seen = [event.snapshot async for event in tasks.follow(task_id) if event.snapshot]
    reports = [each for each in seen if each.status is TaskStatus.PROGRESS]
    assert reports
    for each in reports:
        number = int(each.message)
        assert each.data == {"rows": [number - 1, *range(1, number)] if number else [], "pages": []}


async def test_no_task_ends_twice() -> None:
    """Work that goes on saying things after its end isn't heard, wherever it says them."""
    tasks = TaskStream()
    heard = threading.Event()

    @tasks.work
    async def leaves_a_thread() -> AsyncIterator[Update | Output]:
        def go_on() -> None:
            try:
                while True:
                    report(50, "still here")
                    output("still here")
            except asyncio.CancelledError:
                heard.set()

        running = asyncio.create_task(asyncio.to_thread(go_on))
        yield Update(1, "begun")
        _ = running

    async with tasks:
        task_id = (await tasks.start(leaves_a_thread)).task_id
        last = await last_snapshot(tasks, task_id)
        assert last.status is TaskStatus.SUCCESS
        assert await asyncio.to_thread(heard.wait, 10)
        assert await tasks.get(task_id) == last


@pytest.mark.parametrize("value", [itertools.count, lambda: {"rows": [map(str, itertools.count())]}])
async def test_what_can_not_be_read_to_its_end(value: Callable[[], object]) -> None:
    """An iterator that work hands over is text if it has a thread, else refused in words; in data too."""
    tasks = TaskStream()
    works = [tasks.work(name=kind.__name__)(kind(value)) for kind in (blocking, coroutine_function)]

    @tasks.work
    async def reports() -> None:
        report(1, "text", value())

    @tasks.work
    async def yields() -> AsyncIterator[Update]:
        yield Update(1, "text", value())

    async with tasks:
        first, *others = [
            await last_snapshot(tasks, (await tasks.start(work)).task_id)
            for work in (*works, reports, yields)
        ]
    assert first.status is TaskStatus.SUCCESS
    for last in others:
        assert last.status is TaskStatus.FAILURE
        assert last.message.endswith("make it a list")


class Counted:
    """A value that takes a while to be encoded, and notes how often the loop has turned by then."""

    turns = 0

    def __init__(self, seen: list[int]) -> None:
        self.seen = seen

    def __str__(self) -> str:
        self.seen.append(Counted.turns)
        time.sleep(0.002)
        return "text"


@pytest.mark.parametrize("kind", [blocking, coroutine_function])
async def test_a_large_result_holds_up_nobody(
    kind: Callable[[Callable[[], object]], Callable[[], object]],
) -> None:
    """While a result is encoded, the loop goes on."""
    tasks = TaskStream()
    seen: list[int] = []
    work = tasks.work(kind(lambda: [Counted(seen) for _ in range(100)]))

    async def turn() -> None:
        while True:
            await asyncio.sleep(0.001)
            Counted.turns += 1

    turning = asyncio.create_task(turn())
    async with tasks:
        last = await last_snapshot(tasks, (await tasks.start(work)).task_id)
    turning.cancel()
    assert last.data == ["text"] * 100
    assert seen[-1] - seen[0] > 10


@pytest.mark.parametrize("data", [None, 7, False, "text", {"data": None}, ['"data":null']])
async def test_data_stands_where_it_belongs(data: object) -> None:
    """Whatever the name and the message look like, data is the data, in the log and in Python."""
    tasks = TaskStream()

    @tasks.work
    async def work() -> Result:
        return Result(data, '"data":null, \\"data\\":null')

    async with tasks:
        started = await tasks.start(work, name='","data":null,"')
        last = await last_snapshot(tasks, started.task_id)
        assert await tasks.get(started.task_id) == last
    assert (last.name, last.message, last.data) == (
        '","data":null,"',
        '"data":null, \\"data\\":null',
        data,
    )
