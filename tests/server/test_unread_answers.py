"""Clients that leave an answer unread when its connection ends: with and without uvloop."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from taskstream.http.stream import CONNECTION
from taskstream.server.connection import Connection
from taskstream.server.streaming import UNREAD_BYTES
from tests.server.test_streaming import event_loop_policy  # noqa: F401 - every test on both event loops
from tests.support.serving import END, Client, Serving

# A hook for event loops would be asked for those of all tests.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")

ANSWER_BYTES = 8 * 1024 * 1024
"""More than the sockets of both ends hold."""
ENDS = pytest.mark.parametrize(
    ("header", "options"),
    [("Connection: close\r\n", {}), ("", {"timeout_keep_alive": 0.01})],
    ids=["at once", "when it has been idle"],
)
"""When the server ends the connection of an answer."""


@pytest.fixture
def serving() -> Serving:
    """A server that is asked for a large answer."""
    serving = Serving()

    @serving.app.get("/large")
    async def large() -> str:
        return "x" * ANSWER_BYTES

    return serving


async def until_ending(serving: Serving, header: str) -> Client:
    """A client that has read nothing of a large answer, whose connection the server is about to end."""
    client = await serving.open()
    client.stop_reading()
    client.writer.write(f"GET /large HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
    await serving.until(lambda: bool(serving.server.server_state.connections))
    (connection,) = serving.server.server_state.connections
    await serving.until(connection.transport.is_closing)
    return client


@pytest.mark.parametrize("seconds", [0.1, 60])
@ENDS
async def test_unread(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, header: str, options: dict[str, Any], seconds: float
) -> None:
    """The end of such an answer is dropped after some time; who reads on before gets the whole."""
    monkeypatch.setattr(Connection, "unread_seconds", seconds)
    async with serving.serve(**options):
        client = await until_ending(serving, header)
        if seconds < 1:
            await serving.until(lambda: not serving.server.server_state.connections)
        client.read_on()
        assert (len(await client.rest()) > ANSWER_BYTES) == (seconds > 1)
        await serving.until(lambda: not serving.server.server_state.connections)


async def test_pipelined_and_never_read(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads none of many answers is cut, with those that wait behind them."""
    monkeypatch.setattr(Connection, "unread_seconds", 0.1)
    async with serving.serve():
        client = await serving.open()
        client.stop_reading()
        client.send(*["/large"] * 100)
        await serving.until(lambda: bool(serving.server.server_state.connections))
        await serving.until(lambda: not serving.server.server_state.connections)
        client.read_on()
        assert (await client.rest()).count(b"HTTP/1.1 200") < 100


@ENDS
async def test_read_slowly(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, header: str, options: dict[str, Any]
) -> None:
    """A client that goes on reading gets everything, however long that takes."""
    monkeypatch.setattr(Connection, "unread_seconds", 0.8)
    async with serving.serve(**options):
        client = await until_ending(serving, header)
        client.read_on()
        received = 0
        async with asyncio.timeout(30):
            while data := await client.reader.read(256 * 1024):
                received += len(data)
                await asyncio.sleep(0.05)
        assert received > ANSWER_BYTES


async def test_an_answer_that_goes_on(serving: Serving) -> None:
    """A client isn't cut for what follows after what it was expected to read."""
    watched = asyncio.Event()

    @serving.app.get("/long")
    async def long(request: Request) -> Response:
        connection = request.scope[CONNECTION]

        async def body() -> AsyncIterator[bytes]:
            while not connection.transport.get_write_buffer_size():
                yield b"x" * 1000
            connection._watch_reader(UNREAD_BYTES)  # as its timer does
            watched.set()
            yield b"x"

        return StreamingResponse(body())

    async with serving.serve():
        client = await serving.open()
        client.stop_reading()
        client.send("/long")
        await watched.wait()
        client.read_on()
        await client.until(END)


async def test_pipelines_are_bounded_in_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits behind the streams of all clients has a bound; beyond it, a client is cut."""
    monkeypatch.setattr("taskstream.server.connection.PIPELINED_IN_ALL", 100)
    async with Serving().serve(timeout_keep_alive=1) as serving:
        clients = [await serving.open("/stream", *["/hello"] * 60) for _ in range(20)]

        def waiting() -> int:
            connections = serving.server.server_state.connections
            return sum(len(each.pipeline) for each in connections if isinstance(each, Connection))

        await serving.until(lambda: serving.streams.outcomes["left"] == 19)
        assert serving.streams.open == 1
        assert 0 < waiting() <= 104
        serving.append(1, last=True)
        await asyncio.gather(
            *(client.rest() for client in clients), return_exceptions=True
        )  # they were cut
        assert sum(client.received.count(b'"hello"') for client in clients) == 60
