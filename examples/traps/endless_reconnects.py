"""EventSource reconnects for ever after a normal end.

    python examples/traps/endless_reconnects.py

Question: Why does the browser ask for a finished task again and again?
Symptom:  the task is done, but the access log shows a request every few seconds, from every tab that was
          ever opened; or the page runs through the same events again and again.
Cause:    for EventSource a stream has no end: one that ends is a connection that was lost.
Cure:     answer 204 to a viewer whose Last-Event-ID is the last event: in the standard, this means "do
          not reconnect", and it needs no code in the page. (Or send a last event at which the page calls
          `close()`: but then every page has to know it.)
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Header, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

app = FastAPI()
LAST_ID = 3

LastEventID = Annotated[int, Header()]


async def events(after: int) -> AsyncIterator[ServerSentEvent]:
    """Three events."""
    for number in range(after + 1, LAST_ID + 1):
        yield ServerSentEvent(f"event {number} of {LAST_ID}", id=str(number), retry=100)
        await asyncio.sleep(0.2)


@app.get("/broken")
async def broken(last_event_id: LastEventID = 0) -> Response:
    """What follows Last-Event-ID, if anything does."""
    return EventSourceResponse(events(last_event_id))


@app.get("/fixed")
async def fixed(last_event_id: LastEventID = 0) -> Response:
    """What follows Last-Event-ID; or 204, if nothing will."""
    if last_event_id == LAST_ID:
        return Response(status_code=204)
    return EventSourceResponse(events(last_event_id))


SCENARIO = {"connections": 5}

if __name__ == "__main__":
    from show import show

    show(__file__)
