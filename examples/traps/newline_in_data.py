r"""A newline in the data forges an event.

    python examples/traps/newline_in_data.py

Question: How can a user's name log out everybody who reads it?
Symptom:  a user's name is "Ada\n\nevent: logout\ndata: now", and everybody who sees it is logged out.
Cause:    the protocol consists of lines, and the text was pasted into it unchanged. A lone carriage
          return ends a line too, which `replace("\n", " ")` forgets.
Cure:     let a library write the frames: sse-starlette gives each line of the data a `data:` of its own,
          and EventSource puts the newlines back. Or send JSON, in which newlines are escaped.
"""

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

NAME = "Ada\r\revent: logout\rdata: now"

app = FastAPI()


async def pasted(name: str) -> AsyncIterator[str]:
    """One event, if the name has one line."""
    yield f"event: joined\ndata: {name}\n\n"


@app.get("/broken")
async def broken(name: str = NAME) -> StreamingResponse:
    """Say who has joined."""
    return StreamingResponse(pasted(name), media_type="text/event-stream")


async def framed(name: str) -> AsyncIterator[ServerSentEvent]:
    """One event, whatever the name contains."""
    yield ServerSentEvent(name, event="joined")


@app.get("/fixed")
async def fixed(name: str = NAME) -> EventSourceResponse:
    """Say who has joined."""
    return EventSourceResponse(framed(name))


if __name__ == "__main__":
    from show import show

    show(__file__)
