"""The connection that is dead, and says nothing.

    python examples/traps/mute_connection.py

Question: How does a client notice that nobody is there any more?
Symptom:  after a night, or a change of networks, a client still waits for events, hours after the server
          has sent the last of many; it reports no error.
Cause:    a connection that is lost without a FIN or RST, because a router has forgotten it or a machine
          has lost its power, looks like one on which nothing happens. Who only reads never finds out.
Cure:     the server breaks each silence by a heartbeat (a comment, which clients ignore), and a client
          that misses several connects again, with Last-Event-ID. EventSource shows no comments to the
          page: there, read the stream by fetch, or send the heartbeat as an event of its own and watch it
          by a timer.

Here a service passes on the stream of another one. The times are shortened: 0.2 s stand for 15 s.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated

import aiohttp
from fastapi import FastAPI, Header, Request
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

HEARTBEAT_SECONDS = 0.2
LAST_ID = 6

BROKEN = aiohttp.ClientTimeout(total=None)
FIXED = aiohttp.ClientTimeout(total=None, sock_read=3 * HEARTBEAT_SECONDS)

app = FastAPI()


@app.get("/stream")
async def stream(last_event_id: Annotated[int, Header()] = 0) -> EventSourceResponse:
    """Six events. The first connection goes mute after three of them: not even a heartbeat gets through."""

    async def events() -> AsyncIterator[ServerSentEvent]:
        for number in range(last_event_id + 1, LAST_ID + 1):
            yield ServerSentEvent(f"event {number}", id=str(number))
            await asyncio.sleep(3600 if number == 3 else 0.1)

    return EventSourceResponse(events(), ping=HEARTBEAT_SECONDS if last_event_id else 3600)


async def pass_on(url: str, limits: aiohttp.ClientTimeout) -> AsyncIterator[bytes]:
    """What the other service sends; after a lost connection, from where it was."""
    last_id = 0
    while last_id < LAST_ID:
        headers = {"Last-Event-ID": str(last_id)}
        try:
            async with aiohttp.request("GET", url, headers=headers, timeout=limits) as response:
                async for piece in response.content.iter_any():
                    last_id = max([last_id, *map(int, re.findall(rb"id: (\d+)", piece))])
                    yield piece
        except TimeoutError:
            print(f"work: no heartbeat since event {last_id}: connect again")


def passed_on(request: Request, limits: aiohttp.ClientTimeout) -> StreamingResponse:
    """The stream of the other service, which is this one too."""
    host, port = request.scope["server"]
    url = request.url_for("stream").replace(hostname=host, port=port)
    return StreamingResponse(pass_on(str(url), limits), media_type="text/event-stream")


@app.get("/broken")
async def broken(request: Request) -> StreamingResponse:
    """Wait for events, however long it takes."""
    return passed_on(request, BROKEN)


@app.get("/fixed")
async def fixed(request: Request) -> StreamingResponse:
    """Wait for events, as long as there are heartbeats."""
    return passed_on(request, FIXED)


if __name__ == "__main__":
    from show import show

    show(__file__)
