"""The traps where a scenario, which test_timelines.py plays, doesn't show all that their docstrings say."""

import asyncio
import signal
import subprocess

import aiohttp
import pytest

from tests.support.backends import Nginx
from tests.support.examples import App, Viewer
from tests.support.programs import Server


def trap(name: str, *flags: str) -> Server:
    """The server of a trap."""
    return App(f"examples.traps.{name}", *flags)


@pytest.mark.slow
async def test_buffering_nginx(session: aiohttp.ClientSession) -> None:
    """The real nginx keeps all events until the end as well, if it speaks HTTP/1.0 and gets no chunks."""
    with trap("buffering_proxy", "--http", "h11") as server:
        location = f"location ~ broken|fixed {{ proxy_pass {server.url}; proxy_http_version 1.0; }}"
        with Nginx(server.url, buffering=True, location=location) as nginx:
            viewer = Viewer(session, nginx.url)
            late, live = await asyncio.gather(viewer.see("/broken"), viewer.see("/fixed"))
    assert [event.data for event in late] == [event.data for event in live]
    assert len({event.piece for event in late}) == 1
    assert len({event.piece for event in live}) >= 3


@pytest.mark.slow
async def test_hanging_bridge_hangs_the_server(session: aiohttp.ClientSession) -> None:
    """Once its stream hangs, the server does not stop on Ctrl-C."""
    with trap("hanging_bridge") as server:
        async with session.get(f"{server.url}/broken") as response:
            while b"100 %" not in await response.content.readline():
                pass
            with pytest.raises(subprocess.TimeoutExpired):
                await asyncio.to_thread(server.stop, signal.SIGINT, 2)


@pytest.mark.slow
async def test_a_safety_net_for_the_unstoppable_server(session: aiohttp.ClientSession) -> None:
    """Uvicorn's flag for it ends even the broken stream with the server."""
    with trap("unstoppable_server", "--timeout-graceful-shutdown", "1") as server:
        async with session.get(f"{server.url}/broken") as response:
            assert b"tick" in await response.content.readline()
            assert await asyncio.to_thread(server.stop, signal.SIGTERM) in (0, -signal.SIGTERM)


async def test_authorization_header(session: aiohttp.ClientSession) -> None:
    """Only the token gets the cookie; it is HttpOnly and SameSite, and no other lets in."""
    with trap("authorization_header") as server:
        async with session.post(f"{server.url}/login") as response:
            assert response.status == 401
            assert not response.cookies
        token = {"Authorization": "Bearer secret"}
        async with session.post(f"{server.url}/login", headers=token) as response:
            cookie = response.cookies["session"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "lax"
        viewer = Viewer(session, server.url)
        seen = await viewer.see("/fixed", Cookie=f"session={cookie.value}")
        assert [event.data for event in seen] == ["event 1", "event 2", "event 3"]
        with pytest.raises(AssertionError, match="Log in first"):
            await viewer.see("/fixed", Cookie=f"session={cookie.value[:-1]}~")
