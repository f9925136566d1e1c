"""An event named `error`.

    python examples/traps/event_named_error.py
    uvicorn examples.traps.event_named_error:app         then open http://localhost:8000

Question: Why does the page report a lost connection that was never lost?
Symptom:  one file of three can't be imported, and the page says that the connection is lost; it never
          shows the third one.
Cause:    EventSource fires an event named `error` itself, whenever it loses the connection. One that the
          server sends under this name calls the same listener, in which most pages close the stream.
Cure:     another name, such as `failure`; `open` and `message` are taken as well.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

app = FastAPI()


async def import_files(name_of_failures: str) -> AsyncIterator[ServerSentEvent]:
    """Three files, of which the second can't be read."""
    for event, data in (
        ("progress", "one.csv imported"),
        (name_of_failures, "two.csv is not a CSV file"),
        ("progress", "three.csv imported"),
        ("finished", "two of three files imported"),
    ):
        yield ServerSentEvent(data, event=event)
        await asyncio.sleep(0.2)


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Report failures as `error`."""
    return EventSourceResponse(import_files("error"))


@app.get("/fixed")
async def fixed() -> EventSourceResponse:
    """Report failures as `failure`."""
    return EventSourceResponse(import_files("failure"))


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """A page that listens to both."""
    return FileResponse(Path(__file__).with_suffix(".html"))


SCENARIO = {"page": True}

if __name__ == "__main__":
    from show import show

    show(__file__)
