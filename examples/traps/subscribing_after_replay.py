"""Subscribing after the replay loses events.

    python examples/traps/subscribing_after_replay.py

Question: Where do the events go that happen while a viewer connects?
Symptom:  now and then, and only under load, a viewer that has just connected misses an event or two.
Cause:    first the stored events are read, then the new ones are subscribed to: what is published between
          the two is in neither.
Cure:     subscribe first, then replay, then skip what the replay had already. (Or have one log for past
          and present, and read on in it: then there is nothing between the two.)
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fastapi import FastAPI
from sse_starlette import EventSourceResponse, ServerSentEvent

stored: list[int] = []
subscribers: set[asyncio.Queue[int]] = set()
connected = asyncio.Event()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Publish an event every 0.1 s, from the first viewer on: store it, and tell the subscribers."""

    async def publish() -> None:
        await connected.wait()
        for number in range(1, 10_000):
            stored.append(number)
            for queue in subscribers:
                queue.put_nowait(number)
            await asyncio.sleep(0.1)

    publishing = asyncio.create_task(publish())
    yield
    publishing.cancel()


app = FastAPI(lifespan=lifespan)


async def fetch_stored() -> list[int]:
    """The latest five events, from a database: the query takes a moment, and so does the answer."""
    connected.set()
    await asyncio.sleep(0.25)
    rows = stored[-5:]
    await asyncio.sleep(0.2)
    return rows


@contextmanager
def subscription() -> Iterator[asyncio.Queue[int]]:
    """The events from now on."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    subscribers.add(queue)
    try:
        yield queue
    finally:
        subscribers.remove(queue)


async def replay_then_subscribe() -> AsyncIterator[ServerSentEvent]:
    """Past events, then new ones."""
    for number in await fetch_stored():
        yield ServerSentEvent(f"event {number}", id=str(number))
    with subscription() as queue:
        while True:
            number = await queue.get()
            yield ServerSentEvent(f"event {number}", id=str(number))


async def subscribe_then_replay() -> AsyncIterator[ServerSentEvent]:
    """Past events, then new ones, and none of them twice."""
    last = 0
    with subscription() as queue:
        for last in await fetch_stored():
            yield ServerSentEvent(f"event {last}", id=str(last))
        while True:
            number = await queue.get()
            if number > last:
                yield ServerSentEvent(f"event {number}", id=str(number))


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Replay, then subscribe."""
    return EventSourceResponse(replay_then_subscribe())


@app.get("/fixed")
async def fixed() -> EventSourceResponse:
    """Subscribe, then replay."""
    return EventSourceResponse(subscribe_then_replay())


SCENARIO = {"leave_after": 10}

if __name__ == "__main__":
    from show import show

    show(__file__)
