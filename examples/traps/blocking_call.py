"""A blocking call freezes every stream.

    python examples/traps/blocking_call.py

Question: Why do all streams stop while one user's report is written?
Symptom:  while one user's report is written, the bars of all users stand still, and nobody can log in.
Cause:    `async def` does not make a function asynchronous: while it computes, sleeps or waits for a
          driver that blocks, the event loop does nothing else, for anybody.
Cure:     await something asynchronous instead; or call it in a thread (in a process, if it computes for
          long).
"""

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI
from sse_starlette import EventSourceResponse

app = FastAPI()


def write_report() -> str:
    """A function of a library that blocks: `requests.get`, a database driver, pandas."""
    print("work: the report is begun")
    time.sleep(1.2)
    return "the report is written"


async def report_broken() -> AsyncIterator[str]:
    """The steps of a report."""
    yield "writing the report"
    yield write_report()


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Write a report in the event loop."""
    return EventSourceResponse(report_broken())


async def report_fixed() -> AsyncIterator[str]:
    """The same steps."""
    yield "writing the report"
    yield await asyncio.to_thread(write_report)


@app.get("/fixed")
async def fixed() -> EventSourceResponse:
    """Write a report in a thread."""
    return EventSourceResponse(report_fixed())


@app.get("/clock")
async def clock() -> EventSourceResponse:
    """Somebody else's stream."""

    async def ticks() -> AsyncIterator[str]:
        while True:
            yield "tick"
            await asyncio.sleep(0.2)

    return EventSourceResponse(ticks())


SCENARIO = {"beside": "/clock", "linger_seconds": 1}

if __name__ == "__main__":
    from show import show

    show(__file__)
