"""The smallest stream: count to ten, a number a second.

    python examples/counter.py            then open http://localhost:8000
    uvicorn examples.counter:app          the same
    curl -N localhost:8000/stream         the bytes, as they come

You see ten lines appear, one at a time, and then that the stream is finished.
"""

import argparse
import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

app = FastAPI()


async def count() -> AsyncIterator[ServerSentEvent]:
    """Ten events, a second apart."""
    for number in range(1, 11):
        yield ServerSentEvent(event="stream", data=f"streaming number {number}")
        await asyncio.sleep(1)


@app.get("/stream")
async def stream() -> EventSourceResponse:
    """Send each event as soon as `count` yields it."""
    return EventSourceResponse(count())


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page that shows them."""
    return FileResponse(Path(__file__).with_suffix(".html"))


def main() -> None:
    """Serve on this machine, on port 8000 unless told otherwise."""
    parser = argparse.ArgumentParser(description="Count to ten.")
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError):
        parser.exit(2, f"Port {port} is not free: choose another one with --port.\n")
    uvicorn.run(app, port=port)


if __name__ == "__main__":
    main()
