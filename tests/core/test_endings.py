"""However work ends, its task does; and nothing goes on, or is even begun, that was cancelled."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from starlette.exceptions import HTTPException

from taskstream import (
    Output,
    Result,
    TaskStatus,
    TaskStream,
    Update,
    WorkError,
    current_task_id,
    output,
    report,
)
from taskstream.errors import InvalidParameters, TaskNotFound, TryLater
from taskstream.log import Log
from taskstream.tasks import Task
from taskstream.threads import WorkThreads
from taskstream.work import Work
from tests.core.running import (
    FORMS,
    Form,
    Function,
    blocking,
    coroutine,
    end_of,
    generator,
    last_snapshot,
    other_thread,
    story,
)


def throws(error: Callable[..., BaseException], *arguments: object) -> Callable[[], NoReturn]:
    """Something that raises such an error, another one each time, as it keeps the frames that it passes."""

    def throw() -> NoReturn:
        raise error(*arguments)

    return throw


def unexpected(name: str) -> str:
    """What viewers are told of an error that isn't made for them."""
    return f"Unexpected {name}: the server's log has the details"


class Panic(BaseException):
    """What some libraries raise, and `except Exception` lets through."""


class Speechless(WorkError):
    """An error whose words are for viewers, and which has none."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


class Incomplete(HTTPException):
    """An error that was never told of a detail."""

    def __init__(self) -> None:
        pass


NOT_FINITE = "The progress has to be a finite number (percent), not"

FAILURES: list[tuple[Function, str]] = [
    (throws(WorkError, "The disk is full"), "The disk is full"),
    (throws(WorkError), "Failed"),
    (throws(HTTPException, 404, "There is no such page"), "There is no such page"),
    (throws(HTTPException, 400, {"code": 7}), unexpected("HTTPException")),
    (throws(TaskNotFound, "7", 300), str(TaskNotFound("7", 300))),
    (throws(InvalidParameters.of, "rows", "Too many"), "rows: Too many"),
    (throws(KeyError, "/secret/path"), unexpected("KeyError")),
    (throws(StopIteration, 7), unexpected("RuntimeError")),
    (throws(StopAsyncIteration, 7), unexpected("RuntimeError")),
    (throws(asyncio.CancelledError), unexpected("CancelledError")),
    (throws(SystemExit, "the whole server?"), unexpected("SystemExit")),
    (throws(KeyboardInterrupt), unexpected("KeyboardInterrupt")),
    (throws(Panic), unexpected("Panic")),
    (throws(WorkError, "\ud800"), "?"),
    (throws(Speechless), unexpected("Speechless")),
    (throws(Incomplete), unexpected("Incomplete")),
    (throws(BaseExceptionGroup, "two", [Panic(), KeyError()]), unexpected("BaseExceptionGroup")),
    (throws(ExceptionGroup, "a", [ExceptionGroup("b", [WorkError("No disk")])]), "No disk"),
    (lambda: Update("a", "text"), f"{NOT_FINITE} str"),  # type: ignore[arg-type]
    (lambda: Update(float("nan"), "text"), f"{NOT_FINITE} nan"),
    (lambda: report(10**5000, "text"), f"{NOT_FINITE} int"),
    (lambda: Update(30, None), "The message has to be text (str), not NoneType"),  # type: ignore[arg-type]
    (lambda: Result(7, 5), "The message has to be text (str), not int"),  # type: ignore[arg-type]
    (lambda: Output(5), "Output has to be text (str), not int"),  # type: ignore[arg-type]
]
ASYNCIO_KEEPS = {unexpected(name) for name in ("RuntimeError", "SystemExit", "KeyboardInterrupt")}
"""What asyncio doesn't hand over from a thread as it is."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("function", "message"), FAILURES)
async def test_failure(
    function: Function, message: str, form: Form, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever work raises, viewers are told in words, the log has the traceback, and the next one runs."""
    if form is other_thread and message in ASYNCIO_KEEPS:
        pytest.skip("asyncio itself doesn't hand this over from a thread")
    tasks = TaskStream(work_threads=1)
    work = tasks.work(form(function))
    next_one = tasks.work(name="next")(lambda: None)
    async with tasks:
        last = await last_snapshot(tasks, work)
        assert (last.status, last.message, last.data) == (TaskStatus.FAILURE, message, None)
        assert await tasks.get(last.task_id) == last
        assert (await last_snapshot(tasks, next_one)).status is TaskStatus.SUCCESS
    assert f"Task {last.task_id} ('work') failed" in caplog.text
    assert "Traceback" in caplog.text


async def test_no_text_can_look_like_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What a client sent can't forge lines of the server's log, nor command its terminal."""
    hostile = f"no page \x1b]0;owned\x07\nINFO:     forged\rINFO:     forged\x9b2J{'x' * 5_000_000}\x1b"
    await end_of(coroutine(throws(ValueError, hostile)))
    first, *traceback = caplog.text.rstrip("\n").split("\n")
    assert "failed" in first
    assert "  ValueError: no page " in caplog.text
    for line in traceback:
        assert line.startswith("  ")
        assert line.isprintable()
        assert len(line) < 11_000  # a long one would hold up the loop
    assert caplog.records[0].exc_info


async def test_work_that_cancels_its_own_task(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever cancels the task, it is cancelled."""
    tasks = TaskStream()

    @tasks.work
    async def work() -> None:
        running = asyncio.current_task()
        assert running
        running.cancel()
        await asyncio.sleep(0)

    cleaned: list[bool] = []

    @tasks.work
    async def generator() -> AsyncIterator[Update]:
        try:
            await tasks.cancel(current_task_id() or "")
            yield Update(50, "nobody hears of this")
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async with tasks:
        assert (await last_snapshot(tasks, work)).status is TaskStatus.REVOKED
        assert (await last_snapshot(tasks, generator)).status is TaskStatus.REVOKED
    assert cleaned == [True]
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_stop_ends_children_too(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What a stop ends can still ask for its children and cancel them, from a thread too; not start any."""
    tasks = TaskStream(database=tmp_path / "tasks.db" if kind == "sqlite" else None)
    begun, told = threading.Barrier(3), list[str]()

    @tasks.work
    async def child(*, ends: bool) -> None:
        await asyncio.sleep(0 if ends else 600)

    @tasks.work
    async def parent() -> None:
        children = [await tasks.start(child, ends=ends) for ends in (True, False)]
        [_ async for _ in tasks.follow(children[0].task_id)]
        try:
            await asyncio.to_thread(begun.wait, 10)
            await asyncio.sleep(600)
        finally:
            with pytest.raises(TryLater, match=r"^The server stops: nothing is started any more\.$"):
                await tasks.start(child, ends=True)
            told.extend([(await tasks.cancel(each.task_id)).task_id for each in children])

    @tasks.work
    def parent_in_a_thread() -> None:
        started = tasks.sync.start(child, ends=False)
        try:
            begun.wait(10)
            while True:
                report(50, "running")
        finally:
            told.append(tasks.sync.cancel(started.task_id).task_id)

    async with tasks:
        await tasks.start(parent)
        await tasks.start(parent_in_a_thread)
        await asyncio.to_thread(begun.wait, 10)
    assert len(told) == 3
    assert caplog.text == ""
    with pytest.raises(RuntimeError, match="isn't running"):
        await tasks.get(told[0])


@pytest.mark.parametrize("seed", range(20))
async def test_a_cancelled_function_does_not_go_on(seed: int) -> None:
    """Cancelled at any moment, a function either never begins or has its next report raise."""
    draw = random.Random(seed)
    tasks = TaskStream(work_threads=8)
    begun: list[int] = []
    raised: list[int] = []
    finished: list[int] = []
    cancelled = [threading.Event() for _ in range(50)]

    @tasks.work
    def function(*, number: int) -> None:
        begun.append(number)
        try:
            cancelled[number].wait(10)
            report(1, "first")
            finished.append(number)
        except asyncio.CancelledError:
            raised.append(number)
            raise

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


@pytest.mark.parametrize("form", [generator, coroutine, blocking])
async def test_what_was_refused_never_begins(form: Form) -> None:
    """Work whose task could not be made known is not begun, and leaves its place to others."""
    called: list[str] = []
    work = Work(form(lambda: called.append("function")))
    threads = WorkThreads(1)
    task = Task.create("a name", Log(10))

    async def refuse() -> NoReturn:
        raise ConnectionError

    await task.run(partial(work.begin, work.parse({}), threads), refuse, 10)
    assert task.snapshot.status is TaskStatus.FAILURE
    async with asyncio.timeout(10):
        await threads.join()
    assert called == []


@pytest.mark.parametrize("form", [blocking, other_thread])
async def test_what_was_reported_is_what_is_sent(form: Form) -> None:
    """A function may go on filling what it has reported: viewers are shown what was there."""
    rows: list[int] = []

    def fill() -> None:
        for number in range(2000):
            report(number / 100, str(number), {"rows": rows, "pages": set()})
            rows.append(number)
            rows[0] = number

    seen = [each.snapshot for each in await story(form(fill)) if each.snapshot]
    reports = [each for each in seen if each.status is TaskStatus.PROGRESS]
    assert reports
    for each in reports:
        number = int(each.message)
        assert each.data == {"rows": [number - 1, *range(1, number)] if number else [], "pages": []}


async def test_no_task_ends_twice() -> None:
    """Work that goes on saying things after its end isn't heard, wherever it says them."""
    tasks = TaskStream()
    heard = threading.Event()

    def go_on() -> None:
        try:
            while True:
                report(50, "still here")
                output("still here")
        except asyncio.CancelledError:
            heard.set()

    @tasks.work
    async def leaves_a_thread() -> AsyncIterator[Update]:
        running = asyncio.create_task(asyncio.to_thread(go_on))
        yield Update(1, "begun")
        _ = running

    async with tasks:
        last = await last_snapshot(tasks, leaves_a_thread)
        assert last.status is TaskStatus.SUCCESS
        assert await asyncio.to_thread(heard.wait, 10)
        assert await tasks.get(last.task_id) == last


NO_JSON = "The data has a count in it, which is no JSON: make it a list"
NOT_RUN = (
    "The work returned the async generator generator.<locals>.work(…), and none of it has run: "
    "yield what it yields; a decorator needs `functools.wraps`"
)
NO_UPDATE = "The work yielded {}, not an Update, Output or Result"


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (blocking(itertools.count), "Done"),
        (coroutine(itertools.count), NO_JSON),
        (coroutine(lambda: report(1, "text", {"rows": [itertools.count()]})), NO_JSON),
        (generator(lambda: Update(1, "text", itertools.count())), NO_JSON),
        (blocking(generator(lambda: None)), NOT_RUN),
        (coroutine(generator(lambda: None)), NOT_RUN),
        (generator(lambda: 30), NO_UPDATE.format("int")),
        (generator(lambda: None), NO_UPDATE.format("NoneType")),
        (generator(lambda: (5, "text")), NO_UPDATE.format("tuple")),
    ],
    ids=["thread", "coroutine", "report", "update", "steps", "awaited steps", "number", "nothing", "tuple"],
)
async def test_what_can_not_be_handed_over(work: Function, message: str) -> None:
    """What is no update is refused in words, and an iterator in data, which is text if it has a thread."""
    last = await end_of(work)
    assert (last.status == "SUCCESS", last.message) == (message == "Done", message)


@pytest.mark.parametrize("form", [blocking, coroutine])
async def test_a_large_result_holds_up_nobody(form: Form) -> None:
    """While a result is encoded, the loop goes on."""
    turns = 0
    seen: list[int] = []

    class Slow:
        """A value that takes a while to be encoded, and notes how often the loop has turned by then."""

        def __str__(self) -> str:
            seen.append(turns)
            time.sleep(0.002)
            return "text"

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    turning = asyncio.create_task(turn())
    last = await end_of(form(lambda: [Slow() for _ in range(100)]))
    turning.cancel()
    assert last.data == ["text"] * 100
    assert seen[-1] - seen[0] > 10


@pytest.mark.parametrize("data", [None, 7, False, "text", {"data": None}, ['"data":null']])
async def test_data_stands_where_it_belongs(data: object) -> None:
    """Whatever the name and the message look like, data is the data."""
    tasks = TaskStream()
    name, message = '","data":null,"', '"data":null, \\"data\\":null'
    work = tasks.work(coroutine(lambda: Result(data, message)))
    async with tasks:
        last = await last_snapshot(tasks, work, name=name)
    assert (last.name, last.message, last.data) == (name, message, data)
