"""Several workers, and no log that they share.

    python examples/traps/several_workers.py

Question: Why is the job unknown to the server that has just started it?
Symptom:  with `--workers 4`, or behind a load balancer, a stream that reconnects gets a 404, three times
          of four; on the developer's machine it never does.
Cause:    each worker is a process with its own memory. A dict of jobs is in the process that has started
          the job, but the next request may be accepted by any other.
Cure:     keep the log where all processes can read it: in Redis or a database, here in a file. (Or have
          one process: one event loop serves thousands of streams, and the work can run elsewhere.)

Here two processes answer in turn. A file has to be polled; Redis would notify its readers.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import FastAPI, Header, HTTPException
from sse_starlette import EventSourceResponse, ServerSentEvent

STEPS = 5

app = FastAPI()
running: set[asyncio.Task[None]] = set()

LastEventID = Annotated[int, Header()]


class Log(Protocol):
    """What the job has written so far."""

    def append(self, line: str) -> None:
        """Add a line."""

    def read(self) -> list[str]:
        """All lines."""


async def run_job(log: Log) -> None:
    """The job."""
    for step in range(1, STEPS + 1):
        print(f"work: process {os.getpid()}, step {step}")
        log.append(f"step {step}")
        await asyncio.sleep(0.2)


async def follow(log: Log, seen: int) -> AsyncIterator[ServerSentEvent]:
    """The lines after the first `seen`."""
    while seen < STEPS:
        for line in log.read()[seen:]:
            seen += 1
            yield ServerSentEvent(line, id=str(seen))
        await asyncio.sleep(0.05)


def respond(log: Log, last_event_id: int) -> EventSourceResponse:
    """Start the job; or go on with it, for a viewer that has seen a part of it."""
    if not last_event_id:
        running.add(asyncio.create_task(run_job(log)))
    elif not log.read():
        raise HTTPException(404, "There is no such job.")
    return EventSourceResponse(follow(log, last_event_id))


class MemoryLog:
    """A log in the memory of this process."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def append(self, line: str) -> None:
        """Add a line."""
        self._lines.append(line)

    def read(self) -> list[str]:
        """All lines."""
        return self._lines


memory_log = MemoryLog()


@app.get("/broken")
async def broken(last_event_id: LastEventID = 0) -> EventSourceResponse:
    """Stream the log of this process."""
    return respond(memory_log, last_event_id)


class FileLog:
    """A log in a file that all processes can read."""

    def __init__(self) -> None:
        self._path = Path(os.environ.get("SHARED_FOLDER", ".")) / "job.log"

    def append(self, line: str) -> None:
        """Add a line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def read(self) -> list[str]:
        """All lines."""
        return self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []


file_log = FileLog()


@app.get("/fixed")
async def fixed(last_event_id: LastEventID = 0) -> EventSourceResponse:
    """Stream the log of all processes."""
    return respond(file_log, last_event_id)


SCENARIO = {"servers": 2, "cut_after": 2, "connections": 2}

if __name__ == "__main__":
    from show import show

    show(__file__)
