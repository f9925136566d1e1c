"""The server with some work of one's own, as README explains it: `python -m tests.support.own_work`."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from taskstream.tasks import Result, Update, Updates
from taskstream.threads import Report
from taskstream.work import WORK


async def flood(*, events: Annotated[int, Field(ge=1, le=1_000_000)], kib: int = 1) -> Updates:
    """Many large events, as fast as they can be taken."""
    for number in range(events):
        yield Update(100 * number / events, f"Event {number}", "x" * 1024 * kib)
        await asyncio.sleep(0.001)


def hot_loop(report: Report, *, reports: int) -> int:
    """A function that does nothing but report."""
    for number in range(1, reports + 1):
        report(100 * number / reports, f"Report {number}")
    return reports


def sleep(report: Report, *, seconds: float) -> None:
    """A function that can't be interrupted."""
    report(1, "Good night")
    time.sleep(seconds)


async def odd(*, day: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]) -> Updates:
    """Work whose details are not JSON."""
    yield Update(50, "Half \ud800 a pair", {"at": datetime(2026, 1, 31, tzinfo=UTC), "nan": float("nan")})
    yield Result({datetime.fromisoformat(day).date()}, "Odd, but done")


WORK.update(flood=flood, hot_loop=hot_loop, sleep=sleep, odd=odd)

if __name__ == "__main__":
    from app import main

    main()
