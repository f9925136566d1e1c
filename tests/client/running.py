"""What the tests of the clients share."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import requests

import client
import sse_client
from taskstream.client import event_source, sync_stream
from taskstream.client.protocol import SnapshotDict
from taskstream.client.retrying import Retrying
from tests.support.faults import Fault, FaultProxy, Raw
from tests.support.programs import ROOT, Program, Server

Run = Callable[..., Program]
Seen = list[SnapshotDict | str]
"""Snapshots and pieces of output, in their order."""
OnOutput = Callable[[str], object]

ONE = pytest.mark.parametrize("client", ["client.py", "sse_client.py"])
ALL = pytest.mark.parametrize("client", ["client.py", "multiple_task.py", "sse_client.py"])

TERMINALS = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")

PYTHON = sys.executable.removeprefix(f"{ROOT}{os.sep}")
"""As it is to be typed in the project's folder."""


def hasty(url: str, seconds: float = 30) -> Retrying:
    """Retrying that hardly waits, neither for a byte nor between two tries."""
    retrying = Retrying(url, seconds)
    retrying.silence_seconds, retrying.retry_seconds, retrying.shortest_wait_seconds = 0.5, 0, 0.001
    return retrying


class AsyncClient:
    """The functions of `client.py`."""

    async def start(self, url: str, retrying: Retrying, **fields: object) -> SnapshotDict:
        """Start a task; its first snapshot."""
        async with event_source.open_session(url) as session:
            return await client.start_task(session, url, retrying, **fields)

    async def watch(
        self, url: str, task_id: str, retrying: Retrying, on_output: OnOutput | None = None
    ) -> Seen:
        """Watch a task to its end."""
        seen: Seen = []
        on_output = on_output or seen.append
        async with event_source.open_session(url) as session:
            async for snapshot in client.watch_task(session, url, task_id, retrying, on_output):
                seen.append(snapshot)
        return seen


class SyncClient(AsyncClient):
    """Those of `sse_client.py`, in a thread."""

    async def start(self, url: str, retrying: Retrying, **fields: object) -> SnapshotDict:
        """Start a task; its first snapshot."""

        def start() -> SnapshotDict:
            with sync_stream.open_session(url) as session:
                return sse_client.start_task(session, url, retrying, **fields)

        return await asyncio.to_thread(start)

    async def watch(
        self, url: str, task_id: str, retrying: Retrying, on_output: OnOutput | None = None
    ) -> Seen:
        """Watch a task to its end."""
        seen: Seen = []

        def watch() -> None:
            with sync_stream.open_session(url) as session:
                for snapshot in sse_client.watch_task(
                    session, url, task_id, retrying, on_output or seen.append
                ):
                    seen.append(snapshot)

        await asyncio.to_thread(watch)
        return seen


def start_task(server: Server, **fields: object) -> str:
    with requests.Session() as session:
        task_id: str = sse_client.start_task(session, server.url, **fields)["task_id"]
        return task_id


def status_of(server: Server, task_id: str) -> Any:
    return requests.get(f"{server.url}/task-status/{task_id}", timeout=10).json()["status"]


def refused(program: Program) -> str:
    """The one sentence with which a client has ended."""
    assert program.wait() == 2, program.output
    lines = program.output.splitlines()
    assert len(lines) == 1, program.output
    assert "Traceback" not in program.output
    return lines[0]


def snapshot(**fields: object) -> dict[str, object]:
    """A snapshot that a server might send."""
    whole = {"task_id": "x", "name": "n", "status": "PROGRESS", "progress": 50, "message": "m"}
    return {**whole, **fields}


def stream_of(*snapshots: dict[str, object], before: str = "") -> Raw:
    """An answer that is a stream of these snapshots, and ends."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    events = [event(number, each) for number, each in enumerate(snapshots, 1)]
    return Raw((head + before + "".join(events)).encode())


def event(number: int, data: dict[str, object], kind: str = "message") -> str:
    """One event as it is sent."""
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


def run_in_terminal(
    *arguments: str,
    columns: int = 80,
    lines: int = 24,
    steps: tuple[tuple[str, Callable[[subprocess.Popen[bytes]], object]], ...] = (),
) -> tuple[int, str]:
    """The exit code of a program, and all that it has written to a terminal of this size.

    Each of the steps is taken once the program has written its text, since the one before.
    """
    import pty  # there is none on Windows

    ours, theirs = pty.openpty()
    size = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(lines)}
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, **size},
        process_group=0,
    ) as process:
        os.close(theirs)
        screen, seen = b"", 0
        try:
            while piece := os.read(ours, 65536):
                screen += piece
                if steps and steps[0][0].encode() in screen[seen:]:
                    steps[0][1](process)
                    steps, seen = steps[1:], len(screen)
        except OSError:  # Linux: the end of a terminal
            pass
        code = process.wait(10)
    os.close(ours)
    return code, screen.decode()


def suspend(process: subprocess.Popen[bytes]) -> None:
    """Stop a program as Ctrl-Z does, and let it go on."""
    process.send_signal(signal.SIGTSTP)
    os.waitpid(process.pid, os.WUNTRACED)
    process.send_signal(signal.SIGCONT)


def without_colours(screen: str) -> str:
    """What rich has written to a terminal, without its own sequences; erased lines end there."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "", screen.replace("\x1b[2K", "\n"))


async def show(
    client: str, *faults: Fault, flags: tuple[str, ...] = (), columns: int = 100
) -> tuple[int, str]:
    """What a client shows on a terminal of a task behind these faults, of which the last one stays."""
    async with FaultProxy(faults=faults, always=faults[-1]) as proxy:
        command = (client, "--url", proxy.url, "--task-id", "x", *flags)
        return await asyncio.to_thread(run_in_terminal, *command, columns=columns)
