"""The work a task can run.

To bring your own, write one function and add one line to `WORK`. Its keyword parameters, with their types
and bounds, are the fields that `POST /start-task` accepts for it.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping
from typing import Annotated, cast

from pydantic import Field

from taskstream.tasks import Begin, Update, Updates, WorkError
from taskstream.threads import Report, WorkThreads

Seconds = Annotated[float, Field(ge=0, le=3600, description="how long it takes, in seconds")]
Steps = Annotated[int, Field(ge=1, le=1000, description="in how many steps (or pages)")]
Percent = Annotated[float, Field(ge=0, le=100, description="where to fail on purpose, in percent")]


async def simulated(*, seconds: Seconds = 5, steps: Steps = 20, fail_at: Percent | None = None) -> Updates:
    """Work that only waits: equal steps, and a failure on request."""
    for step in range(1, steps + 1):
        await asyncio.sleep(seconds / steps)
        progress = 100 * step / steps
        yield Update(progress, f"Step {step} of {steps}")
        fail_on_request(progress, fail_at)


def scraping(
    report: Report, *, seconds: Seconds = 5, steps: Steps = 20, fail_at: Percent | None = None
) -> dict[str, int]:
    """Blocking work in stages: log in, scrape `steps` pages, analyze what was found."""

    def stage(done: int, message: str, **details: object) -> None:
        progress = 100 * done / (steps + 2)
        report(progress, message, details)
        fail_on_request(progress, fail_at)
        time.sleep(seconds / (steps + 2))

    quotes = 0
    stage(0, "Login", user="reader")
    for page in range(1, steps + 1):
        stage(page, f"Scraping page {page} of {steps}", page=page, pages=steps, quotes=quotes)
        quotes += 10
    stage(steps + 1, "Analyzing", quotes=quotes)
    fail_on_request(100, fail_at)
    return {"pages": steps, "quotes": quotes}


def fail_on_request(progress: float, fail_at: float | None) -> None:
    """Raise `WorkError` at or after `fail_at` percent."""
    if fail_at is not None and progress >= fail_at:
        raise WorkError(f"Failed on purpose at {fail_at:g} %")


WORK: dict[str, Callable[..., object]] = {
    "simulated": simulated,
    "scraping": scraping,
}
"""The works by name: async generators, and blocking functions that take a `report` callback."""


def is_blocking(function: Callable[..., object]) -> bool:
    """Whether some work is a function for a thread, and not an async generator."""
    return not inspect.isasyncgenfunction(inspect.unwrap(function))


def make_begin(threads: WorkThreads) -> Begin:
    """What begins the work of `WORK`: blocking functions in `threads`."""

    async def begin(work: str, parameters: Mapping[str, object]) -> Updates:
        function = WORK[work]
        if is_blocking(function):
            return await threads.run(function, parameters)
        return cast(Updates, function(**parameters))

    return begin
