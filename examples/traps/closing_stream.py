"""All events arrive at once, at the end: the proxy that no header moves.

    python examples/traps/closing_stream.py

Question: What if a proxy holds everything back until the response has ended, whatever it is told?
Symptom:  as with a proxy that buffers, but `X-Accel-Buffering: no` changes nothing, and nobody here has the
          configuration: a company's gateway, a virus scanner, a tunnel for developers.
Cause:    it hands over a response when it is complete. A stream is complete when its task has ended.
Cure:     a stream that closes on purpose, behind its next event. EventSource takes that for a lost
          connection: it comes back by itself, with Last-Event-ID, and gets what follows. Where no proxy is
          in the way that costs a request for each event, so it is for those who ask for it: taskstream does
          so for `?wait=10`, which its element and its clients ask for once a stream has brought nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Header, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

LAST_ID = 5

app = FastAPI()
happened = asyncio.Condition()
numbers: list[int] = []
tasks: list[asyncio.Task[None]] = []

LastEventID = Annotated[int, Header()]


async def work() -> None:
    """Five events, 0.2 s apart."""
    for number in range(1, LAST_ID + 1):
        await asyncio.sleep(0.2)
        async with happened:
            numbers.append(number)
            happened.notify_all()


async def follow(after: int) -> AsyncIterator[ServerSentEvent]:
    """Each event after this one, when it has happened."""
    tasks[:] = tasks or [asyncio.create_task(work())]
    for number in range(after + 1, LAST_ID + 1):
        async with happened:
            await happened.wait_for(lambda: number in numbers)  # noqa: B023 - it is awaited here
        yield ServerSentEvent(f"event {number}", id=str(number), retry=100)


async def next_event(after: int) -> AsyncIterator[ServerSentEvent]:
    """The event after this one, and no more."""
    yield await anext(follow(after))


@app.get("/broken")
async def broken(last_event_id: LastEventID = 0) -> Response:
    """A stream that lasts as long as the work."""
    if last_event_id == LAST_ID:
        return Response(status_code=204)
    return EventSourceResponse(follow(last_event_id))


@app.get("/fixed")
async def fixed(last_event_id: LastEventID = 0) -> Response:
    """A stream that closes on purpose."""
    if last_event_id == LAST_ID:
        return Response(status_code=204)
    return EventSourceResponse(next_event(last_event_id))


async def start_proxy(origin_port: int) -> asyncio.Server:
    """A minimal reverse proxy, which sends when it has everything."""

    async def forward(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        request = await client.readuntil(b"\r\n\r\n")
        origin, to_origin = await asyncio.open_connection("127.0.0.1", origin_port)
        to_origin.write(request[:-2] + b"Connection: close\r\n\r\n")
        to_client.write(await origin.read())
        to_origin.close()
        to_client.close()

    return await asyncio.start_server(forward, "127.0.0.1", 0)


SCENARIO = {"connections": LAST_ID + 1}

if __name__ == "__main__":
    from show import show

    show(__file__)
