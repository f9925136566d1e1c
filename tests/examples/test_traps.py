"""The traps: what is broken fails as its docstring says, what is fixed works.

By streams of one's own; the scenarios are in test_timelines.py.
"""

import asyncio
import json
import runpy
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.all_traps import TRAPS
from tests.support.backends import free_port, require
from tests.support.examples import App, Event, Viewer
from tests.support.programs import Program, Server

NGINX_CONF = """
daemon off;
error_log stderr notice;
pid nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen %s;
        location / {
            proxy_pass %s;
            proxy_http_version 1.0;
        }
    }
}
"""


def trap(name: str, *flags: str) -> Server:
    """The server of a trap, for one that is about more than its streams."""
    return App(f"examples.traps.{name}", *flags)


@pytest.fixture(scope="module")
def traps() -> Iterator[Server]:
    with App("tests.support.all_traps") as server:
        yield server


@pytest.fixture
def viewer(session: aiohttp.ClientSession, traps: Server, request: pytest.FixtureRequest) -> Viewer:
    """A viewer of the trap that the test is named after."""
    name = request.function.__name__.removeprefix("test_")
    return Viewer(session, f"{traps.url}/{name}")


def data(seen: list[Event]) -> list[str]:
    """The data of events."""
    return [event.data for event in seen]


def numbers(seen: list[Event]) -> list[int]:
    """The numbers in the data of events."""
    return [int(event.data.split()[-1]) for event in seen]


def consecutive(these: list[int]) -> bool:
    """Whether none is missing, and none there twice."""
    return these == list(range(these[0], these[0] + len(these)))


async def test_work_restarts(viewer: Viewer) -> None:
    """Broken: every connection runs the work anew. Fixed: one run, of which all see all."""
    assert data(await viewer.see("/broken", 3)) == [f"run 1, step {step}" for step in (1, 2, 3)]
    assert data(await viewer.see("/broken", 1, last_event_id="3")) == ["run 2, step 1"]

    first, other = await asyncio.gather(viewer.see("/fixed", 3), viewer.see("/fixed"))
    rest = await viewer.see("/fixed", last_event_id="3")
    assert data(other) == data(first + rest) == [f"run 3, step {step}" for step in range(1, 6)]
    assert await viewer.status("/fixed", "5") == 204


async def test_token_stream(viewer: Viewer) -> None:
    """Broken: after a cut the text stands there twice. Fixed: once, and whole, for every viewer."""

    def text(*seen: list[Event]) -> str:
        return "".join(event.data for each in seen for event in each)

    first, again = await viewer.see("/broken", 3), await viewer.see("/broken", last_event_id="3")
    assert text(first, again) == "A task runs Whoever watches, a task runs once. "

    first, other = await asyncio.gather(viewer.see("/fixed", 3), viewer.see("/fixed"))
    rest = await viewer.see("/fixed", last_event_id="3")
    assert text(first, rest) == text(other) == "A task runs once, whoever watches. "
    assert await viewer.status("/fixed", "6") == 204


async def test_stolen_events(viewer: Viewer) -> None:
    """Broken: what one viewer gets the other misses. Fixed: both get all."""
    one, two, three, four = await asyncio.gather(
        *(viewer.see(path, 4) for path in ("/broken", "/broken", "/fixed", "/fixed"))
    )
    assert not set(data(one)) & set(data(two))
    assert not consecutive(numbers(one))
    assert len(set(data(three)) & set(data(four))) >= 2
    assert consecutive(numbers(three))
    assert consecutive(numbers(four))


async def test_endless_reconnects(viewer: Viewer) -> None:
    """Broken: who has seen all is answered again and again. Fixed: 204, which ends it."""
    broken, fixed = await asyncio.gather(viewer.see("/broken"), viewer.see("/fixed"))
    assert [event.id for event in broken] == [event.id for event in fixed] == ["1", "2", "3"]
    for _ in range(5):
        assert await viewer.see("/broken", last_event_id="3") == []
    assert await viewer.status("/fixed", "3") == 204
    assert [event.id for event in await viewer.see("/fixed", last_event_id="2")] == ["3"]


async def expect_buffered(viewer: Viewer) -> None:
    """Of five events, the broken stream brings all at once; the fixed one each when it happens."""
    late, live = await asyncio.gather(viewer.see("/broken"), viewer.see("/fixed"))
    assert data(late) == data(live) == [f"event {number}" for number in range(1, 6)]
    assert len({event.piece for event in late}) == 1
    assert len({event.piece for event in live}) >= 3
    assert late[0].at - live[0].at > 0.5


async def test_buffering_proxy(session: aiohttp.ClientSession, traps: Server) -> None:
    """Broken: a proxy keeps all events until the end. Fixed: the same proxy passes them on."""
    start_proxy = runpy.run_path(str(TRAPS / "buffering_proxy.py"))["start_proxy"]
    async with await start_proxy(traps.port) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        await expect_buffered(Viewer(session, f"http://127.0.0.1:{port}/buffering_proxy"))


@pytest.mark.slow
async def test_buffering_nginx(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """The real nginx does the same, if it speaks HTTP/1.0 and gets no chunks."""

    class Nginx(Program):
        executable = (require("nginx"),)

    url = f"http://127.0.0.1:{free_port()}"
    conf = tmp_path / "nginx.conf"
    with trap("buffering_proxy", "--http", "h11") as server:
        conf.write_text(NGINX_CONF % (url.removeprefix("http://"), server.url), encoding="utf-8")
        with Nginx("-p", str(tmp_path), "-c", str(conf), "-e", "stderr") as nginx:
            try:
                nginx.wait_for("start worker process ")
                await expect_buffered(Viewer(session, url))
            finally:
                nginx.stop()  # killed, it would leave its worker behind


async def test_compressing_middleware(viewer: Viewer) -> None:
    """Broken: the compressor keeps all events until the end. Fixed: Starlette's leaves them alone."""
    uncompressed, _ = await asyncio.gather(
        viewer.see("/broken", Accept_Encoding="identity"), expect_buffered(viewer)
    )
    assert len({event.piece for event in uncompressed}) >= 3  # as with curl, which accepts no gzip
    assert (await viewer.headers("/broken"))["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in await viewer.headers("/fixed")


async def test_blocking_call(viewer: Viewer) -> None:
    """Broken: while one stream computes, all others stand still. Fixed: they go on."""

    async def ticks_during(path: str) -> int:
        ticking = asyncio.create_task(viewer.see("/clock", 4))
        started, ended = await viewer.see(path)
        return len([tick for tick in await ticking if started.at < tick.at < ended.at])

    assert await ticks_during("/broken") <= 1
    assert await ticks_during("/fixed") >= 3


async def expect_to_hang(url: str, session: aiohttp.ClientSession) -> None:
    """After the last report nothing comes, not even an end."""
    async with session.get(url) as response:
        while b"100 %" not in await response.content.readline():
            pass
        assert await response.content.readline() == b"\r\n"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.7):
                await response.content.readline()


async def test_hanging_bridge(viewer: Viewer, session: aiohttp.ClientSession, traps: Server) -> None:
    """Broken: it hangs after the last report. Fixed: it ends."""
    seen, _ = await asyncio.gather(
        viewer.see("/fixed"), expect_to_hang(f"{traps.url}/hanging_bridge/broken", session)
    )
    assert data(seen) == ["25 %", "50 %", "75 %", "100 %"]


@pytest.mark.slow
async def test_hanging_bridge_hangs_the_server(session: aiohttp.ClientSession) -> None:
    """One such stream, and the server does not stop on Ctrl-C."""
    with trap("hanging_bridge") as server:
        await expect_to_hang(f"{server.url}/broken", session)
        with pytest.raises(subprocess.TimeoutExpired):
            await asyncio.to_thread(server.stop, signal.SIGINT, 2)


async def test_datetime_in_data(viewer: Viewer, session: aiohttp.ClientSession, traps: Server) -> None:
    """Broken: the stream breaks off at the datetime. Fixed: all of it is JSON."""
    async with session.get(f"{traps.url}/datetime_in_data/broken") as response:
        assert response.status == 200
        assert b"so far, so good" in await response.content.readline()
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()
    assert [json.loads(each) for each in data(await viewer.see("/fixed"))] == [
        {"step": 1, "note": "so far, so good"},
        {"step": 2, "finished": "2026-01-31T12:00:00Z"},
        {"step": 3, "ratio": None, "handle": "<class 'object'>"},
    ]
    traps.wait_for("TypeError: Object of type datetime is not JSON serializable")


@pytest.mark.parametrize("end", ["%0A", "%0D", "%0D%0A"])
async def test_newline_in_data(viewer: Viewer, end: str) -> None:
    """Broken: a name becomes an event. Fixed: it stays a name."""
    name = f"?name=Ada{end}{end}event:%20logout{end}data:%20now"
    for query in (name, ""):
        seen = await viewer.see(f"/broken{query}")
        assert [(event.event, event.data) for event in seen] == [("joined", "Ada"), ("logout", "now")]
        seen = await viewer.see(f"/fixed{query}")
        assert [(event.event, event.data) for event in seen] == [
            ("joined", "Ada\n\nevent: logout\ndata: now"),
        ]


async def test_five_minute_timeout(viewer: Viewer) -> None:
    """Broken: after the time for the whole, the stream is cut. Fixed: only silence ends it."""
    assert aiohttp.client.DEFAULT_TIMEOUT.total == 5 * 60

    async def cut(path: str) -> None:
        with pytest.raises(aiohttp.ClientPayloadError):
            await viewer.see(path)

    seen, *_ = await asyncio.gather(viewer.see("/fixed"), cut("/broken"), cut("/fixed?silent_after=2"))
    assert numbers(seen) == list(range(1, 9))


@pytest.mark.slow
async def test_unstoppable_server(session: aiohttp.ClientSession) -> None:
    """Broken: an open stream keeps the server from stopping. Fixed: it ends with the server."""

    async def stop(path: str, *flags: str, seconds: float = 10) -> int:
        with trap("unstoppable_server", *flags) as server:
            async with session.get(f"{server.url}{path}") as response:
                assert b"tick" in await response.content.readline()
                return await asyncio.to_thread(server.stop, signal.SIGTERM, seconds)

    safety_net = ("--timeout-graceful-shutdown", "1")
    ends = stop("/broken", seconds=2), stop("/fixed"), stop("/broken", *safety_net)
    broken, fixed, with_safety_net = await asyncio.gather(*ends, return_exceptions=True)
    assert isinstance(broken, subprocess.TimeoutExpired)
    assert fixed in (0, -signal.SIGTERM)
    assert with_safety_net in (0, -signal.SIGTERM)


async def test_subscribing_after_replay(viewer: Viewer) -> None:
    """Broken: what happens between replay and subscription is lost. Fixed: nothing is."""
    broken, fixed = await asyncio.gather(viewer.see("/broken", 12), viewer.see("/fixed", 12))
    assert numbers(broken) == sorted(set(numbers(broken)))
    assert not consecutive(numbers(broken))
    assert consecutive(numbers(fixed))


async def test_authorization_header(viewer: Viewer, session: aiohttp.ClientSession, traps: Server) -> None:
    """Broken: only the header lets in. Fixed: the cookie does, which only the token can get."""
    url = f"{traps.url}/authorization_header"
    token = {"Authorization": "Bearer secret"}
    assert await viewer.status("/broken") == await viewer.status("/fixed") == 401
    seen = await viewer.see("/broken", Authorization="Bearer secret")
    assert data(seen) == ["event 1", "event 2", "event 3"]
    async with session.post(f"{url}/login") as response:
        assert response.status == 401
        assert not response.cookies
    async with session.post(f"{url}/login", headers=token) as response:
        cookie = response.cookies["session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    seen = await viewer.see("/fixed", Cookie=f"session={cookie.value}")
    assert data(seen) == ["event 1", "event 2", "event 3"]
    with pytest.raises(AssertionError, match="Log in first"):
        await viewer.see("/fixed", Cookie=f"session={cookie.value[:-1]}~")


async def test_nobody_watches(viewer: Viewer, traps: Server) -> None:
    """Broken: the poll outlives its viewers. Fixed: it ends with the last one, and starts with the next."""
    assert data(await viewer.see("/fixed", 2)) == ["price 1", "price 2"]
    assert data(await viewer.see("/fixed", 1)) == ["price 1"]
    assert data(await viewer.see("/broken", 2)) == ["price 1", "price 2"]
    await asyncio.to_thread(traps.wait_for, r"work: question \d+, viewers: 0")


async def test_retry_storm(viewer: Viewer, session: aiohttp.ClientSession, traps: Server) -> None:
    """Broken: the same delay for all viewers. Fixed: a random one for each."""

    async def delay(path: str) -> bytes:
        async with session.get(f"{traps.url}/retry_storm{path}") as response:
            return next(line for line in (await response.read()).splitlines() if line.startswith(b"retry"))

    assert {await delay("/broken") for _ in range(4)} == {b"retry: 200"}
    assert len(set(await asyncio.gather(*(delay("/fixed") for _ in range(8))))) > 4
    assert [event.id for event in await viewer.see("/fixed", last_event_id="1")] == ["2"]
