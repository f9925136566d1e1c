"""`report` and `track` find the current task from wherever the work calls them, and do well without one."""

import asyncio
import math
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextvars import copy_context

import pytest

from taskstream import Snapshot, TaskStatus, TaskStream, output, report, track
from tests.client.running import run_in_terminal
from tests.core.running import snapshots, story
from tests.support.programs import ROOT


def messages(story: list[Snapshot]) -> list[str]:
    """What was reported."""
    return [each.message for each in story if each.status is TaskStatus.PROGRESS]


def helper(word: str) -> None:
    """Some function that knows nothing of tasks but `report`."""
    report(10, word, {"thread": threading.current_thread() is not threading.main_thread()})


async def in_a_task() -> None:
    async def inner() -> None:
        helper("in a task")

    await asyncio.create_task(inner())


async def in_a_copied_context() -> None:
    context = copy_context()
    thread = threading.Thread(target=context.run, args=(helper, "in a copied context"))
    thread.start()
    await asyncio.to_thread(thread.join)


@pytest.mark.parametrize(
    ("call", "elsewhere"),
    [(in_a_task, False), (in_a_copied_context, True)],
)
async def test_from_coroutines(call: Callable[[], Awaitable[None]], elsewhere: bool) -> None:
    """A coroutine function is work as it stands; whatever it calls reports for its task."""

    async def work() -> str:
        await call()
        return "the result"

    seen = [each.snapshot for each in await story(work) if each.snapshot]
    assert messages(seen) == [call.__name__.replace("_", " ")]
    assert seen[2].data == {"thread": elsewhere}
    assert (seen[-1].status, seen[-1].data) == (TaskStatus.SUCCESS, "the result")


async def test_each_to_its_own() -> None:
    """Tasks that run at the same time, and tasks that start tasks, each report for themselves."""
    tasks = TaskStream()
    all_begun = asyncio.Event()
    begun = 0

    @tasks.work
    async def work(*, word: str) -> list[str]:
        nonlocal begun
        begun += 1
        if begun == 10:
            all_begun.set()
        await all_begun.wait()
        await asyncio.to_thread(helper, word)
        inner = await snapshots(tasks, blocking, word=f"in {word}")
        await asyncio.to_thread(helper, word)
        return messages(inner)

    @tasks.work
    def blocking(*, word: str) -> None:
        helper(word)

    async with tasks:
        seen = await asyncio.gather(*(snapshots(tasks, work, word=str(number)) for number in range(10)))
    for number, told in enumerate(seen):
        assert messages(told) == [str(number)] * 2
        assert told[-1].data == [f"in {number}"]


async def test_track() -> None:
    """`track` hands over the items, with a report before each and after the last."""
    tasks = TaskStream()

    @tasks.work
    async def with_length() -> list[str]:
        items = []
        for item in track("abcd", "Resizing"):
            items.append(item)
            await asyncio.sleep(0)
        return items

    @tasks.work
    async def without_length() -> list[int]:
        return list(track(iter(range(3))))

    @tasks.work
    async def with_total(*, count: int = 3) -> list[int]:
        items: Iterator[int] = (number for number in range(count))
        return list(track(items, "Counting", total=4))

    @tasks.work
    async def of_nothing() -> list[int]:
        return list(track([], "Nothing"))

    async with tasks:
        seen = await snapshots(tasks, with_length)
        assert [(each.message, each.progress) for each in seen[2:-1]] == [
            (f"Resizing: {number} of 4", min(25 * number, 99)) for number in range(5)
        ]
        assert seen[-1].data == ["a", "b", "c", "d"]
        length_hint = await snapshots(tasks, without_length)
        assert messages(length_hint)[-1] == "Working: 3 of 3"
        assert messages(await snapshots(tasks, with_total)) == [
            "Counting: 3 of 4"
        ]  # those of one turn are merged
        assert [each.progress for each in await snapshots(tasks, with_total, count=9)][-2] == 99
        assert messages(await snapshots(tasks, of_nothing)) == ["Nothing: 0"]


def test_an_ordinary_function(capsys: pytest.CaptureFixture[str]) -> None:
    """Called as one, it is one: `report` does nothing, `track` hands over the items, `output` prints."""
    tasks = TaskStream()

    @tasks.work
    def resize(*, images: int) -> int:
        report(50, "nobody is told", object())
        output("a")
        output("b", end="\n")
        return sum(track(range(images)))

    assert resize(images=4) == 6
    assert capsys.readouterr() == ("ab\n", "")


@pytest.mark.parametrize(
    ("say", "sentence"),
    [
        (lambda: report("5", 3), "The message has to be text (str), not int"),  # type: ignore[arg-type]
        (lambda: report(5, None), "The message has to be text (str), not NoneType"),  # type: ignore[arg-type]
        (lambda: report("5", "text"), "The progress has to be a finite number (percent), not str"),  # type: ignore[arg-type]
        (lambda: report(math.inf, "text"), "The progress has to be a finite number (percent), not inf"),
        (lambda: report(math.nan, "text"), "The progress has to be a finite number (percent), not nan"),
        (lambda: output(5), "Output has to be text (str), not int"),  # type: ignore[arg-type]
        (lambda: output("5", end=None), "Output has to be text (str), not NoneType"),  # type: ignore[arg-type]
    ],
)
def test_mistakes(say: Callable[[], None], sentence: str) -> None:
    """What can't be said raises outside of a task the sentence that viewers of one would read."""
    with pytest.raises(TypeError) as error:
        say()
    assert str(error.value) == sentence


TRACK = "from taskstream import track; print(sum(track(range(4), 'Resizing')))"


def test_a_bar_on_a_terminal() -> None:
    """Outside of a task, `track` draws a bar on a terminal, and nothing anywhere else."""
    code, screen = run_in_terminal("-c", TRACK)
    assert (code, "6\r\n" in screen) == (0, True)
    assert "Resizing" in screen
    assert "100%" in screen
    command = [sys.executable, "-c", TRACK]
    done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("6\n", "")
