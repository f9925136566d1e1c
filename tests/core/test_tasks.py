"""The life of a task, from its start to its end."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from taskstream import Result, TaskNotFound, TaskStatus, TaskStream, Update, output, report, track
from tests.core.running import (
    Updates,
    last_snapshot,
    others,
    start_until,
    three_steps,
)


@pytest.mark.parametrize("in_a_thread", [False, True])
async def test_the_life_of_a_task(in_a_thread: bool) -> None:
    """A task is PENDING, STARTED, then in PROGRESS, and ends in SUCCESS with its result, at 100 percent."""
    tasks = TaskStream()
    taken = threading.Semaphore(0)

    def blocking() -> Result:
        for step in (1, 2, 3):
            report(step * 25, f"Step {step}", {"step": step})
            taken.acquire()  # or reports in a row would be merged
        return Result([1, 2, 3], "Found three")

    work = tasks.work(blocking if in_a_thread else three_steps)
    story = []
    async with tasks:
        async for event in tasks.follow((await tasks.start(work, name="a name")).task_id):
            assert event.snapshot
            story.append(event.snapshot)
            if event.snapshot.status is TaskStatus.PROGRESS:
                taken.release()
    assert [(each.status, each.progress, each.message, each.data) for each in story] == [
        ("PENDING", 0, "Waiting to start", None),
        ("STARTED", 0, "Started", None),
        ("PROGRESS", 25, "Step 1", {"step": 1}),
        ("PROGRESS", 50, "Step 2", {"step": 2}),
        ("PROGRESS", 75, "Step 3", {"step": 3}),
        ("SUCCESS", 100, "Found three", [1, 2, 3]),
    ]
    assert {each.name for each in story} == {"a name"}


async def test_what_has_no_encoding() -> None:
    """Half of a surrogate pair, as in the name of a file that isn't UTF-8, is shown as a question mark."""
    tasks = TaskStream()

    @tasks.work
    async def read() -> Updates:
        yield Update(50, "Reading \udcff.txt")
        yield Result(None, "Read \udcff.txt")

    async with tasks:
        task = await tasks.start(read, name="\udcff.txt")
        told = [event.snapshot async for event in tasks.follow(task.task_id) if event.snapshot]
    assert [each.message for each in told[2:]] == ["Reading ?.txt", "Read ?.txt"]
    assert {each.name for each in told} == {"?.txt"}


def reports(go_on: threading.Event) -> None:
    while True:
        report(10, "Begun")
        go_on.wait(10)


def tracks(go_on: threading.Event) -> None:
    for _ in track(itertools.count(), "Begun"):
        go_on.wait(10)


def is_held_back(_: threading.Event) -> None:
    report(10, "Begun")
    while True:
        output("again")


@pytest.mark.parametrize(
    ("say", "message"), [(reports, "Begun"), (tracks, "Begun: 0"), (is_held_back, "Begun")]
)
async def test_a_cancelled_function(say: Callable[[threading.Event], None], message: str) -> None:
    """What it says next raises what careless work lets through; its place is free when it returns."""
    tasks = TaskStream(work_threads=1, output_queue_length=1)
    go_on = threading.Event()
    raised: list[type[BaseException]] = []

    @tasks.work
    def function() -> None:
        try:
            say(go_on)
        except Exception:  # noqa: BLE001 - what careless work does
            raised.append(Exception)
        except BaseException as error:
            raised.append(type(error))
            raise

    next_one = tasks.work(name="next")(lambda: None)
    async with asyncio.timeout(20), tasks:
        await tasks.cancel(await start_until(tasks, function, message))
        waiting = asyncio.create_task(last_snapshot(tasks, next_one))
        if say is not is_held_back:
            await asyncio.sleep(0.01)
            assert not waiting.done()
        go_on.set()
        assert (await waiting).status is TaskStatus.SUCCESS
    assert raised == [asyncio.CancelledError]


async def test_a_bounded_number_of_threads() -> None:
    """No more functions run at a time than there are places, and as many as there are."""
    tasks = TaskStream(work_threads=3)
    all_run = threading.Barrier(3, timeout=10)
    running: list[int] = []
    seen: list[int] = []

    @tasks.work
    def function(*, number: int) -> None:
        running.append(number)
        all_run.wait()
        seen.append(len(running))
        running.remove(number)

    async with tasks:
        await asyncio.gather(*(last_snapshot(tasks, function, number=number) for number in range(21)))
    assert max(seen) == 3


async def test_work_that_will_not_be_cancelled() -> None:
    """After the last event nothing more is published, and the work is stopped at its next update."""
    tasks = TaskStream()
    asleep = asyncio.Event()

    @tasks.work
    async def deaf() -> Updates:
        with suppress(asyncio.CancelledError):
            asleep.set()
            await asyncio.sleep(3600)
        while True:
            yield Update(10, "I didn't hear that")

    async with asyncio.timeout(10), tasks:
        idle = others()
        task_id = (await tasks.start(deaf)).task_id
        await asleep.wait()
        last = await tasks.cancel(task_id)
        assert last.status is TaskStatus.REVOKED
        await asyncio.wait(others() - idle)
        assert await tasks.get(task_id) == last


async def test_work_that_never_awaits() -> None:
    """Work that never awaits doesn't starve the others."""
    tasks = TaskStream()

    @tasks.work
    async def never_awaits() -> Updates:
        while True:
            yield Update(1, "Mine, all mine")

    tasks.work(three_steps)
    async with tasks:
        await tasks.start(never_awaits)
        assert (await last_snapshot(tasks, three_steps)).status is TaskStatus.SUCCESS


async def test_ids_can_not_be_guessed() -> None:
    """An id has 96 random bits, and then the mark of who gave it out."""
    tasks = TaskStream()
    tasks.work(three_steps)
    async with tasks:
        ids = {(await tasks.start(three_steps)).task_id for _ in range(100)}
    assert len(ids) == 100
    assert {len(task_id) for task_id in ids} == {32}
    assert len({task_id[24:] for task_id in ids}) == 1
    bits = [int(task_id[:24], 16) for task_id in ids]
    assert all(20 <= sum(each >> bit & 1 for each in bits) <= 80 for bit in range(96))


async def test_unknown_task() -> None:
    """An id that nobody knows is named in the error, though not at any length."""
    async with TaskStream(retention_seconds=2_592_000) as tasks:
        with pytest.raises(
            TaskNotFound, match=r"^Task '3f2a' not found: .* forgotten 2592000 s after it ended, sooner "
        ):
            await tasks.get("3f2a")
        with pytest.raises(TaskNotFound) as error:
            await tasks.cancel("x" * 10_000)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("kept", ["in memory", "in a file"])
async def test_list(kept: str, tmp_path: Path) -> None:
    """A status may be text; what is none, or is no limit, is refused in words, wherever tasks are kept."""
    tasks = TaskStream(database=str(tmp_path / "tasks.db") if kept == "in a file" else None)

    @tasks.work
    async def hold() -> None:
        report(10, "Holding")
        await asyncio.Event().wait()

    async with tasks:
        task_id = await start_until(tasks, hold, "Holding")
        for status in (None, TaskStatus.PROGRESS, "PROGRESS"):
            assert [each.task_id for each in await tasks.list(status=status)] == [task_id]
        assert await tasks.list(status="SUCCESS") == []
        assert await tasks.list(limit=0) == []
        assert len(await tasks.list(limit=10**20)) == 1
        with pytest.raises(TaskNotFound):
            await tasks.get("\ud800")
        with pytest.raises(ValueError, match="'RUNNING' is not a valid TaskStatus"):
            await tasks.list(status="RUNNING")
        with pytest.raises(ValueError, match="The limit has to be 0 or more, not -1"):
            await tasks.list(limit=-1)
