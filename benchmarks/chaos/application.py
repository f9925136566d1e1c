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

from fastapi import FastAPI

from benchmarks.chaos.history import Observation, Outcome, What
from taskstream import Output, TaskStream, Update, WorkError, output, report
from taskstream.server import ServerSettings, serve

WORKS_VARIABLE = "CHAOS_WORKS"

tasks = TaskStream()


@contextmanager
def recorded(label: str) -> Iterator[None]:
    """Record the beginning and the end of what is done meanwhile."""
    write(label, What.BEGUN)
    try:
        yield
    except BaseException:
        write(label, What.ENDED, Outcome.FAIL)
        raise
    write(label, What.ENDED)


def write(label: str, what: What, outcome: Outcome = Outcome.OK) -> None:
    """Add a line to the file: in one piece, whoever else adds some at the same moment."""
    observation = Observation(
        at=time.time(), who=f"process {os.getpid()}", what=what, outcome=outcome, label=label
    )
    descriptor = os.open(os.environ[WORKS_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, observation.to_json().encode() + b"\n")
    finally:
        os.close(descriptor)


@tasks.work
async def steps(
    *, label: str, steps: int = 5, seconds: float = 1, fail: bool = False
) -> AsyncIterator[Update | Output]:
    """Work in the event loop: equal steps, each with some output."""
    with recorded(label):
        for step in range(1, steps + 1):
            await asyncio.sleep(seconds / steps)
            yield Output(f"{label}, line {step}\n")
            yield Update(100 * step / steps, f"Step {step} of {steps}", {"process": os.getpid()})
        if fail:
            raise WorkError("Failed on purpose")


@tasks.work
def blocking(*, label: str, steps: int = 5, seconds: float = 1, fail: bool = False) -> int:
    """The same in a thread."""
    with recorded(label):
        for step in range(1, steps + 1):
            time.sleep(seconds / steps)
            output(f"{label}, line {step}\n")
            report(100 * step / steps, f"Step {step} of {steps}", {"process": os.getpid()})
        if fail:
            raise WorkError("Failed on purpose")
        return os.getpid()


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
