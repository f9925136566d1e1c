"""Work that won't stop doesn't keep the server: gone within 3 s, by either signal, also as PID 1."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from tests.support.api import Api
from tests.support.examples import children
from tests.support.programs import ROOT, Server

pytestmark = pytest.mark.alone

APP = """
import asyncio
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from fastapi import FastAPI
from taskstream import TaskStream
from taskstream.server import serve

tasks = TaskStream()
pool = ThreadPoolExecutor()

@tasks.work
async def in_a_thread() -> None:
    await asyncio.to_thread(time.sleep, 60)

@tasks.work
async def in_a_pool() -> None:
    pool.submit(time.sleep, 60)
    await asyncio.sleep(60)

@tasks.work
async def swallows() -> None:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

@tasks.work
async def blocks() -> None:
    await asyncio.sleep(0.2)
    print("blocking now", flush=True)
    time.sleep(60)

@tasks.work
def sleeps() -> None:
    time.sleep(60)

def sleep_well(asleep) -> None:
    asleep.set()
    time.sleep(60)

@tasks.work
def ends_a_child() -> int:
    fork = multiprocessing.get_context("fork")
    asleep = fork.Event()
    child = fork.Process(target=sleep_well, args=(asleep,))
    child.start()
    asleep.wait()
    child.terminate()
    child.join()
    return child.exitcode

app = FastAPI()
app.include_router(tasks.router)
serve(app, port=0)
"""


class StubbornServer(Server):
    """A server with work that won't stop; perhaps in a PID namespace of its own, as in a container."""

    def __init__(self, folder: Path, *, as_pid_1: bool, after: str = "") -> None:
        (folder / "stubborn.py").write_text(APP + after, encoding="utf-8")
        self.program = (str(folder / "stubborn.py"),)
        if as_pid_1:
            self.executable = ("unshare", "--pid", "--fork", *Server.executable)
        super().__init__("--port", "0", PYTHONPATH=str(self.folder))


@pytest.mark.parametrize("work", ["in_a_thread", "in_a_pool", "swallows", "blocks", "sleeps"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("as_pid_1", [False, True])
async def test_gone_in_time(
    tmp_path: Path, session: aiohttp.ClientSession, work: str, number: int, as_pid_1: bool
) -> None:
    """Whatever runs, the server is gone in time, with the status that a shell expects."""
    with StubbornServer(tmp_path, as_pid_1=as_pid_1) as server:
        api = Api(session, [server.url])
        task_id = (await api.start(work=work))["task_id"]
        if work == "blocks":
            server.wait_for("blocking now")
        else:
            await api.until(task_id, "STARTED")
        started = time.monotonic()
        os.kill(children(server.process.pid)[0] if as_pid_1 else server.process.pid, number)
        code = server.wait()
        assert time.monotonic() - started < 3
        assert code in (-number, 128 + number, 0)
        assert not re.search("Traceback|never awaited", server.output)


async def test_work_that_stops_costs_no_time(tmp_path: Path) -> None:
    """A server without such work doesn't wait for the end of its time."""
    with StubbornServer(tmp_path, as_pid_1=False) as server:
        started = time.monotonic()
        assert server.stop(signal.SIGTERM) == -signal.SIGTERM
        assert time.monotonic() - started < 1.5
        assert "did not stop" not in server.output


async def test_a_forked_child_ends_as_any_other(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """What ends the server doesn't run in the processes that its work has forked."""
    with StubbornServer(tmp_path, as_pid_1=False) as server:
        api = Api(session, [server.url])
        seen = await api.watch((await api.start(work="ends_a_child"))["task_id"])
        assert seen[-1].snapshot["data"] == -signal.SIGTERM
        assert "did not stop" not in server.output


class PipedServer(StubbornServer):
    """One whose output is read up to a line that says that it stops, and then by nobody."""

    last_line = "Shutting down"


async def test_nobody_reads_stderr(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """`python app.py 2>&1 | tee log`: Ctrl-C ends `tee` as well, and the server in time all the same."""
    with PipedServer(tmp_path, as_pid_1=False) as server:
        api = Api(session, [server.url])
        await api.until((await api.start(work="in_a_thread"))["task_id"], "STARTED")
        started = time.monotonic()
        assert server.stop(signal.SIGINT) == 128 + signal.SIGINT
        assert time.monotonic() - started < 3


FULL_STDERR = """
import os
from contextlib import suppress
from taskstream.server.serve import end_process

reader, writer = os.pipe()
os.dup2(writer, 2)
os.set_blocking(2, False)
with suppress(BlockingIOError):
    while True:
        os.write(2, b"x" * 4096)
os.set_blocking(2, True)
end_process(15)
"""


def test_full_stderr() -> None:
    """A pipe that is full, as its reader has stopped, doesn't hold up the end."""
    done = subprocess.run([sys.executable, "-c", FULL_STDERR], check=False, cwd=ROOT, timeout=20)
    assert done.returncode == 128 + signal.SIGTERM


def test_the_caller_lives_on(tmp_path: Path) -> None:
    """Code behind `serve` runs as long as it likes, once Ctrl-C has ended the server."""
    with StubbornServer(tmp_path, as_pid_1=False, after="time.sleep(3.5); print('lived on')") as server:
        assert server.stop(signal.SIGINT) == 0
        assert "lived on" in server.output
