"""The end of the server: quick, clean and quiet, whatever is open or blocked."""

import asyncio
import signal
import time
from collections.abc import Callable

import aiohttp
import pytest

from tests.server.test_limits import HALF_REQUESTS
from tests.support.api import Api, events
from tests.support.programs import OwnWorkServer, Program, Server

pytestmark = pytest.mark.alone

STOP_SECONDS = 3


def stop(server: Server, number: int) -> None:
    """Stop a server; it has to be gone in time, without complaint."""
    started = time.monotonic()
    code = server.stop(number)
    seconds = time.monotonic() - started
    assert code in (0, -number)
    assert seconds < STOP_SECONDS
    for word in ("Traceback", "WARNING", "ERROR", "exception", "never awaited"):
        assert word not in server.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_with_everything_open(session: aiohttp.ClientSession, number: int) -> None:
    """Five hundred streams end cleanly; nothing that is stuck holds up the end."""
    with OwnWorkServer() as server:
        api = Api(session, [server.url])
        task_id = (await api.start(seconds=600, steps=1000))["task_id"]
        many = [(await api.start(seconds=600))["task_id"] for _ in range(20)]
        blocked = (await api.start(work="sleep", seconds=600.0))["task_id"]
        flood = (await api.start(work="flood", events=100_000, kib=64))["task_id"]

        async def watch(path: str) -> int:
            async with api.open(path) as response:
                seen = [event async for event in events(response)]  # an unclean end would raise
            return len(seen)

        paths = [f"/task-progress/{task_id}"] * 479
        paths += [f"/task-progress/{blocked}"] * 20 + ["/task-progress?task_id=" + "&task_id=".join(many)]
        watching = [asyncio.create_task(watch(path)) for path in paths]
        halves = [await asyncio.open_connection("127.0.0.1", server.port) for _ in HALF_REQUESTS]
        for (_, writer), half in zip(halves, HALF_REQUESTS, strict=True):
            writer.write(half)
        deaf_reader, deaf_writer = await asyncio.open_connection("127.0.0.1", server.port)
        deaf_writer.write(f"GET /task-progress/{flood} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        deaf_reader._transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            while (await api.json("GET", "/health"))["streams"] < 501:
                pass

        await asyncio.to_thread(stop, server, number)
        assert min(await asyncio.gather(*watching)) >= 2
        for _, writer in [*halves, (deaf_reader, deaf_writer)]:
            writer.transport.abort()


@pytest.mark.parametrize("pause", [0, 0.02, 0.3])
async def test_two_signals(session: aiohttp.ClientSession, pause: float) -> None:
    """Somebody who presses Ctrl-C twice is obeyed at once, and without a word."""
    with OwnWorkServer() as server:
        api = Api(session, [server.url])
        task_id = (await api.start(seconds=600, steps=1000))["task_id"]
        async with api.open(f"/task-progress/{task_id}") as response:
            await anext(events(response))
            server.process.send_signal(signal.SIGINT)
            await asyncio.sleep(pause)
            await asyncio.to_thread(stop, server, signal.SIGINT)


async def test_end_and_restart(start_server: Callable[..., Server], session: aiohttp.ClientSession) -> None:
    """The port is free at once for a server that starts again."""
    server = start_server()
    api = Api(session, [server.url])
    await api.start(seconds=60)
    stop(server, signal.SIGTERM)
    again = start_server("--port", str(server.port))
    assert (await Api(session, [again.url]).json("GET", "/health"))["tasks"] == 0


async def test_port_taken(server: Server) -> None:
    """A port that is taken gets a sentence, not a traceback."""
    with Program("app.py", "--port", str(server.port)) as second:
        assert second.wait() != 0
    assert "address already in use" in second.output
    assert "Traceback" not in second.output
