"""What is kept in a file, for how long, and what of it is in memory."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from taskstream import BackendUnavailable, RegistryFull, Snapshot, TaskNotFound, TaskStream
from taskstream.events import Kind
from taskstream.sqlite import journal, registry
from taskstream.sqlite.file import DatabaseFile
from tests.sqlite.conftest import Make
from tests.sqlite.test_restart import watch


async def run_until(tasks: TaskStream, event_id: int) -> str:
    """Start a long task; its id, when it has come to this event."""
    task = await tasks.start("steps", count=500)
    async for event in tasks.follow(task.task_id):
        if event.id == event_id:
            break
    return task.task_id


def rows_of(path: Path) -> int:
    """How many events the file has of tasks that go on."""
    with closing(sqlite3.connect(path)) as connection:
        [(rows,)] = connection.execute("SELECT count(*) FROM events")
    return int(rows)


async def test_ended_tasks_are_in_the_file_only(make: Make, path: Path) -> None:
    """Memory has tasks that have not ended; the logs of others are there while somebody reads them."""
    async with make(history_length=5) as tasks:
        task = await tasks.start("steps", count=100)
        events = await watch(tasks, task.task_id)
        found = tasks.registry
        assert isinstance(found, registry.FileRegistry)
        assert not found._tasks
        read = await tasks.find(task.task_id, None)
        assert (await tasks.find(task.task_id, None)).log is read.log
        del read
        assert not found._kept
        assert [event.id for event in events][-5:] == list(range(199, 204))
        assert (await watch(tasks, task.task_id))[-5:] == events[-5:]
        assert rows_of(path) == 0
        [[lines]] = await found._journal.ask("SELECT events FROM tasks", [])
        assert lines.count(b"\n") == 5 - 1  # no more than anybody was shown, beside the last


async def test_a_long_log_is_trimmed_in_the_file(
    make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a task that goes on the file has little more than its log, and the latest snapshot."""
    async with make(history_length=10) as tasks:
        await run_until(tasks, 900)
        assert rows_of(path) <= 10 + 2 * 64
    await asyncio.sleep(0)
    assert not caplog.records  # nothing was to be written when it had stopped


async def test_a_shorter_history(make: Make, path: Path) -> None:
    """What a shorter history has no place for leaves the file with the end of its task."""
    async with make(history_length=1000) as tasks:
        task_id = await run_until(tasks, 200)
    for _ in range(2):
        async with make(history_length=10) as tasks:
            assert len(await watch(tasks, task_id)) <= 10 + 2
            assert await tasks.registry.count() == (1, 0)
        assert rows_of(path) == 0


async def test_many_ends_at_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """When many tasks end in one turn of the event loop, others have theirs before all of it is written."""
    monkeypatch.setattr(journal, "ROWS_AT_ONCE", 10)
    gate = asyncio.Event()
    async with make(gate, max_tasks=100) as tasks:
        ids = [(await tasks.start("gated")).task_id for _ in range(50)]
        gate.set()
        seen = set()
        while (ended := len(await tasks.list(status="SUCCESS"))) < 50:
            seen.add(ended)
            await asyncio.sleep(0)
        assert len(seen) > 3
        assert [(await watch(tasks, task_id))[-1].kind for task_id in ids] == 50 * [Kind.LAST]


async def test_bounds(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """`max_tasks` bounds those that have not ended, `max_kept` the others: the oldest ended go first."""
    monkeypatch.setattr(journal, "LOOK_SECONDS", 0.01)
    gate = asyncio.Event()
    async with make(gate, max_tasks=2, max_kept=3) as tasks:
        ids = []
        for number in range(5):
            ids.append((await tasks.start("steps", idempotency_key=f"{number}")).task_id)
            await watch(tasks, ids[-1])
        await gone(tasks, *ids[:2])
        assert await tasks.registry.count() == (3, 0)
        assert (await tasks.start("steps", idempotency_key="2")).task_id == ids[2]
        starts = asyncio.gather(tasks.start("gated"), tasks.start("gated"))
        listed = await asyncio.create_task(tasks.list(limit=9))
        assert len(listed) == 3  # without those that are not in the file yet
        await starts
        with pytest.raises(RegistryFull):
            await tasks.start("gated")


async def test_retention(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ended task is forgotten by the clock, also if that was while no server ran; with its key."""
    monkeypatch.setattr(journal, "LOOK_SECONDS", 0.01)
    async with make() as tasks:
        task = await tasks.start("steps", idempotency_key="once")
        await watch(tasks, task.task_id)
    async with make(retention_seconds=0) as tasks:
        await gone(tasks, task.task_id)
        assert await tasks.registry.count() == (0, 0)
        assert (await tasks.start("steps", idempotency_key="once")).task_id != task.task_id


async def test_checkpoints(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write-ahead log stays small, and nothing is lost or late for ever around a checkpoint."""
    monkeypatch.setattr(journal, "WAL_BYTES", 64 * 1024)
    async with make(history_length=10_000) as tasks:
        ids = [(await tasks.start("steps", count=300)).task_id for _ in range(3)]
        for task_id in ids:
            assert [event.id for event in await watch(tasks, task_id)] == list(range(1, 604))
        assert isinstance(tasks.registry, registry.FileRegistry)
        async with asyncio.timeout(10):  # a disk may be slow to sync
            while tasks.registry._journal._file.wal_bytes >= 128 * 1024:  # noqa: ASYNC110 - SQLite tells nobody
                await asyncio.sleep(0.01)


async def test_a_checkpoint_fails(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes during a checkpoint that fails is refused, or it stays: starts, cancels, what is shown."""
    monkeypatch.setattr(journal, "WAL_BYTES", 0)  # so that each write has one
    monkeypatch.setattr(journal, "LOOK_SECONDS", 0.01)
    loop, began, released = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    pragma, failures = DatabaseFile.pragma, iter([True])

    def fail_once(file: DatabaseFile, text: str) -> None:
        loop.call_soon_threadsafe(began.set)
        released.wait()
        if next(failures, False):
            raise sqlite3.OperationalError("disk I/O error")
        pragma(file, text)

    async with make() as tasks:
        running = (await tasks.start("steps", count=100_000, wait=0.001)).task_id
        monkeypatch.setattr(DatabaseFile, "pragma", fail_once)
        await began.wait()
        starts = (tasks.start("gated", idempotency_key=key) for key in ("once", None))
        asked = asyncio.gather(*starts, tasks.cancel(running), return_exceptions=True)
        for _ in range(5):  # until all of them wait
            await asyncio.sleep(0)
        shown = await tasks.get(running)
        released.set()
        answers = await asked
        while tasks.registry._journal.problem:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        again = await tasks.start("gated", idempotency_key="once")
        for answer in (*answers, again):
            if not isinstance(answer, BackendUnavailable):
                assert isinstance(answer, Snapshot)
                assert await tasks.get(answer.task_id)
        events = await watch(tasks, running)
        assert [event.id for event in events] == list(range(1, len(events) + 1))
        assert shown in [event.snapshot for event in events]
        assert (await tasks.get(running)).status == "REVOKED"


async def test_two_places() -> None:
    """Tasks are in one place."""
    with pytest.raises(ValueError, match="in a database or in Redis"):
        await TaskStream(database="tasks.db", redis_url="redis://localhost:1/0").__aenter__()


async def gone(tasks: TaskStream, *task_ids: str) -> None:
    """Return when these tasks are forgotten."""
    for task_id in task_ids:
        with pytest.raises(TaskNotFound):  # noqa: PT012 - at some time
            while await tasks.get(task_id):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)


async def test_dropped_output(make: Make) -> None:
    """What is told as lost has numbers of its own, also of what isn't in the file yet."""
    async with make() as tasks:
        task_id = (await tasks.start("gated")).task_id
        task = await tasks.find(task_id, None)
        for _ in range(2):
            task.append_output("kept")
            task.log.append(b"", Kind.LOST)
        await tasks.cancel(task_id)
        lost = [event for event in await watch(tasks, task_id) if event.kind is Kind.LOST]
        assert [event.data for event in lost] == [b'{"from":%d,"to":%d}' % (n.id, n.id) for n in lost]
        assert len(lost) == 2
