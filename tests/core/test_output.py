"""Output: what a task says beside how far it is, whole and in its order."""

import asyncio
import logging
import multiprocessing
import os
import select
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

import pytest
from hypothesis import given, settings, strategies as st

from taskstream import (
    Event,
    Output,
    TaskStream,
    Update,
    bridge,
    current_task_id,
    output,
    report,
    track,
)
from taskstream.bridge import Reporter
from taskstream.log import Log
from taskstream.steps import find_step
from taskstream.tasks import Task
from taskstream.viewers import Follower
from tests.core.running import Form, blocking, coroutine, events, generator, other_thread

Said = tuple[str, str | int]
"""One thing that work says, `("output", text)` or `("report", percent)`."""

SAID = st.lists(
    st.one_of(
        st.tuples(st.just("output"), st.text(max_size=5)), st.tuples(st.just("report"), st.integers(0, 99))
    ),
    max_size=40,
)


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


@settings(max_examples=60)
@given(SAID, st.sampled_from([generator, coroutine, blocking, other_thread]), st.integers(1, 5))
def test_any_interleaving(said: list[Said], form: Form, queue_length: int) -> None:
    """However reports and output alternate, viewers get every piece once, and all of it in its order."""
    tasks = TaskStream(output_queue_length=queue_length)

    async def say_by_yielding() -> AsyncIterator[Update | Output]:
        for number, (kind, what) in enumerate(said):
            yield Output(str(what)) if kind == "output" else Update(float(what), str(number))

    def say() -> None:
        for number, (kind, what) in enumerate(said):
            if kind == "output":
                output(str(what))
            else:
                report(float(what), str(number))

    work = tasks.work(say_by_yielding if form is generator else form(say))

    async def run() -> list[Event]:
        async with tasks:
            return await events(tasks, work)

    check(asyncio.run(run()), said)


def lines(count: int) -> str:
    """So many lines, which are their numbers."""
    return "".join(f"{number}\n" for number in range(count))


def say_lines(count: int) -> None:
    """Say them, each by itself."""
    for number in range(count):
        output(f"{number}\n")


async def test_a_tight_loop_is_held_back() -> None:
    """A function whose output is faster than the loop waits, so that little of it is in memory."""
    tasks = TaskStream(output_queue_length=10, history_length=100_000)
    work = tasks.work(blocking(lambda: say_lines(20_000)))
    async with tasks:
        seen = await events(tasks, work)
    assert text_of(seen) == lines(20_000)
    most = max((event.output or "").count("\n") for event in seen)
    assert most <= 11 * 20  # what the queue holds, so often as it is taken in one turn


async def test_long_output_is_split() -> None:
    """One piece of any size arrives whole, in events of a bounded size; half a surrogate pair is `?`."""
    tasks = TaskStream()
    work = tasks.work(coroutine(lambda: output("0123456789" * 10_000 + "\ud800")))
    async with tasks:
        seen = await events(tasks, work)
    assert text_of(seen) == "0123456789" * 10_000 + "?"
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


@pytest.fixture
def root_handler() -> Iterator[logging.Handler]:
    """A handler of the root logger for what is logged in tasks."""
    handler = TaskStream().log_handler(logging.INFO)
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.mark.usefixtures("root_handler")
@pytest.mark.parametrize("form", [coroutine, blocking, other_thread])
async def test_records_of_logging_become_output(form: Form, caplog: pytest.LogCaptureFixture) -> None:
    """What code logs in a task is its output, wherever it runs: no traceback, and nothing of others."""
    caplog.set_level(logging.DEBUG)
    tasks = TaskStream()
    logger = logging.getLogger("somebody.else")

    def scrape() -> None:
        logger.debug("not this")
        logger.info("page %d", 1)
        try:
            raise ValueError("secret")  # noqa: TRY301 - it is what is logged
        except ValueError:
            logger.exception("It failed")
            raise  # which the package logs

    work = tasks.work(form(scrape))
    async with tasks:
        logger.info("outside of a task")
        assert text_of(await events(tasks, work)) == "INFO page 1\nERROR It failed\n"
    assert "outside of a task" in caplog.text


def test_outside_of_a_task_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """A function with output stays an ordinary function: called as one, it prints."""
    output("a")
    output("b", end="\n")
    assert capsys.readouterr().out == "ab\n"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads wait for less than the five seconds that tests haven't."""
    monkeypatch.setattr(bridge, "STALL_SECONDS", 0.2)


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
    assert text_of(seen) == lines(10) + "and on"
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
        assert text_of(await events(tasks, sends)) == lines(count)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("queue_length", "piece"), [(10, "a line\n"), (1000, 10_000 * "x")])
async def test_a_log_that_takes_nothing_is_waited_for(queue_length: int, piece: str) -> None:
    """While a log can't be written, a thread waits as long as that lasts, and nothing is dropped."""
    task = Task.create("a name", Log(100))
    reporter = task.reporter = Reporter(task, queue_length)
    reporter.paused = True

    def say() -> None:
        for _ in range(30):
            reporter.output(piece)

    saying = asyncio.create_task(asyncio.to_thread(say))
    await asyncio.wait([saying], timeout=2 * bridge.STALL_SECONDS)
    assert not saying.done()
    reporter.resume()
    await saying
    reporter.flush()
    seen = Follower(task.log, 0)
    assert text_of([event for _ in range(10) for event in seen.take_events()]) == 30 * piece


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
                assert text_of(seen) == lines(500)


def in_a_child() -> None:
    """Say more than may wait, in a process of its own."""
    logging.getLogger("somebody.else").warning("not from here")
    for number in track(range(30), "child"):
        report(number, "child", {"number": number})
        output(f"{number}\n")
    print(current_task_id())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.usefixtures("root_handler")
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("form", [blocking, other_thread])
async def test_a_forked_child_is_outside_of_the_task(
    form: Form, copied: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """In a child process, also in a context that was copied before, `report` does nothing, `output` prints.

    Logging goes on, and nothing hangs.
    """
    tasks = TaskStream(output_queue_length=10)

    def run() -> bool:
        output("parent")
        call = partial(copy_context().run, in_a_child) if copied else in_a_child
        child = multiprocessing.get_context("fork").Process(target=call)
        child.start()
        child.join(10)
        return child.is_alive()

    work = tasks.work(form(run))
    async with tasks:
        seen = await events(tasks, work)
    assert text_of(seen) == "parent"
    assert [each.snapshot.status for each in seen if each.snapshot] == ["PENDING", "STARTED", "SUCCESS"]
    assert seen[-1].snapshot is not None
    assert seen[-1].snapshot.data is False
    assert capfd.readouterr().out == f"{lines(30)}None\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has descriptors of processes")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("leave", [sys.exit, int], ids=["exit", "return"])
async def test_a_forked_child_ends(leave: Callable[[], object]) -> None:
    """Blocking work that comes back in a child ends it, as any other thread would."""
    tasks = TaskStream()

    @tasks.work
    def run() -> bool:
        if child := os.fork():
            has_ended, _, _ = select.select([os.pidfd_open(child)], [], [], 10)
            os.kill(child, signal.SIGKILL)
            return bool(has_ended)
        return bool(leave())

    async with tasks:
        last = (await events(tasks, run))[-1].snapshot
    assert last is not None
    assert last.data is True


@pytest.mark.parametrize("form", [blocking, coroutine])
async def test_a_recursion_that_is_too_deep_to_say_so(form: Form) -> None:
    """Its error is its own: what is said later is heard."""
    tasks = TaskStream()

    def run() -> None:
        step = find_step()
        assert step
        loop = step.reporter._loop
        step.reporter._loop = DeepLoop()  # type: ignore[assignment]
        with pytest.raises(RecursionError):
            output("too deep")
        with pytest.raises(RecursionError):
            report(10, "too deep")
        step.reporter._loop = loop
        output(", but heard")
        report(20, "heard")

    async with tasks:
        seen = await events(tasks, tasks.work(form(run)))
    assert text_of(seen) == "too deep, but heard"
    assert "heard" in [each.snapshot.message for each in seen if each.snapshot]


class DeepLoop:
    """An event loop that is called where no call has room any more."""

    def call_soon(self, _: object) -> None:
        """Have no room for another call."""
        raise RecursionError

    call_soon_threadsafe = call_soon

    def is_closed(self) -> bool:
        """Go on nevertheless."""
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_loop_that_goes_on_in_a_forked_child() -> None:
    """It tells nobody, and waits for no thread that only the parent has."""
    tasks = TaskStream()
    held, free = threading.Event(), threading.Event()

    def hold(reporter: Reporter) -> None:
        with reporter._room:
            held.set()
            free.wait()

    @tasks.work
    def run() -> int | None:
        steps = track(range(3))
        next(steps)
        step = find_step()
        assert step
        thread = threading.Thread(target=hold, args=(step.reporter,))
        thread.start()
        held.wait()
        child = multiprocessing.get_context("fork").Process(target=list, args=(steps,))
        child.start()
        child.join(10)
        free.set()
        thread.join()
        return child.exitcode

    async with tasks:
        last = (await events(tasks, run))[-1].snapshot
    assert last is not None
    assert last.data == 0
