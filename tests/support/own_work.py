"""The demo with more work.

python -m tests.support.own_work
celery -A tests.support.own_work:celery worker
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from app import app, celery, configure, main, tasks
from taskstream import Output, Result, Update, report

__all__ = ["app", "celery", "configure", "tasks"]


@tasks.work
async def flood(
    *, events: Annotated[int, Field(ge=1, le=1_000_000)], kib: int = 1
) -> AsyncIterator[Update]:
    """Many large events, as fast as they can be taken."""
    for number in range(events):
        yield Update(100 * number / events, f"Event {number}", "x" * 1024 * kib)
        await asyncio.sleep(0.001)


@tasks.work
def hot_loop(*, reports: int) -> int:
    """A function that does nothing but report."""
    for number in range(1, reports + 1):
        report(100 * number / reports, f"Report {number}")
    return reports


@tasks.work
def sleep(*, seconds: float) -> None:
    """A function that can't be interrupted."""
    report(1, "Good night")
    time.sleep(seconds)


@tasks.work
async def odd(
    *, day: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
) -> AsyncIterator[Update | Result]:
    """Work whose details are not JSON."""
    yield Update(50, "Half \ud800 a pair", {"at": datetime(2026, 1, 31, tzinfo=UTC), "nan": float("nan")})
    yield Result({datetime.fromisoformat(day).date()}, "Odd, but done")


turns = asyncio.Semaphore(0)


@tasks.work
async def speech(
    *, pieces: list[str], seconds: float = 0, times: int = 1, pauses: tuple[int, ...] = ()
) -> AsyncIterator[Output | Update]:
    """Say these pieces, again and again, with an update after every other one; `go_on` ends a pause."""
    for number in range(times * len(pieces)):
        if number in pauses:
            await turns.acquire()
        yield Output(pieces[number % len(pieces)])
        if number % 2:
            yield Update(100 * number / (times * len(pieces)), f"Piece {number}")
        await asyncio.sleep(seconds)


@tasks.work
async def go_on() -> AsyncIterator[Update]:
    """Let a speech go on that pauses."""
    turns.release()
    yield Update(100, "Went on")


if __name__ == "__main__":
    main()
