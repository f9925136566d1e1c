"""What goes wrong with a file: at the start, and while tasks run."""

import asyncio
import errno
import os
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from taskstream import BackendUnavailable, Snapshot, TaskStream, Update, output, report
from taskstream.sqlite import journal
from taskstream.sqlite.file import APPLICATION_ID, CHECKPOINT, DatabaseFile, DatabaseUnusable
from taskstream.sqlite.log import commit
from tests.core.running import cleans_up, start_until
from tests.sqlite.conftest import Make
from tests.support.programs import Program, Server

Trouble = Callable[[Path, TaskStream], AbstractContextManager[None]]


def raises(error: Exception) -> None:
    raise error


def of_another_program(path: Path) -> None:
    sqlite3.connect(path).execute("CREATE TABLE cats (name)").connection.close()


def of_version(path: Path, number: int) -> None:
    script = f"CREATE TABLE x (y); PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}"
    sqlite3.connect(path).executescript(script).connection.close()


def damaged(path: Path) -> None:
    """One of ours, with a hole in the middle."""
    DatabaseFile(str(path)).close()
    pages = path.read_bytes()
    path.write_bytes(pages[:4096] + b"\x07" * (len(pages) - 4096))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a directory": (Path.mkdir, "is no file"),
    "a pipe": (os.mkfifo, "is no file"),
    "no folder": (lambda path: path.parent.rmdir(), "can't be opened: No such file or directory"),
    "text": (lambda path: path.write_text("Dear diary, " * 99), "is no SQLite database"),
    "of another program": (of_another_program, "belongs to another program"),
    "of a newer version": (partial(of_version, number=9), "was made by a newer version"),
    "of an older version": (partial(of_version, number=1), "was made by an older version"),
    "damaged": (damaged, "is damaged"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_what_cannot_be_opened(make: Make, path: Path, what: str) -> None:
    """It is said in a sentence what is wrong with a file, and then it can be tried again."""
    spoil, sentence = WRONG[what]
    spoil(path)
    for _ in range(2):
        with pytest.raises(DatabaseUnusable, match=sentence):
            await make().__aenter__()


@pytest.mark.skipif(sys.platform == "win32", reason="there locks are Windows' own")
@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES, errno.ENOLCK, errno.EOPNOTSUPP])
async def test_locks(make: Make, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Who can't have the lock is told of another process only if there is one: some disks have no locks."""
    error = OSError(number, os.strerror(number))
    monkeypatch.setattr("fcntl.lockf", lambda *_: raises(error))
    taken = number in (errno.EAGAIN, errno.EACCES)
    sentence = "is open in another process" if taken else f"can't be opened: {error.strerror}"
    with pytest.raises(DatabaseUnusable, match=sentence):
        await make().__aenter__()


async def test_an_empty_file(make: Make, path: Path) -> None:
    """An empty file is as good as none: it may be what is left of the first start."""
    path.touch()
    async with make() as tasks:
        await tasks.start("steps")


def test_one_process(path: Path, start_server: Callable[..., Server]) -> None:
    """A second process says who has the file, and ends with code 2; when the first has ended, it may."""
    server = start_server("--database", str(path))
    with Program("app.py", "--port", "0", "--database", str(path)) as second:
        assert second.wait(30) == 2
        assert second.output.count("\n") == 1
        assert f"is open in another process ({server.process.pid})" in second.output
    server.process.kill()
    server.wait()
    start_server("--database", str(path))


async def test_once_in_a_process(make: Make) -> None:
    """Two applications of one process don't share a file, and the lock stays with the first."""
    async with make():
        for _ in range(2):
            with pytest.raises(DatabaseUnusable, match="is open in this process already"):
                await make().__aenter__()


@contextmanager
def locked(path: Path, _: TaskStream) -> Iterator[None]:
    """Another program is in the middle of a change."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.close()


@contextmanager
def full(_: Path, tasks: TaskStream) -> Iterator[None]:
    """The file can't grow."""
    connection = tasks.registry._journal._file.connection  # type: ignore[attr-defined]
    connection.execute("PRAGMA max_page_count = 1")
    yield
    connection.execute("PRAGMA max_page_count = 1000000")


@contextmanager
def moved(path: Path, _: TaskStream) -> Iterator[None]:
    """The file is not where it was."""
    away = path.rename(path.with_name("away"))
    yield
    away.replace(path)


@contextmanager
def replaced(path: Path, tasks: TaskStream) -> Iterator[None]:
    """Another file is where it was."""
    with moved(path, tasks):
        path.touch()
        yield


async def until_it_fails(ask: Callable[[], Awaitable[object]]) -> None:
    while True:
        await ask()
        await asyncio.sleep(0.01)


TROUBLES: dict[Trouble, str] = {
    locked: "locked by another program",
    full: "full",
    moved: "deleted",
    replaced: "replaced",
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: str(trouble.__name__))
async def test_while_it_cannot_be_written(make: Make, path: Path, trouble: Trouble) -> None:
    """Starts are refused, nothing shows that may be gone, work waits; later on everything goes on."""
    gate = asyncio.Event()
    tasks = make(gate, history_length=20)
    yielded = 0

    @tasks.work
    async def endless() -> AsyncIterator[Update]:
        nonlocal yielded
        while True:
            yielded += 1
            yield Update(50, f"{yielded}", "x" * 4096)
            await asyncio.sleep(0)

    @tasks.work
    async def talkative() -> None:
        begun.set()
        await gate.wait()
        for number in range(1000):
            report(number / 10, f"{number}")
            output(f"{number}\n")
            await asyncio.sleep(0)
        done.set()

    begun, done = asyncio.Event(), asyncio.Event()
    async with tasks:
        generator, coroutine = await tasks.start(endless), await tasks.start(talkative)
        follower = tasks.follow(generator.task_id)
        await begun.wait()
        with trouble(path, tasks):
            with pytest.raises(BackendUnavailable, match=TROUBLES[trouble]):
                await until_it_fails(tasks.registry.count)
            with pytest.raises(BackendUnavailable, match=TROUBLES[trouble]):
                await tasks.start(endless, idempotency_key="refused")
            with pytest.raises(BackendUnavailable, match=TROUBLES[trouble]):
                await tasks.cancel(generator.task_id)
            gate.set()
            await done.wait()
            shown, stopped_at = await tasks.get(generator.task_id), yielded
            await asyncio.sleep(0.05)
            assert (await tasks.get(generator.task_id), yielded) == (shown, stopped_at)
            assert int(shown.message) < stopped_at
            assert (await tasks.get(coroutine.task_id)).status == "STARTED"
            log = tasks.registry._tasks[coroutine.task_id].log  # type: ignore[attr-defined]
            assert len(log.waiting()) <= 20 + 3
        events = [event async for event in tasks.follow(coroutine.task_id)]
        assert (await tasks.get(coroutine.task_id)).status == "SUCCESS"
        assert any(event.lost for event in events)
        assert events[-2].output == "999\n"
        async for event in follower:
            if event.snapshot and event.snapshot.message == f"{stopped_at + 5}":
                break
        await tasks.registry.count()
        assert (await tasks.cancel(generator.task_id)).status == "REVOKED"
        assert (await tasks.start("steps", idempotency_key="refused")).status == "PENDING"
    async with make() as again:
        assert (await again.registry.count())[1] == 0
        assert (await again.get(generator.task_id)).status == "REVOKED"


async def test_threads_that_wait_for_starts(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint needs no thread of those in which an application waits for what waits for it."""
    monkeypatch.setattr(journal, "WAL_BYTES", 1)
    tasks, gate = make(), threading.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    async with tasks, asyncio.timeout(10):
        waiting = asyncio.create_task(asyncio.to_thread(gate.wait))
        for _ in range(20):
            await tasks.start("steps")
        gate.set()
        await waiting


async def test_a_start_that_was_written(make: Make) -> None:
    """It is answered as such, even if the file fails before its client is told."""
    async with make() as tasks:
        start = asyncio.create_task(tasks.start("gated"))
        written = tasks.registry._journal  # type: ignore[attr-defined]
        while not written._changed:  # noqa: ASYNC110 - in this very turn
            await asyncio.sleep(0)
        written.write()
        written.fail("The disk has failed.")
        assert (await start).status == "PENDING"
        with pytest.raises(BackendUnavailable, match="The disk has failed"):
            await tasks.start("gated")


async def test_starts_in_two_transactions(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the second of two fails, those that are not in the file are refused, and the others answered."""
    monkeypatch.setattr(journal, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(journal, "LOOK_SECONDS", 0.01)
    fails = iter([False, True])

    def commit_first(*arguments: Any) -> object:
        if next(fails, False):
            raise sqlite3.OperationalError("The disk has failed.")
        return commit(*arguments)

    async with asyncio.timeout(10), make() as tasks:
        monkeypatch.setattr(journal, "commit", commit_first)
        starts = (tasks.start("gated") for _ in range(30))
        answers = await asyncio.gather(*starts, return_exceptions=True)
        answered = [each.task_id for each in answers if isinstance(each, Snapshot)]
        assert 0 < len(answered) < 30
        assert sum(isinstance(each, BackendUnavailable) for each in answers) == 30 - len(answered)
        assert {each.task_id for each in await tasks.list()} == {*answered}


async def test_a_file_that_is_deleted_during_a_checkpoint(
    make: Make, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written into what is no file any more."""
    monkeypatch.setattr(journal, "WAL_BYTES", 1)
    pragma = DatabaseFile.pragma

    def delete_first(file: DatabaseFile, text: str) -> object:
        if text == CHECKPOINT:
            path.unlink(missing_ok=True)
        return pragma(file, text)

    async with make() as tasks:
        monkeypatch.setattr(DatabaseFile, "pragma", delete_first)
        await tasks.start("gated")
        for _ in range(2):
            with pytest.raises(BackendUnavailable, match="deleted"):
                await until_it_fails(tasks.registry.count)
            await asyncio.sleep(0.01)


async def test_a_write_ahead_log_that_is_deleted(make: Make, path: Path) -> None:
    """What is new is there first, so nothing is acknowledged any more, as if the file itself were gone."""
    async with make() as tasks:
        await tasks.start("gated")
        path.with_name("tasks.db-wal").unlink()
        with pytest.raises(BackendUnavailable, match="deleted"):
            await tasks.start("gated")


async def test_no_more_threads(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is looked after although the system has no thread left."""
    monkeypatch.setattr(journal, "LOOK_SECONDS", 0.01)
    async with asyncio.timeout(10), make(retention_seconds=0) as tasks:
        monkeypatch.setattr("threading.Thread.start", lambda _: raises(RuntimeError("no thread")))
        await tasks.start("steps")
        while (await tasks.registry.count())[0]:  # noqa: ASYNC110 - nobody tells of what is forgotten
            await asyncio.sleep(0.01)


async def test_a_stop_that_is_cancelled(make: Make) -> None:
    """Work is stopped, and the file closed, although whoever stops doesn't wait for it."""
    tasks, cleaned = make(), asyncio.Event()
    work = tasks.work(cleans_up(cleaned))

    async def run() -> None:
        async with tasks:
            await start_until(tasks, work, "Opened")
            asyncio.get_running_loop().call_soon(stopping.cancel)

    stopping = asyncio.create_task(run())
    await asyncio.wait([stopping])
    assert stopping.cancelled()
    async with asyncio.timeout(10), make():
        await cleaned.wait()


async def test_stopping_while_it_is_locked(make: Make, path: Path) -> None:
    """Work is cancelled, and cleans up, whatever becomes of the file."""
    tasks, cleaned = make(), asyncio.Event()
    work = tasks.work(cleans_up(cleaned))
    with ExitStack() as stack:
        async with tasks:
            await start_until(tasks, work, "Opened")
            stack.enter_context(locked(path, tasks))
        assert cleaned.is_set()


async def test_cancelling_twice(make: Make) -> None:
    """Who cancels again while the first end is not in the file yet doesn't cut short what cleans up."""
    tasks, cleaned = make(), asyncio.Event()
    work = tasks.work(cleans_up(cleaned, turns=20))
    async with tasks:
        task_id = await start_until(tasks, work, "Opened")
        async with tasks.registry._journal._in_use:  # type: ignore[attr-defined]  # as by a checkpoint
            first = asyncio.create_task(tasks.cancel(task_id))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            second = asyncio.create_task(tasks.cancel(task_id))
            async with asyncio.timeout(10):
                await cleaned.wait()
        tasks.registry._journal.write()  # type: ignore[attr-defined]
        assert [(await each).status for each in (first, second)] == ["REVOKED"] * 2
