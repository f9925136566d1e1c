r"""A newline in the data forges an event.

    python examples/traps/newline_in_data.py

Symptom: a user calls himself "Ada\n\nevent: logout\ndata: now", and all who see his name are logged out.
Cause:   the protocol is made of lines, and the text was pasted into it as it came. A lone carriage return
         ends a line too, which `replace("\n", " ")` forgets.
Cure:    let a library write the frames: sse-starlette gives each line of the data a `data:` of its own, and
         EventSource puts the newlines back. Or send JSON, which has no newlines.
"""

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

NAME = "Ada\r\revent: logout\rdata: now"

app = FastAPI()


async def pasted(name: str) -> AsyncIterator[str]:
    """One event, or so one thinks."""
    yield f"event: joined\ndata: {name}\n\n"


@app.get("/broken")
async def broken(name: str = NAME) -> StreamingResponse:
    """Say who has joined."""
    return StreamingResponse(pasted(name), media_type="text/event-stream")


async def framed(name: str) -> AsyncIterator[ServerSentEvent]:
    """One event, whatever the name."""
    yield ServerSentEvent(name, event="joined")


@app.get("/fixed")
async def fixed(name: str = NAME) -> EventSourceResponse:
    """Say who has joined."""
    return EventSourceResponse(framed(name))


if __name__ == "__main__":
    from show import show

    show(__file__)
