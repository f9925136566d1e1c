"""The second viewer steals events from the first.

    python examples/traps/stolen_events.py

Question: Why does each of two tabs show only a part of the events?
Symptom:  with one tab everything is fine; with two, each shows every other event.
Cause:    all streams take from one queue, and what one has taken is gone for the others.
Cure:     a queue for each viewer, made when it connects and removed when it leaves. (Or no queue at all
          but a log that all of them read, which serves late viewers too: see `work_restarts.py`.)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sse_starlette import EventSourceResponse

shared_queue: asyncio.Queue[str] = asyncio.Queue()
queues: set[asyncio.Queue[str]] = set()
connected = asyncio.Event()


async def publish() -> None:
    """An event every 0.2 s, from the first viewer on, for all queues."""
    await connected.wait()
    for number in range(1, 10_000):
        await asyncio.sleep(0.2)
        for queue in queues:
            queue.put_nowait(f"event {number}")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Publish as long as the server runs."""
    publishing = asyncio.create_task(publish())
    yield
    publishing.cancel()


app = FastAPI(lifespan=lifespan)


async def take_from(queue: asyncio.Queue[str]) -> AsyncIterator[str]:
    """The events that arrive in a queue."""
    connected.set()
    while True:
        yield await queue.get()


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Take from the one queue."""
    queues.add(shared_queue)
    return EventSourceResponse(take_from(shared_queue))


async def take_from_own_queue() -> AsyncIterator[str]:
    """The events from now on."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    queues.add(queue)
    try:
        async for event in take_from(queue):
            yield event
    finally:
        queues.remove(queue)


@app.get("/fixed")
async def fixed() -> EventSourceResponse:
    """Take from a queue of one's own."""
    return EventSourceResponse(take_from_own_queue())


SCENARIO = {"viewers": 2, "leave_after": 5}

if __name__ == "__main__":
    from show import show

    show(__file__)
