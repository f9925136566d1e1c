"""The server that won't stop while streams are open.

    python examples/traps/unstoppable_server.py

Question: Why doesn't the server stop on Ctrl-C?
Symptom:  Ctrl-C prints "Waiting for connections to close", and nothing more happens; a deployment hangs
          until somebody kills the server; `--reload` never reloads.
Cause:    uvicorn lets open requests end before it stops, and a stream doesn't end.
Cure:     streams have to learn that the server stops. sse-starlette's EventSourceResponse does: it looks
          for uvicorn's signal twice a second. A StreamingResponse does not, nor does FastAPI's own
          EventSourceResponse. `--timeout-graceful-shutdown 3` is the safety net for everything else.
"""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse

app = FastAPI()


async def ticks() -> AsyncIterator[bytes]:
    """Something every 0.2 s, for ever."""
    while True:
        yield b"data: tick\n\n"
        await asyncio.sleep(0.2)


@app.get("/broken")
async def broken() -> StreamingResponse:
    """A stream that nothing can end but its client."""
    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.get("/fixed")
async def fixed() -> EventSourceResponse:
    """A stream that ends with the server."""
    return EventSourceResponse(ticks())


SCENARIO = {"stop_after_seconds": 0.5}

if __name__ == "__main__":
    from show import show

    show(__file__)
