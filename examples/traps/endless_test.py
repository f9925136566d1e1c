"""The test of an endless stream that never ends.

    python examples/traps/endless_test.py

Question: How can a stream be tested that has no end?
Symptom:  the test hangs before its first `assert`, with or without a timeout in the client.
Cause:    `TestClient`, and httpx with an ASGI transport, hand over a response when the application has
          returned. An endless stream never does, so there is nothing to read the first event from.
Cure:     test the generator by itself, step by step, and close it (below); and the bytes on the wire
          against a real server on a free port, with a client that disconnects when it has seen enough.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from fastapi import FastAPI
from sse_starlette import EventSourceResponse
from starlette.types import Message

app = FastAPI()
clock = FastAPI()


async def ticks() -> AsyncGenerator[str, None]:
    """What is to be tested."""
    for number in itertools.count(1):
        yield f"tick {number}"
        await asyncio.sleep(0.1)


@clock.get("/ticks")
async def stream_ticks() -> EventSourceResponse:
    """An endless stream."""
    return EventSourceResponse(ticks())


async def report(test: Callable[[], Awaitable[None]]) -> AsyncIterator[str]:
    """Run a test."""
    yield "the test has started"
    await test()
    yield "the test has passed"


async def get(path: str) -> bytes:
    """The body of a response, read as test clients do: until the application returns."""
    body = bytearray()

    async def receive() -> Message:
        await asyncio.sleep(3600)  # the client does not disconnect
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        body.extend(message.get("body", b""))

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await clock(scope, receive, send)
    return bytes(body)


async def test_broken() -> None:
    """The first tick arrives."""
    assert (await get("/ticks")).startswith(b"data: tick 1")


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Run the test that hangs."""
    return EventSourceResponse(report(test_broken))


async def test_fixed() -> None:
    """The first two ticks arrive."""
    async with asyncio.timeout(5), aclosing(ticks()) as generator:
        assert await anext(generator) == "tick 1"
        assert await anext(generator) == "tick 2"


@app.get("/fixed")
async def fixed() -> EventSourceResponse:
    """Run the test that ends."""
    return EventSourceResponse(report(test_fixed))


if __name__ == "__main__":
    from show import show

    show(__file__)
