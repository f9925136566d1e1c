"""The seventh stream that never opens.

    python examples/traps/seventh_stream.py
    uvicorn examples.traps.seventh_stream:app            then open http://localhost:8000

Question: Why does the seventh tab stay empty?
Symptom:  six tabs (or six tasks on one page) are live, the seventh stays empty, without any error; not
          even a reload gets through. It all works again once a tab is closed.
Cause:    over HTTP/1.1 browsers open six connections to a host, all tabs together, and a stream keeps
          one.
Cure:     one stream for all tasks of a page, closed while its tab is hidden. HTTP/2, which allows a
          hundred streams on one connection, needs HTTPS in browsers, and a proxy in front of uvicorn.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import FileResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

app = FastAPI()


async def progress_of(tasks: list[int]) -> AsyncIterator[ServerSentEvent]:
    """The progress of these tasks, which never end."""
    while True:
        for task in tasks:
            yield ServerSentEvent("progress", event=f"task {task}")
        await asyncio.sleep(1)


@app.get("/broken")
async def broken(task: int) -> EventSourceResponse:
    """A stream for one task."""
    return EventSourceResponse(progress_of([task]))


@app.get("/fixed")
async def fixed(task: Annotated[list[int], Query()]) -> EventSourceResponse:
    """One stream for many tasks."""
    return EventSourceResponse(progress_of(task))


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """A page that watches seven tasks, one way or the other."""
    return FileResponse(Path(__file__).with_suffix(".html"))


SCENARIO = {"page": True}

if __name__ == "__main__":
    from show import show

    show(__file__)
