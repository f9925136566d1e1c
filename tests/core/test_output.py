"""Output: what a task says beside how far it is, whole and in its order."""

import asyncio
import logging
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from hypothesis import given, settings, strategies as st

from taskstream import Event, Output, Result, TaskStream, Update, bridge, output, report, track
from taskstream.bridge import Reporter
from taskstream.log import HISTORY_BYTES, Log
from taskstream.tasks import Task

Said = tuple[str, str | int]
"""One thing that work says, `("output", text)` or `("report", percent)`."""

SAID = st.lists(
    st.one_of(
        st.tuples(st.just("output"), st.text(max_size=5)), st.tuples(st.just("report"), st.integers(0, 99))
    ),
    max_size=40,
)


async def events(tasks: TaskStream, work: Callable[..., object]) -> list[Event]:
    """All events of a run of some work."""
    snapshot = await tasks.start(work)
    return [event async for event in tasks.follow(snapshot.task_id)]


def text_of(seen: list[Event]) -> str:
    """The output in some events."""
    return "".join(event.output or "" for event in seen)


def check(seen: list[Event], said: list[Said]) -> None:
    """Each event has its number, the text is whole, and stands where it was said between the reports.

    Reports in a row may be merged: each that is there has to come after all that was said before it.
    """
    assert [event.id for event in seen] == list(range(1, len(seen) + 1))
    assert text_of(seen) == "".join(str(what) for kind, what in said if kind == "output")
    before: dict[str, str] = {}
    text = ""
    for number, (kind, what) in enumerate(said):
        if kind == "output":
            text += str(what)
        else:
            before[str(number)] = text
    text = ""
    for event in seen:
        text += event.output or ""
        if event.snapshot and event.snapshot.status == "PROGRESS":
            assert text == before[event.snapshot.message]
    if said and said[-1][0] == "report":
        assert seen[-2].snapshot is not None
        assert seen[-2].snapshot.message == str(len(said) - 1)


@settings(max_examples=60, deadline=None)
@given(SAID, st.sampled_from(["generator", "coroutine", "blocking", "elsewhere"]), st.integers(1, 5))
def test_any_interleaving(said: list[Said], kind: str, queue_length: int) -> None:
    """However reports and output alternate, viewers get every piece once, and all of it in its order."""
    tasks = TaskStream(output_queue_length=queue_length)

    def say() -> None:
        for number, (kind, what) in enumerate(said):
            if kind == "output":
                output(str(what))
            else:
                report(float(what), str(number))

    @tasks.work
    async def generator() -> AsyncIterator[Update | Output]:
        for number, (kind, what) in enumerate(said):
            yield Output(str(what)) if kind == "output" else Update(float(what), str(number))

    @tasks.work
    async def coroutine() -> None:
        say()

    @tasks.work
    def blocking() -> None:
        say()

    @tasks.work
    async def elsewhere() -> None:
        await asyncio.to_thread(say)

    async def run() -> list[Event]:
        async with tasks:
            return await events(tasks, tasks.works.get(kind).function)

    check(asyncio.run(run()), said)


async def test_a_tight_loop_is_held_back() -> None:
    """A function whose output is faster than the loop waits, so that little of it is in memory."""
    tasks = TaskStream(output_queue_length=10)
    most = 0

    @tasks.work
    def count(*, pieces: int = 20_000) -> str:
        for number in range(pieces):
            output(f"{number}\n")
        return "done"

    async with tasks:
        snapshot = await tasks.start(count)
        last = 0
        async for event in tasks.follow(snapshot.task_id):
            if event.output:
                numbers = [int(each) for each in event.output.split()]
                assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
                most = max(most, len(numbers))
                last = numbers[-1]
        assert last == 19_999
    assert most <= 11 * 20  # what the queue holds, so often as it is taken in one turn


async def test_a_function_that_waits_can_be_cancelled() -> None:
    """Cancelling reaches a function that is held back: its output raises."""
    tasks = TaskStream(output_queue_length=1)
    raised = threading.Event()

    @tasks.work
    def endless() -> None:
        try:
            while True:
                output("again")
        except asyncio.CancelledError:
            raised.set()
            raise

    async with tasks:
        snapshot = await tasks.start(endless)
        async for event in tasks.follow(snapshot.task_id):
            if event.output:
                break
        assert (await tasks.cancel(snapshot.task_id)).status == "REVOKED"
        assert await asyncio.to_thread(raised.wait, 10)


async def test_long_output_is_split() -> None:
    """One piece of any size arrives whole, in events of a bounded size."""
    tasks = TaskStream()
    text = "0123456789" * 10_000

    @tasks.work
    async def long() -> AsyncIterator[Output | Result]:
        yield Output(text)
        yield Result("end")

    async with tasks:
        seen = await events(tasks, long)
    assert text_of(seen) == text
    assert max(len(event.output or "") for event in seen) <= 16 * 1024


async def test_what_was_dropped_is_told() -> None:
    """A viewer who comes too late for some output learns which, and has the latest snapshot first."""
    tasks = TaskStream(history_length=3)

    @tasks.work
    async def talk() -> AsyncIterator[Update | Output]:
        yield Update(40, "Before")
        for number in range(20):
            await asyncio.sleep(0)
            yield Output(f"{number}\n")
        await asyncio.Event().wait()

    async with tasks:
        snapshot = await tasks.start(talk)
        async for event in tasks.follow(snapshot.task_id):
            if event.output == "19\n":
                break
        late = tasks.follow(snapshot.task_id)
        told, bar, *rest = [await anext(late) for _ in range(5)]
        assert told.lost == range(1, rest[0].id)
        assert bar.snapshot is not None
        assert (bar.snapshot.progress, bar.id) == (40, 3)
        assert text_of(rest) == "17\n18\n19\n"


def test_a_log_is_bounded_in_bytes() -> None:
    """However large its events are, a log takes no more than it may; the latest event always stays."""
    log = Log(1000)
    log.append(b'"%b"' % (b"x" * 2 * HISTORY_BYTES))
    assert log.after(0)[1] == 1
    for _ in range(100):
        log.append(b'"%b"' % (b"x" * (HISTORY_BYTES // 10)))
    kept, position = log.after(0)
    while position < log.last_id:
        piece, position = log.after(position)
        kept += piece
    assert kept.startswith(b'event: lost\ndata: {"from":1,"to":92}\n\nid: 93\n')
    assert len(kept) <= HISTORY_BYTES + 100


async def test_records_of_logging_become_output(caplog: pytest.LogCaptureFixture) -> None:
    """With the handler, what code logs in a task is its output, also in threads; nothing else is."""
    caplog.set_level(logging.INFO)
    tasks = TaskStream()
    logger = logging.getLogger("somebody.else")
    handler = tasks.log_handler(logging.INFO)
    logger.addHandler(handler)

    @tasks.work
    def scrape() -> None:
        logger.debug("not this")
        logger.info("page %d", 1)
        try:
            raise ValueError("secret")  # noqa: TRY301 - it is what is logged
        except ValueError:
            logger.exception("It failed")

    @tasks.work
    async def asynchronous() -> None:
        logger.info("page %d", 2)
        raise ValueError("secret")

    try:
        async with tasks:
            logger.info("outside of a task")
            assert text_of(await events(tasks, scrape)) == "INFO page 1\nERROR It failed\n"
            assert text_of(await events(tasks, asynchronous)) == "INFO page 2\n"
    finally:
        logger.removeHandler(handler)


async def test_the_root_logger_may_have_the_handler() -> None:
    """What the package logs of a task that failed, with the traceback, is not shown to viewers."""
    tasks = TaskStream()
    handler = tasks.log_handler()
    logging.getLogger().addHandler(handler)

    @tasks.work
    async def fails() -> None:
        raise ValueError("secret")

    try:
        async with tasks:
            assert text_of(await events(tasks, fails)) == ""
    finally:
        logging.getLogger().removeHandler(handler)


def test_outside_of_a_task_it_prints() -> None:
    """A function with output stays an ordinary function: called as one, it prints."""
    program = "from taskstream import output; output('a'); output('b', end='\\n')"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert printed.stdout == "ab\n"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads wait for less than the five seconds that tests haven't."""
    monkeypatch.setattr(bridge, "STALL_SECONDS", 0.2)


def say_lines(count: int) -> None:
    """Say so many lines."""
    for number in range(count):
        output(f"{number}\n")


@pytest.mark.usefixtures("impatient")
async def test_a_loop_that_waits_for_its_own_thread() -> None:
    """A thread doesn't wait for ever for the loop that waits for it: what is dropped is told, once."""
    tasks = TaskStream(output_queue_length=10)

    @tasks.work
    async def waits() -> None:
        with ThreadPoolExecutor() as pool:
            pool.submit(copy_context().run, say_lines, 100).result()
        output("and on")

    async with asyncio.timeout(10), tasks:
        seen = await events(tasks, waits)
    assert text_of(seen) == "".join(f"{number}\n" for number in range(10)) + "and on"
    assert [event.id for event in seen] == list(range(1, len(seen) + 1))
    (gone,) = [event for event in seen if event.lost]
    assert gone.lost == range(gone.id, gone.id + 1)
    assert seen[gone.id].output == "and on"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("count", [9, 100])
async def test_a_thread_that_waits_for_its_loop(count: int) -> None:
    """Blocking work that has a coroutine run in the loop hangs nobody, and nothing of that is lost."""
    tasks = TaskStream(output_queue_length=10)
    loop = asyncio.get_running_loop()

    async def say() -> None:
        say_lines(count)

    @tasks.work
    def sends() -> None:
        asyncio.run_coroutine_threadsafe(say(), loop).result(10)

    async with asyncio.timeout(10), tasks:
        assert text_of(await events(tasks, sends)) == "".join(f"{number}\n" for number in range(count))


@pytest.mark.usefixtures("impatient")
async def test_a_log_that_takes_nothing_is_waited_for() -> None:
    """While a log can't be written, a thread waits as long as that lasts, and nothing is dropped."""
    task = Task.create("a name", Log(100))
    reporter = task.reporter = Reporter(task, 10)
    reporter.paused = True
    saying = asyncio.create_task(asyncio.to_thread(reporter_says, reporter, 30))
    await asyncio.wait([saying], timeout=1)
    assert not saying.done()
    reporter.paused = False
    reporter.flush()
    await saying
    reporter.flush()
    assert text_of(task.log.events_after(0)) == "".join(f"{number}\n" for number in range(30))


def reporter_says(reporter: Reporter, count: int) -> None:
    """Say so many lines without a task."""
    for number in range(count):
        reporter.output(f"{number}\n")


async def test_a_thread_that_nobody_waits_for() -> None:
    """What a thread of a coroutine has said before the next event, or the end, is in the log before it."""
    tasks = TaskStream()
    said = threading.Event()

    @tasks.work
    async def leaves_it() -> None:
        pool.submit(copy_context().run, say_lines, 500).add_done_callback(lambda _: said.set())
        said.wait(10)  # without a turn of the loop

    with ThreadPoolExecutor() as pool:
        async with tasks:
            for _ in range(20):
                said.clear()
                seen = await events(tasks, leaves_it)
                assert text_of(seen) == "".join(f"{number}\n" for number in range(500))


def in_a_child(what: str) -> int:
    """Say more than may wait, in a process of its own."""
    logging.getLogger("somebody.else").warning("not from here")
    for number in track(range(30), what):
        report(number, what, {"number": number})
        output(f"{number}\n")
    return 30


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", ["blocking", "asynchronous"])
async def test_a_forked_child_is_outside_of_the_task(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In a child process, `report` does nothing, `output` prints, logging goes on, and nothing hangs."""
    tasks = TaskStream(output_queue_length=10)
    handler = tasks.log_handler()
    logging.getLogger("somebody.else").addHandler(handler)

    def run() -> int:
        with multiprocessing.get_context("fork").Pool(1) as pool:
            return pool.apply_async(in_a_child, ["child"]).get(10)

    @tasks.work
    def blocking() -> int:
        output("parent")
        return run()

    @tasks.work
    async def asynchronous() -> int:
        output("parent")
        return await asyncio.to_thread(run)

    try:
        async with tasks:
            seen = await events(tasks, tasks.works.get(kind).function)
    finally:
        logging.getLogger("somebody.else").removeHandler(handler)
    assert text_of(seen) == "parent"
    assert [each.snapshot.status for each in seen if each.snapshot] == ["PENDING", "STARTED", "SUCCESS"]
    assert seen[-1].snapshot is not None
    assert seen[-1].snapshot.data == 30
    assert "0\n1\n2\n" in capfd.readouterr().out
