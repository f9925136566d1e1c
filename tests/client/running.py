"""What the tests of the clients share."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import requests

import sse_client
from taskstream.client.retrying import Retrying
from tests.support.faults import Raw
from tests.support.programs import ROOT, Program, Server

Run = Callable[..., Program]

ONE = pytest.mark.parametrize("client", ["client.py", "sse_client.py"])
ALL = pytest.mark.parametrize("client", ["client.py", "multiple_task.py", "sse_client.py"])

PYTHON = sys.executable.removeprefix(f"{ROOT}{os.sep}")
"""As it is to be typed in the project's folder."""


def hasty(url: str, seconds: float = 30) -> Retrying:
    """Retrying that hardly waits, neither for a byte nor between two tries."""
    retrying = Retrying(url, seconds)
    retrying.silence_seconds, retrying.retry_seconds, retrying.shortest_wait_seconds = 0.5, 0, 0.001
    return retrying


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


def run_in_terminal(*arguments: str, columns: int = 80, lines: int = 24) -> tuple[int, str]:
    """The exit code of a program, and all that it has written to a terminal of this size."""
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
    ) as process:
        os.close(theirs)
        screen = b""
        try:
            while piece := os.read(ours, 65536):
                screen += piece
        except OSError:  # Linux: the end of a terminal
            pass
        code = process.wait(10)
    os.close(ours)
    return code, screen.decode()
