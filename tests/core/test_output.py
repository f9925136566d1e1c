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
from unittest.mock import Mock

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
from tests.core.running import Form, blocking, coroutine, end_of, generator, other_thread, story

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

    async def say_by_yielding() -> AsyncIterator[Update | Output]:
        for number, (kind, what) in enumerate(said):
            yield Output(str(what)) if kind == "output" else Update(float(what), str(number))

    def say() -> None:
        for number, (kind, what) in enumerate(said):
            if kind == "output":
                output(str(what))
            else:
                report(float(what), str(number))

    work = say_by_yielding if form is generator else form(say)
    check(asyncio.run(story(work, output_queue_length=queue_length)), said)


def lines(count: int) -> str:
    """So many lines, which are their numbers."""
    return "".join(f"{number}\n" for number in range(count))


def say_lines(count: int) -> None:
    """Say them, each by itself."""
    for number in range(count):
        output(f"{number}\n")


async def test_a_tight_loop_is_held_back() -> None:
    """A function whose output is faster than the loop waits, so that little of it is in memory."""
    work = blocking(lambda: say_lines(20_000))
    seen = await story(work, output_queue_length=10, history_length=100_000)
    assert text_of(seen) == lines(20_000)
    most = max((event.output or "").count("\n") for event in seen)
    assert most <= 11 * 20  # what the queue holds, so often as it is taken in one turn


async def test_long_output_is_split() -> None:
    """One piece of any size arrives whole, in events of a bounded size; half a surrogate pair is `?`."""
    seen = await story(coroutine(lambda: output("0123456789" * 10_000 + "\ud800")))
    assert text_of(seen) == "0123456789" * 10_000 + "?"
    assert max(len(event.output or "") for event in seen) <= 16 * 1024


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
    logger = logging.getLogger("somebody.else")

    def scrape() -> None:
        logger.debug("not this")
        logger.info("page %d", 1)
        try:
            raise ValueError("secret")  # noqa: TRY301 - it is what is logged
        except ValueError:
            logger.exception("It failed")
            raise  # which the package logs

    logger.info("outside of a task")
    assert text_of(await story(form(scrape))) == "INFO page 1\nERROR It failed\n"
    assert "outside of a task" in caplog.text


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads wait for less than the five seconds that tests haven't."""
    monkeypatch.setattr(bridge, "STALL_SECONDS", 0.2)


@pytest.mark.usefixtures("impatient")
async def test_a_loop_that_waits_for_its_own_thread() -> None:
    """A thread doesn't wait for ever for the loop that waits for it: what is dropped is told, once."""

    async def waits() -> None:
        with ThreadPoolExecutor() as pool:
            pool.submit(copy_context().run, say_lines, 100).result()
        output("and on")

    seen = await story(waits, output_queue_length=10)
    assert text_of(seen) == lines(10) + "and on"
    assert [event.id for event in seen] == list(range(1, len(seen) + 1))
    (gone,) = [event for event in seen if event.lost]
    assert gone.lost == range(gone.id, gone.id + 1)
    assert seen[gone.id].output == "and on"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("count", [9, 100])
async def test_a_thread_that_waits_for_its_loop(count: int) -> None:
    """Blocking work that has a coroutine run in the loop hangs nobody, and nothing of that is lost."""
    loop = asyncio.get_running_loop()

    async def say() -> None:
        say_lines(count)

    def sends() -> None:
        asyncio.run_coroutine_threadsafe(say(), loop).result(10)

    assert text_of(await story(sends, output_queue_length=10)) == lines(count)


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
    said = threading.Event()

    async def leaves_it() -> None:
        pool.submit(copy_context().run, say_lines, 500).add_done_callback(lambda _: said.set())
        said.wait(10)  # without a turn of the loop

    with ThreadPoolExecutor() as pool:
        for _ in range(20):
            said.clear()
            assert text_of(await story(leaves_it)) == lines(500)


def in_a_child(steps: Iterator[int]) -> None:
    """Go on with a loop, and say more than may wait, in a process of its own."""
    list(steps)
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

    Logging and loops go on, and wait for no lock that only a thread of the parent could free.
    """

    def run() -> bool:
        output("parent")
        steps, step = track(range(3)), find_step()
        next(steps)
        assert step
        call = partial(in_a_child, steps)
        call = partial(copy_context().run, call) if copied else call
        child = multiprocessing.get_context("fork").Process(target=call, daemon=True)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(step.reporter._room.acquire).result()
            child.start()
            child.join(10)
            thread.submit(step.reporter._room.release).result()
        return child.is_alive()

    seen = await story(form(run), output_queue_length=10)
    assert text_of(seen) == "parent"
    assert "child" not in {each.snapshot.message for each in seen if each.snapshot}
    assert seen[-1].snapshot is not None
    assert seen[-1].snapshot.data is False
    assert capfd.readouterr().out == f"{lines(30)}None\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has descriptors of processes")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("leave", [sys.exit, int], ids=["exit", "return"])
async def test_a_forked_child_ends(leave: Callable[[], object]) -> None:
    """Blocking work that comes back in a child ends it, as any other thread would."""

    def run() -> bool:
        if child := os.fork():
            has_ended, _, _ = select.select([os.pidfd_open(child)], [], [], 10)
            os.kill(child, signal.SIGKILL)
            return bool(has_ended)
        return bool(leave())

    assert (await end_of(run)).data is True


@pytest.mark.parametrize("form", [blocking, coroutine])
async def test_a_recursion_that_is_too_deep_to_say_so(form: Form) -> None:
    """Its error is its own: what is said later is heard."""
    deep = Mock(**{"is_closed.return_value": False})  # in which no call has room any more
    deep.call_soon.side_effect = deep.call_soon_threadsafe.side_effect = RecursionError

    def run() -> None:
        step = find_step()
        assert step
        loop = step.reporter._loop
        step.reporter._loop = deep
        with pytest.raises(RecursionError):
            output("too deep")
        with pytest.raises(RecursionError):
            report(10, "too deep")
        step.reporter._loop = loop
        output(", but heard")
        report(20, "heard")

    seen = await story(form(run))
    assert text_of(seen) == "too deep, but heard"
    assert "heard" in [each.snapshot.message for each in seen if each.snapshot]
