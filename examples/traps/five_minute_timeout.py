"""The client's five-minute timeout.

    python examples/traps/five_minute_timeout.py

Question: Why does a client give up in the middle of a healthy stream?
Symptom:  a program that reads a stream passes every test, and in production it fails after exactly five
          minutes, while events are arriving.
Cause:    aiohttp allows five minutes for a request as a whole, the body included. (httpx allows five
          seconds of silence, and requests waits for ever: each of them is wrong for a stream, in its own
          way.)
Cure:     no limit for the whole, but one for silence: a few of the server's heartbeats.

Here a service passes on the stream of another one. The times are shortened: 1 s stands for five minutes.
"""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

HEARTBEAT_SECONDS = 0.2  # 15 s

BROKEN = aiohttp.ClientTimeout(total=1)  # what aiohttp.ClientSession() comes with, there as 5 * 60
FIXED = aiohttp.ClientTimeout(total=None, sock_read=3 * HEARTBEAT_SECONDS)

app = FastAPI()


@app.get("/stream")
async def stream(silent_after: int = 0) -> EventSourceResponse:
    """Eight events in two seconds; or silence after some of them, as when a machine goes down."""

    async def numbers() -> AsyncIterator[ServerSentEvent]:
        for number in range(1, 9):
            yield ServerSentEvent(f"event {number}")
            await asyncio.sleep(3600 if number == silent_after else 0.25)

    return EventSourceResponse(numbers(), ping=0 if silent_after else HEARTBEAT_SECONDS)


async def pass_on(url: str, limits: aiohttp.ClientTimeout) -> AsyncIterator[bytes]:
    """What the other service sends."""
    async with aiohttp.ClientSession(timeout=limits) as session, session.get(url) as response:
        async for piece in response.content.iter_any():
            yield piece


def passed_on(request: Request, limits: aiohttp.ClientTimeout) -> StreamingResponse:
    """The stream of the other service, which is this one too."""
    host, port = request.scope["server"]
    url = request.url_for("stream").replace(hostname=host, port=port, query=request.url.query)
    return StreamingResponse(pass_on(str(url), limits), media_type="text/event-stream")


@app.get("/broken")
async def broken(request: Request) -> StreamingResponse:
    """Pass on what arrives within the default timeout."""
    return passed_on(request, BROKEN)


@app.get("/fixed")
async def fixed(request: Request) -> StreamingResponse:
    """Pass on everything; give up when nothing arrives, not even a heartbeat."""
    return passed_on(request, FIXED)


if __name__ == "__main__":
    from show import show

    show(__file__)
