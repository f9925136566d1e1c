"""What is there after a restart: ended tasks, waiting ones, the end of those that ran."""

import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from benchmarks.peers.ports import free_port
from taskstream import Event, TaskNotFound, TaskStream
from taskstream.sqlite import file
from tests.sqlite.conftest import Make
from tests.support.api import Api
from tests.support.programs import Server

StartServer = Callable[..., Server]

STOPPED = "The server stopped while this task ran"
WAL_HEADER, WAL_FRAME = 32, 24 + 4096


async def watch(tasks: TaskStream, task_id: str, after: int = 0) -> list[Event]:
    return [event async for event in tasks.follow(task_id, after)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_another_process(
    start_server: StartServer, session: aiohttp.ClientSession, path: Path, number: int
) -> None:
    """However a server ends: what it has shown is there, ids go on, keys answer, what ran has failed."""
    flags = ("--database", str(path), "--port", str(free_port()))
    key = {"Idempotency-Key": "once"}
    server = start_server(*flags)
    api = Api(session, [server.url])
    ended = await api.json("POST", "/start-task", headers=key, json={"seconds": 0})
    story = await api.watch(ended["task_id"])
    running = await api.start(seconds=20, steps=1000)
    async with api.open(f"/task-progress/{running['task_id']}") as response:
        await response.content.readuntil(b"id: 5\n")
        seen = await api.status(running["task_id"])
        server.stop(number)
    start_server(*flags)
    rest = await api.watch(ended["task_id"], 3)
    assert [(event.id, event.snapshot) for event in rest] == [(e.id, e.snapshot) for e in story[3:]]
    assert await api.json("POST", "/start-task", headers=key, json={"seconds": 0}) == story[-1].snapshot
    *replayed, last = await api.watch(running["task_id"])
    assert [event.id for event in (*replayed, last)] == list(range(1, len(replayed) + 2))
    assert seen in [event.snapshot for event in replayed]
    assert (last.snapshot["status"], last.snapshot["message"]) == ("FAILURE", STOPPED)
    assert last.snapshot["progress"] == replayed[-1].snapshot["progress"]
    health = await api.json("GET", "/health")
    assert (health["backend"], health["tasks"], health["running"]) == ("sqlite", 2, 0)


async def test_what_waited_is_run(make: Make) -> None:
    """What has not begun does so in its order, with the parameters that it was given; once."""
    parameters: dict[str, Any] = {"secret": SecretStr("geheim"), "numbers": {1, 2}}
    first = make(work_threads=1)
    released = threading.Event()

    @first.work
    def block(*, seconds: float) -> None:
        released.wait(seconds)

    async with first:
        blocked = await first.start(block, seconds=60)
        waiting = [await first.start("noted", raw=b"\xff%d" % n, **parameters) for n in range(3)]
        gone = await first.start(block, seconds=1)
    released.set()
    for _ in range(2):
        async with make(work_threads=1) as second:
            ends = [(await watch(second, each.task_id))[-1].snapshot for each in waiting]
            assert [end and end.status for end in ends] == ["SUCCESS"] * 3
            assert (
                await second.get(gone.task_id)
            ).message == "The work 'block' is gone, or has other parameters now"
            assert (await second.get(blocked.task_id)).message == STOPPED
            assert second.seen == [("geheim", b"\xff%d" % n, {1, 2}) for n in range(3)]  # type: ignore[attr-defined]


async def test_secrets_are_gone(make: Make, path: Path) -> None:
    """Parameters are in the file, for its owner only, until the work has begun."""
    async with make() as tasks:
        task = await tasks.start("noted", secret=SecretStr("geheim"), raw=b"", numbers=set())
        await watch(tasks, task.task_id)
        for suffix in ("", "-wal", "-shm", ".lock"):
            assert Path(f"{path}{suffix}").stat().st_mode & 0o777 == 0o600
    assert b"geheim" not in path.read_bytes()


async def test_a_copy_goes_on_elsewhere(make: Make, path: Path) -> None:
    """Of a file and its copy, no two processes give out the same number; viewers are told of the gap."""
    async with make() as tasks:
        task = await tasks.start("gated")
        await anext(tasks.follow(task.task_id, 1))
        copy = path.with_name("copy.db")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"VACUUM INTO '{copy}'")
    async with make() as tasks:
        assert [event.id for event in await watch(tasks, task.task_id)] == [1, 2, 3]
    async with make(database=str(copy)) as tasks:
        *_, lost, again, last = await watch(tasks, task.task_id)
        assert lost.lost == range(3, again.id)
        assert again.id > 10**15
        assert (await tasks.get(task.task_id)).message == STOPPED
        assert last.id == again.id + 1


async def test_after_a_power_failure(make: Make, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the tail is lost, no number is given out twice, and nobody is sent what they have seen."""
    async with make(retention_seconds=3600) as tasks:
        task = await tasks.start("steps", count=5)
        seen = await watch(tasks, task.task_id)
        shutil.copy(path, path.with_name("data"))
        shutil.copy(f"{path}-wal", path.with_name("wal"))
    data, wal = path.with_name("data").read_bytes(), path.with_name("wal").read_bytes()
    monkeypatch.setattr(file, "boot_id", lambda: "another")
    outcomes = set()
    for size in range(WAL_HEADER, len(wal) + 1, WAL_FRAME):
        path.write_bytes(data)
        Path(f"{path}-wal").write_bytes(wal[:size])
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE life SET boot = 'before', clean = 0")
        connection.close()
        async with make(retention_seconds=3600) as tasks:
            try:
                events = await watch(tasks, task.task_id, seen[-1].id)
            except TaskNotFound:
                outcomes.add("gone")
                continue
            outcomes.add("ended" if not events else "jumped")
            assert not events or events[0].lost
            whole = [event for event in await watch(tasks, task.task_id) if not event.lost]
            kept = [event for event in whole if event.id <= seen[-1].id]
            assert kept == seen[: len(kept)]
            assert all(event.id > 10**15 for event in whole[len(kept) :])
    assert outcomes == {"gone", "jumped", "ended"}
