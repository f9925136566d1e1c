"""Clients that leave an answer unread when its connection ends: with and without uvloop."""

from typing import Any

import pytest

from tests.server.test_streaming import event_loop_policy  # noqa: F401 - every test on both event loops
from tests.support.serving import Client, Serving

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


async def until_ending(serving: Serving, header: str) -> Client:
    """A client that has read nothing of a large answer, whose connection the server is about to end."""

    @serving.app.get("/large")
    async def large() -> str:
        return "x" * ANSWER_BYTES

    client = await serving.open()
    client.stop_reading()
    client.writer.write(f"GET /large HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
    await serving.until(lambda: bool(serving.server.server_state.connections))
    (connection,) = serving.server.server_state.connections
    await serving.until(connection.transport.is_closing)
    return client


@ENDS
async def test_never_read(monkeypatch: pytest.MonkeyPatch, header: str, options: dict[str, Any]) -> None:
    """The end of such an answer is dropped after some time, and its connection with it."""
    monkeypatch.setattr("taskstream.server.connection.UNREAD_SECONDS", 0.1)
    async with Serving().serve(**options) as serving:
        client = await until_ending(serving, header)
        await serving.until(lambda: not serving.server.server_state.connections)
        client.read_on()
        assert len(await client.rest()) < ANSWER_BYTES


@ENDS
async def test_read_late(header: str, options: dict[str, Any]) -> None:
    """A client that reads on before that time gets the whole answer."""
    async with Serving().serve(**options) as serving:
        client = await until_ending(serving, header)
        client.read_on()
        assert len(await client.rest()) > ANSWER_BYTES
        await serving.until(lambda: not serving.server.server_state.connections)
