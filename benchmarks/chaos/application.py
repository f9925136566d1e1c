"""The application under test: works that record when each run begins and ends.

    python -m benchmarks.chaos.application --port 0
    celery -A benchmarks.chaos.application:celery worker

The settings are those of `python app.py`; CHAOS_WORKS names the file to which runs are added.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from fastapi import FastAPI
from pydantic import SecretStr

from benchmarks.chaos.history import Observation, Outcome, What
from taskstream import Output, TaskStream, Update, WorkError, output, report
from taskstream.server import ServerSettings, serve

WORKS_VARIABLE = "CHAOS_WORKS"

FILES = 20
"""How many files blocking work opens: so many that it shows if they stay open."""

tasks = TaskStream()


@contextmanager
def recorded(label: str, secret: SecretStr, lines: int) -> Iterator[None]:
    """Record the beginning and the end of what is done meanwhile, which says so many lines."""
    descriptors = psutil.Process().num_fds()  # before it opens any: of work that has failed none is left
    write(label, What.BEGUN, key=secret.get_secret_value(), number=descriptors)
    try:
        yield
    except BaseException:
        write(label, What.ENDED, outcome=Outcome.FAIL)
        raise
    write(label, What.ENDED, number=lines)


def write(label: str, what: What, **about: Any) -> None:  # noqa: ANN401 - see Observation
    """Add a line to the file: in one piece, whoever else adds some at the same moment."""
    observation = Observation(at=time.time(), who=f"process {os.getpid()}", what=what, label=label, **about)
    descriptor = os.open(os.environ[WORKS_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, observation.to_json().encode() + b"\n")
    finally:
        os.close(descriptor)


def update(step: int, steps: int, kib: int) -> Update:
    """What is said of a step; some carries much."""
    data = {"process": os.getpid(), "weight": "x" * 1024 * kib}
    return Update(100 * step / steps, f"Step {step} of {steps}", data)


@tasks.work
async def steps(
    *, label: str, secret: SecretStr, steps: int = 5, seconds: float = 1, fail: bool = False, kib: int = 0
) -> AsyncIterator[Update | Output]:
    """Work in the event loop: equal steps, each with some output."""
    with recorded(label, secret, steps):
        for step in range(1, steps + 1):
            await asyncio.sleep(seconds / steps / 2)
            yield Output(f"{label}, line {step}\n")
            await asyncio.sleep(seconds / steps / 2)  # so that each event goes to Redis by itself
            yield update(step, steps, kib)
        if fail:
            raise WorkError("Failed on purpose")


@tasks.work
def blocking(
    *, label: str, secret: SecretStr, steps: int = 5, seconds: float = 1, fail: bool = False, kib: int = 0
) -> int:
    """The same in a thread, with files that are open as long as its variables live."""
    with recorded(label, secret, steps):
        files = [Path(os.devnull).open() for _ in range(FILES)]  # noqa: SIM115
        for step in range(1, steps + 1):
            time.sleep(seconds / steps / 2)
            output(f"{label}, line {step}\n")
            time.sleep(seconds / steps / 2)
            said = update(step, steps, kib)
            report(said.progress or 0, said.message, said.data)
        if fail:
            raise WorkError("Failed on purpose")
        return len(files)


class Farewell:
    """A result that says a line when it is encoded."""

    def __str__(self) -> str:
        output("Done\n")
        return "Done"


@tasks.work
async def in_threads(
    *, label: str, secret: SecretStr, steps: int = 5, seconds: float = 1, fail: bool = False, kib: int = 0
) -> Farewell:
    """A coroutine that gives nobody a turn while it reports, and has threads say its lines but the last."""
    with recorded(label, secret, steps + 1):
        await asyncio.sleep(seconds)
        for step in range(1, 20 * steps):
            said = update(step, 20 * steps, kib)
            report(said.progress or 0, said.message, said.data)
        for step in range(1, steps + 1):
            await asyncio.to_thread(output, f"{label}, line {step}\n")
        if fail:
            raise WorkError("Failed on purpose")
        return Farewell()


app = FastAPI()
app.include_router(tasks.router)
celery = tasks.celery


def main() -> None:
    """Serve with the settings of the command line."""
    settings = ServerSettings.load(sys.argv[1:])
    tasks.configure(**settings.of_tasks)
    serve(app, settings.host, settings.port)


if __name__ == "__main__":
    main()
else:
    tasks.configure(**ServerSettings.load().of_tasks)
