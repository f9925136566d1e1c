"""Tasks and their registry."""

import asyncio
import functools
import gc
import json
import logging
import random
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from types import AsyncGeneratorType
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from taskstream.errors import InvalidParameters, RegistryFull, TaskNotFound
from taskstream.events import TaskStatus
from taskstream.registry import MemoryRegistry, Registry
from taskstream.reporting import report
from taskstream.settings import Settings
from taskstream.tasks import Task
from taskstream.updates import Output, Result, Update, WorkError
from taskstream.viewers import Follower
from taskstream.work import Work

Updates = AsyncIterator[Update | Output | Result]


@pytest.fixture
async def registry() -> AsyncIterator[MemoryRegistry]:
    registry = MemoryRegistry(Settings())
    yield registry
    await registry.close()


async def start(registry: Registry, function: Callable[[], object]) -> Task:
    work = Work(function)
    return await registry.start(work, work.parse({}), "a name")


async def snapshots(task: Task) -> list[dict[str, Any]]:
    """All snapshots of a task, up to its end."""
    text = b""
    with Follower(task.log, 0) as viewer:
        while events := await viewer.read():
            text += events
    return [json.loads(line[6:]) for line in text.split(b"\n") if line.startswith(b"data: ")]


async def until(task: Task, status: TaskStatus) -> None:
    """Return once a task has been in this state."""
    with Follower(task.log, 0) as viewer:
        while f'"status":"{status}"'.encode() not in await viewer.read():
            pass


def others() -> set[asyncio.Task[Any]]:
    """The asyncio tasks besides this one."""
    return asyncio.all_tasks() - {asyncio.current_task()}


async def three_steps() -> Updates:
    for step in (1, 2, 3):
        yield Update(step * 25, f"Step {step}", {"step": step})


async def with_result() -> Updates:
    yield Update(50, "Half")
    yield Result([1, 2, 3], "Found three")


async def up_and_down() -> Updates:
    for progress in (10, -5, 28.9999, 7, 100, 1000, 50):
        yield Update(progress, "")


async def for_ever() -> Updates:
    while True:
        await asyncio.sleep(3600)
        yield Update(0, "never")


async def says_why_it_fails() -> Updates:
    yield Update(30, "So far")
    raise WorkError("The disk is full")


async def breaks() -> Updates:
    yield Update(30, "So far")
    raise KeyError("/secret/path")


async def exits() -> Updates:
    yield Update(30, "So far")
    sys.exit("the whole server?")


class NoText:
    """What can't even be turned into text."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


class Panic(BaseException):
    """What some libraries raise, and `except Exception` lets through."""


async def panics() -> Updates:
    yield Update(30, "So far")
    raise Panic


async def interrupts() -> Updates:
    yield Update(30, "So far")
    raise KeyboardInterrupt


async def fails_without_words() -> Updates:
    raise WorkError
    yield


def yields(make: Callable[[], Any]) -> Callable[[], Updates]:
    """Work that yields one value."""

    async def work() -> Updates:
        yield make()

    return work


async def cancels_itself() -> Updates:
    yield Update(30, "So far")
    raise asyncio.CancelledError


async def deaf() -> Updates:
    while True:
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            yield Update(10, "I didn't hear that")
        yield Update(5, "Still here")


async def never_awaits() -> Updates:
    while True:
        yield Update(1, "Mine, all mine")


@functools.wraps(three_steps)
def does_not_begin() -> Updates:
    raise KeyError


def cleans_up(log: list[str]) -> Callable[[], Updates]:
    """Work that says in a list that it has cleaned up."""

    async def work() -> Updates:
        try:
            yield Update(10, "Opened")
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    return work


async def test_the_life_of_a_task(registry: Registry) -> None:
    """A task is PENDING, STARTED, then in PROGRESS, and ends in SUCCESS at 100 percent."""
    story = await snapshots(await start(registry, three_steps))
    assert [(each["status"], each["progress"], each["message"], each["data"]) for each in story] == [
        ("PENDING", 0, "Waiting to start", None),
        ("STARTED", 0, "Started", None),
        ("PROGRESS", 25, "Step 1", {"step": 1}),
        ("PROGRESS", 50, "Step 2", {"step": 2}),
        ("PROGRESS", 75, "Step 3", {"step": 3}),
        ("SUCCESS", 100, "Done", None),
    ]


async def test_a_result(registry: Registry) -> None:
    """What work hands over at its end is the data of its SUCCESS."""
    last = (await snapshots(await start(registry, with_result)))[-1]
    assert (last["status"], last["message"], last["data"]) == ("SUCCESS", "Found three", [1, 2, 3])


async def test_progress_never_goes_down(registry: Registry) -> None:
    """Progress is a whole percentage, never goes down, and stays below 100 until the end."""
    story = await snapshots(await start(registry, up_and_down))
    assert [each["progress"] for each in story] == [0, 0, 10, 10, 29, 29, 99, 99, 99, 100]


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (says_why_it_fails, "The disk is full"),
        (breaks, "Unexpected KeyError: the server's log has the details"),
        (exits, "Unexpected SystemExit: the server's log has the details"),
        (panics, "Unexpected Panic: the server's log has the details"),
        (interrupts, "Unexpected KeyboardInterrupt: the server's log has the details"),
        (fails_without_words, "Failed"),
        (yields(lambda: 30), "The work yielded int, not an Update, Output or Result"),
        (yields(lambda: "text"), "The work yielded str, not an Update, Output or Result"),
        (yields(lambda: None), "The work yielded None, not an Update, Output or Result"),
        (yields(lambda: (5, "text")), "The work yielded tuple, not an Update, Output or Result"),
        (yields(lambda: Update("a", 5)), "The message has to be text (str), not int"),  # type: ignore[arg-type]
        (yields(lambda: Update(30, None)), "The message has to be text (str), not None"),  # type: ignore[arg-type]
        (yields(lambda: Result(7, NoText())), "The message has to be text (str), not NoText"),  # type: ignore[arg-type]
        (yields(lambda: Output(5)), "Output has to be text (str), not int"),  # type: ignore[arg-type]
        (
            yields(lambda: Update("a", "text")),  # type: ignore[arg-type]
            "The progress has to be a finite number (percent), not str",
        ),
        (
            yields(lambda: Update(float("nan"), "text")),
            "The progress has to be a finite number (percent), not nan",
        ),
    ],
)
async def test_failure(
    registry: Registry, caplog: pytest.LogCaptureFixture, work: Callable[..., Updates], message: str
) -> None:
    """Viewers are told what people can understand; the traceback goes to the server's log."""
    task = await start(registry, work)
    last = (await snapshots(task))[-1]
    assert (last["status"], last["message"], last["data"]) == ("FAILURE", message, None)
    assert "secret" not in json.dumps(last)
    assert f"Task {task.task_id} ('a name') failed" in caplog.text
    assert "Traceback" in caplog.text


async def test_work_that_does_not_begin(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    """A task whose work can't even begin fails like any other."""
    task = await start(registry, does_not_begin)
    assert [each["status"] for each in await snapshots(task)] == ["PENDING", "FAILURE"]
    assert "KeyError" in caplog.text


async def test_cancel(registry: Registry) -> None:
    """Cancelling ends a task at once, and lets its work clean up."""
    log: list[str] = []
    task = await start(registry, cleans_up(log))
    await until(task, TaskStatus.PROGRESS)
    await registry.cancel(task.task_id)
    assert task.snapshot.status is TaskStatus.REVOKED
    await asyncio.wait(others())
    assert log == ["closed"]
    assert [each["status"] for each in await snapshots(task)][-2:] == ["PROGRESS", "REVOKED"]


async def test_cancel_before_the_beginning(registry: Registry) -> None:
    """A task that is cancelled before it has begun has never started."""
    task = await start(registry, for_ever)
    await registry.cancel(task.task_id)
    assert [(each["status"], each["started_at"]) for each in await snapshots(task)] == [
        ("PENDING", None),
        ("REVOKED", None),
    ]


async def awaits_a_cancelled_child() -> Updates:
    yield Update(30, "So far")
    child = asyncio.create_task(asyncio.sleep(60))
    child.cancel()
    await child


async def awaits_a_cancelled_future() -> Updates:
    yield Update(30, "So far")
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("work", [cancels_itself, awaits_a_cancelled_child, awaits_a_cancelled_future])
async def test_a_cancellation_by_nobody(
    registry: Registry, work: Callable[..., Updates], caplog: pytest.LogCaptureFixture
) -> None:
    """`CancelledError` of what work waits for, while nobody cancels the task, fails, and is logged."""
    last = (await snapshots(await start(registry, work)))[-1]
    assert (last["status"], last["progress"]) == ("FAILURE", 30)
    assert last["message"] == "Unexpected CancelledError: the server's log has the details"
    assert work.__name__ in caplog.text


async def cancels_its_own_task() -> Updates:
    yield Update(30, "So far")
    running = asyncio.current_task()
    assert running
    running.cancel()
    await asyncio.sleep(0)


async def test_work_that_cancels_its_own_task(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever cancels the task, it is cancelled."""
    assert (await snapshots(await start(registry, cancels_its_own_task)))[-1]["status"] == "REVOKED"
    assert caplog.text == ""


def raising(make: Callable[[], BaseException]) -> Callable[[], Updates]:
    """Work that raises an error."""

    async def work() -> Updates:
        yield Update(1, "So far")
        raise make()

    return work


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HTTPException(404, "There is no such page"), "There is no such page"),
        (
            lambda: HTTPException(400, {"code": 7}),  # type: ignore[arg-type]
            "Unexpected HTTPException: the server's log has the details",
        ),
        (lambda: TaskNotFound("7", 300), str(TaskNotFound("7", 300))),
        (lambda: InvalidParameters.of("rows", "Too many"), "rows: Too many"),
    ],
)
async def test_errors_that_are_made_for_people(
    registry: Registry, make: Callable[[], BaseException], message: str
) -> None:
    """The detail of what would be answered to a client is the message of the failure."""
    assert (await snapshots(await start(registry, raising(make))))[-1]["message"] == message


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07", "\nINFO:     forged", "\rINFO:     forged", "\x9b2J"])
async def test_no_text_can_look_like_the_log(
    registry: Registry, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What a client sent can't forge lines of the server's log, nor command its terminal."""
    await snapshots(await start(registry, raising(lambda: ValueError(f"no page {text}"))))
    first, *traceback = caplog.text.rstrip("\n").split("\n")
    assert "failed" in first
    assert "  ValueError: no page " in caplog.text
    for line in traceback:
        assert line.startswith("  ")
        assert line.isprintable()
    assert caplog.records[0].exc_info


async def test_work_that_will_not_be_cancelled(registry: Registry) -> None:
    """After the last event nothing more is published, and the work is stopped at its next update."""
    task = await start(registry, deaf)
    await until(task, TaskStatus.PROGRESS)
    await registry.cancel(task.task_id)
    last_id = task.log.last_id
    await asyncio.wait(others())
    assert task.log.last_id == last_id
    assert task.snapshot.status is TaskStatus.REVOKED


async def test_work_that_never_awaits(registry: Registry) -> None:
    """Work that never awaits doesn't starve the others."""
    await start(registry, never_awaits)
    story = await snapshots(await start(registry, three_steps))
    assert story[-1]["status"] == "SUCCESS"


async def test_ids_can_not_be_guessed(registry: Registry) -> None:
    """An id has 96 random bits, and then the mark of who gave it out."""
    ids = {(await start(registry, three_steps)).task_id for _ in range(100)}
    assert len(ids) == 100
    assert {len(task_id) for task_id in ids} == {32}
    assert {task_id[24:] for task_id in ids} == {registry.mark}
    bits = [int(task_id[:24], 16) for task_id in ids]
    assert all(20 <= sum(each >> bit & 1 for each in bits) <= 80 for bit in range(96))


async def test_unknown_task(registry: Registry) -> None:
    """An id that nobody knows is named in the error, though not at any length."""
    with pytest.raises(
        TaskNotFound, match=r"^Task '3f2a' not found: .* forgotten 300 s after it ended, sooner "
    ):
        await registry.get("3f2a")
    with pytest.raises(TaskNotFound) as error:
        await registry.cancel("x" * 10_000)
    assert len(str(error.value)) < 200


async def test_retention() -> None:
    """An ended task is forgotten after its time; one that runs is not."""
    registry = MemoryRegistry(Settings(retention_seconds=0.05))
    running = await start(registry, for_ever)
    task = await start(registry, three_steps)
    await snapshots(task)
    assert await registry.get(task.task_id) is task
    forgotten = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.call_later(0.05, lambda: loop.call_later(0, forgotten.set))
    await forgotten.wait()
    with pytest.raises(TaskNotFound, match=r"0\.05 s"):
        await registry.get(task.task_id)
    assert await registry.get(running.task_id) is running
    await registry.close()


async def test_a_full_registry() -> None:
    """The task that ended first makes room; tasks that run don't."""
    registry = MemoryRegistry(Settings(max_tasks=3))
    first, second = await start(registry, for_ever), await start(registry, for_ever)
    third = await start(registry, three_steps)
    await snapshots(third)
    await registry.cancel(first.task_id)
    for gone in (third, first):
        await start(registry, for_ever)
        with pytest.raises(TaskNotFound):
            await registry.get(gone.task_id)
        assert await registry.get(second.task_id) is second
    with pytest.raises(RegistryFull, match="All 3 places"):
        await start(registry, for_ever)
    assert await registry.count() == (3, 3)
    await registry.close()


async def test_thousands_of_tasks_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Ended, failed, cancelled and forgotten tasks leave no task, timer, generator or log behind."""
    caplog.set_level(logging.CRITICAL)
    registry = MemoryRegistry(Settings(retention_seconds=0, max_tasks=10_000))
    works = [three_steps, with_result, for_ever, says_why_it_fails, breaks, cancels_itself, deaf]
    draw = random.Random(1)

    async def one() -> None:
        work = draw.choice(works)
        task = await start(registry, work)
        for _ in range(draw.randint(0, 5)):
            await asyncio.sleep(0)
        if work in (for_ever, deaf):
            await registry.cancel(task.task_id)
        await snapshots(task)

    for _ in range(30):
        await asyncio.gather(*(one() for _ in range(100)))
    while remaining := others():
        await asyncio.wait(remaining)
    while await registry.count() != (0, 0):  # noqa: ASYNC110 - nobody is told that a task is forgotten
        await asyncio.sleep(0)
    gc.collect()
    kept = [each for each in gc.get_objects() if isinstance(each, (Task, AsyncGeneratorType))]
    kept = [each for each in kept if isinstance(each, Task) or each.ag_code.co_filename == __file__]
    assert kept == []
    assert vars(registry)["_records"] == vars(registry)["_ended"] == {}


@pytest.mark.parametrize("kind", ["generator", "coroutine", "blocking"])
async def test_forgotten_logs_are_freed_at_once(kind: str) -> None:
    """A task that is forgotten frees its log, which may be a mebibyte, without the garbage collector."""

    async def generator() -> Updates:
        yield Update(50, "Half")

    async def coroutine() -> None:
        report(50, "Half")

    def blocking() -> None:
        report(50, "Half")

    works = {"generator": generator, "coroutine": coroutine, "blocking": blocking}
    registry = MemoryRegistry(Settings(retention_seconds=0))
    gc.collect()
    gc.disable()
    try:
        task = await start(registry, works[kind])
        log = weakref.ref(task.log)
        await snapshots(task)
        del task
        async with asyncio.timeout(10):
            while log():  # noqa: ASYNC110 - nobody is told that a task is forgotten
                await asyncio.sleep(0)
    finally:
        gc.enable()
    await registry.close()


async def test_close_ends_everything() -> None:
    """A stopping server cancels what runs, and doesn't wait for what won't stop."""
    registry = MemoryRegistry(Settings())
    log: list[str] = []
    tasks = [await start(registry, cleans_up(log)), await start(registry, for_ever)]
    await until(tasks[0], TaskStatus.PROGRESS)
    await registry.close()
    assert {task.snapshot.status for task in tasks} == {TaskStatus.REVOKED}
    assert log == ["closed"]
    assert not others()


async def test_close_lets_a_thread_clean_up() -> None:
    """A blocking function that reports has the same moment to clean up; who doesn't is left behind."""
    registry = MemoryRegistry(Settings())
    log: list[str] = []
    go_on = threading.Event()

    def works() -> None:
        try:
            while True:
                report(10, "Working")
                time.sleep(0.01)
        finally:
            log.append("cleaned up")

    def is_deaf() -> None:
        go_on.wait()

    tasks = [await start(registry, works), await start(registry, is_deaf)]
    await until(tasks[0], TaskStatus.PROGRESS)
    await registry.close()
    assert log == ["cleaned up"]
    go_on.set()


async def test_waiting_for_a_place() -> None:
    """A task is PENDING for as long as its work waits for a place."""
    registry = MemoryRegistry(Settings(work_threads=1))
    go_on = threading.Event()

    def waits() -> None:
        go_on.wait()

    first = await start(registry, waits)
    task = await start(registry, lambda: report(10, "Begun"))
    await until(first, TaskStatus.STARTED)
    assert task.snapshot.status is TaskStatus.PENDING
    go_on.set()
    statuses = [each["status"] for each in await snapshots(task)]
    assert statuses == ["PENDING", "STARTED", "PROGRESS", "SUCCESS"]
    await registry.close()
