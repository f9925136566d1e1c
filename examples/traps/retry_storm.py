"""The storm of reconnections after a restart.

    python examples/traps/retry_storm.py

Question: Why is the server overloaded just after it has been restarted?
Symptom:  a deployment takes a second, and for minutes after it everything is slow: thousands of viewers
          have lost their connection in the same moment, and come back in the same moment.
Cause:    EventSource waits for a fixed time, which is the same for all viewers of a browser, or the one
          that the server sets by `retry:`.
Cure:     a `retry:` with jitter: each connection gets a random delay. Programs of your own should back
          off exponentially as well.

Here a dozen viewers lose their connection, and each that comes back needs a query of 0.05 s.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Header
from sse_starlette import EventSourceResponse, ServerSentEvent

RETRY_MILLISECONDS = 200

app = FastAPI()
database = asyncio.Lock()
waiting: set[object] = set()

LastEventID = Annotated[int, Header()]


async def load_missed_events() -> None:
    """A query, which the database answers one at a time."""
    query = object()
    waiting.add(query)
    print(f"work: queries that wait: {len(waiting)}")
    async with database:
        await asyncio.sleep(0.05)
    waiting.remove(query)


async def events(last_event_id: int, retry_milliseconds: int) -> AsyncIterator[ServerSentEvent]:
    """Two events; in the first one, how long to wait before a reconnection."""
    if last_event_id:
        await load_missed_events()
    for number in range(last_event_id + 1, 3):
        yield ServerSentEvent(f"event {number}", id=str(number), retry=retry_milliseconds)
        await asyncio.sleep(0.2)


@app.get("/broken")
async def broken(last_event_id: LastEventID = 0) -> EventSourceResponse:
    """The same delay for everybody."""
    return EventSourceResponse(events(last_event_id, RETRY_MILLISECONDS))


@app.get("/fixed")
async def fixed(last_event_id: LastEventID = 0) -> EventSourceResponse:
    """A delay for each connection."""
    retry_milliseconds = random.randint(RETRY_MILLISECONDS, 10 * RETRY_MILLISECONDS)
    return EventSourceResponse(events(last_event_id, retry_milliseconds))


SCENARIO = {"viewers": 12, "cut_after": 1, "connections": 2}

if __name__ == "__main__":
    from show import show

    show(__file__)
