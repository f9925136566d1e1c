"""The work that goes on when nobody watches any more.

    python examples/traps/nobody_watches.py

Question: Who stops the work that exists for its viewers only?
Symptom:  the first viewer starts a poll of a paid service; in the evening, when the last tab is closed,
          the poll goes on, and every page that was ever opened has added one.
Cause:    the poll was started for the viewers, but nothing counts them.
Cure:     count the viewers: the first one starts the poll, the last one stops it, in a `finally`, which
          runs however a stream ends. (A task with an end and a result is the opposite case: nobody has to
          watch it. See `work_restarts.py`.)
"""

import asyncio
import itertools
from collections.abc import AsyncIterator

from fastapi import FastAPI
from sse_starlette import EventSourceResponse

app = FastAPI()
viewers: set[asyncio.Queue[str]] = set()
polls: list[asyncio.Task[None]] = []


async def poll() -> None:
    """Ask for the price again and again: each question costs money."""
    for number in itertools.count(1):
        await asyncio.sleep(0.2)
        print(f"work: question {number}, viewers: {len(viewers)}")
        for queue in viewers:
            queue.put_nowait(f"price {number}")


async def prices_broken() -> AsyncIterator[str]:
    """The prices from now on. The first viewer starts the poll."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    viewers.add(queue)
    if not polls:
        polls.append(asyncio.create_task(poll()))
    try:
        while True:
            yield await queue.get()
    finally:
        viewers.remove(queue)


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Poll for ever."""
    return EventSourceResponse(prices_broken())


async def prices_fixed() -> AsyncIterator[str]:
    """The prices from now on. The first viewer starts the poll, the last one stops it."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    viewers.add(queue)
    if not polls:
        polls.append(asyncio.create_task(poll()))
    try:
        while True:
            yield await queue.get()
    finally:
        viewers.remove(queue)
        if not viewers:
            polls.pop().cancel()


@app.get("/fixed")
async def fixed() -> EventSourceResponse:
    """Poll while somebody watches."""
    return EventSourceResponse(prices_fixed())


SCENARIO = {"viewers": 2, "leave_after": 3, "linger_seconds": 1}

if __name__ == "__main__":
    from show import show

    show(__file__)
