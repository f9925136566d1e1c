"""The traps: what is broken fails as its docstring says, what is fixed holds."""

import asyncio
import json
import re
import runpy
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import pytest

from tests.examples import App, Event, Viewer
from tests.programs import ROOT, Program, Server

TRAPS = ROOT / "examples" / "traps"
NAMES = sorted(path.stem for path in TRAPS.glob("*.py") if path.name != "show.py")


def trap(name: str, *flags: str) -> Server:
    """The server of a trap."""
    return App(f"traps/{name}", *flags)


@pytest.fixture(scope="module")
def newline_in_data() -> Iterator[Server]:
    with trap("newline_in_data") as server:
        yield server


def data(seen: list[Event]) -> list[str]:
    """The data of events."""
    return [event.data for event in seen]


def numbers(seen: list[Event]) -> list[int]:
    """The numbers in the data of events."""
    return [int(event.data.split()[-1]) for event in seen]


def consecutive(these: list[int]) -> bool:
    """Whether none is missing, and none there twice."""
    return these == list(range(these[0], these[0] + len(these)))


async def test_work_restarts(session: aiohttp.ClientSession) -> None:
    """Broken: every connection runs the work anew. Fixed: one run, of which all see all."""
    with trap("work_restarts") as server:
        viewer = Viewer(session, server)
        assert data(await viewer.see("/broken", 3)) == [f"run 1, step {step}" for step in (1, 2, 3)]
        assert data(await viewer.see("/broken", 1, last_event_id="3")) == ["run 2, step 1"]

        first, other = await asyncio.gather(viewer.see("/fixed", 3), viewer.see("/fixed"))
        rest = await viewer.see("/fixed", last_event_id="3")
        assert data(other) == data(first + rest) == [f"run 3, step {step}" for step in range(1, 6)]
        assert await viewer.status("/fixed", "5") == 204


async def test_stolen_events(session: aiohttp.ClientSession) -> None:
    """Broken: what one viewer gets the other misses. Fixed: both get all."""
    with trap("stolen_events") as server:
        viewer = Viewer(session, server)
        one, two, three, four = await asyncio.gather(
            *(viewer.see(path, 6) for path in ("/broken", "/broken", "/fixed", "/fixed"))
        )
    assert not set(data(one)) & set(data(two))
    assert not consecutive(numbers(one))
    assert len(set(data(three)) & set(data(four))) >= 3
    assert consecutive(numbers(three))
    assert consecutive(numbers(four))


async def test_endless_reconnects(session: aiohttp.ClientSession) -> None:
    """Broken: who has seen all is answered again and again. Fixed: 204, which ends it."""
    with trap("endless_reconnects") as server:
        viewer = Viewer(session, server)
        for path in ("/broken", "/fixed"):
            assert len(await viewer.see(path)) == 3
        for _ in range(5):
            assert await viewer.see("/broken", last_event_id="3") == []
        assert await viewer.status("/fixed", "3") == 204
        assert [event.id for event in await viewer.see("/fixed", last_event_id="1")] == ["2", "3"]


async def expect_buffered(viewer: Viewer, broken: str, fixed: str) -> None:
    """Of five events, the broken stream brings all at once; the fixed one each when it happens."""
    late, live = await asyncio.gather(viewer.see(broken), viewer.see(fixed))
    assert data(late) == data(live) == [f"event {number}" for number in range(1, 6)]
    assert len({event.piece for event in late}) == 1
    assert len({event.piece for event in live}) >= 3
    assert late[0].at - live[0].at > 0.5


async def test_buffering_proxy(session: aiohttp.ClientSession) -> None:
    """Broken: a proxy keeps all events until the end. Fixed: the same proxy passes them on."""
    start_proxy: Callable[[int], Awaitable[asyncio.Server]]
    start_proxy = runpy.run_path(str(TRAPS / "buffering_proxy.py"))["start_proxy"]
    with trap("buffering_proxy") as server:
        async with await start_proxy(server.port) as proxy:
            server.url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
            await expect_buffered(Viewer(session, server), "/broken", "/fixed")


async def test_compressing_middleware(session: aiohttp.ClientSession) -> None:
    """Broken: the compressor keeps all events until the end. Fixed: Starlette's leaves them alone."""
    with trap("compressing_middleware") as server:
        viewer = Viewer(session, server)
        await expect_buffered(viewer, "/broken", "/fixed")
        # With curl, which accepts no compression, nothing is wrong.
        uncompressed = await viewer.see("/broken", Accept_Encoding="identity")
        assert len({event.piece for event in uncompressed}) >= 3
        async with session.get(f"{server.url}/fixed") as response:
            assert "Content-Encoding" not in response.headers


async def test_blocking_call(session: aiohttp.ClientSession) -> None:
    """Broken: while one stream computes, all others stand still. Fixed: they go on."""
    with trap("blocking_call") as server:
        viewer = Viewer(session, server)

        async def ticks_during(path: str) -> int:
            ticking = asyncio.create_task(viewer.see("/clock", 8))
            started, ended = await viewer.see(path)
            return len([tick for tick in await ticking if started.at < tick.at < ended.at])

        assert await ticks_during("/broken") <= 1
        assert await ticks_during("/fixed") >= 3


async def test_hanging_bridge(session: aiohttp.ClientSession) -> None:
    """Broken: after the last report nothing comes, not even an end, and Ctrl-C hangs. Fixed: the end."""
    with trap("hanging_bridge") as server:
        viewer = Viewer(session, server)
        assert data(await viewer.see("/fixed")) == ["25 %", "50 %", "75 %", "100 %"]
        async with session.get(f"{server.url}/broken") as response:
            while b"100 %" not in await response.content.readline():
                pass
            assert await response.content.readline() == b"\r\n"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await response.content.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            await asyncio.to_thread(server.stop, signal.SIGINT, 2)


async def test_datetime_in_data(session: aiohttp.ClientSession) -> None:
    """Broken: the stream breaks off at the datetime. Fixed: all of it is JSON."""
    with trap("datetime_in_data") as server:
        async with session.get(f"{server.url}/broken") as response:
            assert response.status == 200
            assert b"so far, so good" in await response.content.readline()
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()
        assert [json.loads(each) for each in data(await Viewer(session, server).see("/fixed"))] == [
            {"step": 1, "note": "so far, so good"},
            {"step": 2, "finished": "2026-01-31T12:00:00Z"},
            {"step": 3, "ratio": None, "handle": "<class 'object'>"},
        ]
        server.wait_for("TypeError: Object of type datetime is not JSON serializable")


@pytest.mark.parametrize("end", ["%0A", "%0D", "%0D%0A"])
async def test_newline_in_data(session: aiohttp.ClientSession, newline_in_data: Server, end: str) -> None:
    """Broken: a name becomes an event. Fixed: it stays a name."""
    viewer = Viewer(session, newline_in_data)
    name = f"?name=Ada{end}{end}event:%20logout{end}data:%20now"
    for query in (name, ""):
        seen = await viewer.see(f"/broken{query}")
        assert [(event.event, event.data) for event in seen] == [("joined", "Ada"), ("logout", "now")]
        seen = await viewer.see(f"/fixed{query}")
        assert [(event.event, event.data) for event in seen] == [
            ("joined", "Ada\n\nevent: logout\ndata: now"),
        ]


async def test_five_minute_timeout(session: aiohttp.ClientSession) -> None:
    """Broken: after the time for the whole, the stream is cut. Fixed: only silence ends it."""
    assert aiohttp.client.DEFAULT_TIMEOUT.total == 5 * 60
    with trap("five_minute_timeout") as server:
        viewer = Viewer(session, server)

        async def cut(path: str) -> None:
            with pytest.raises(aiohttp.ClientPayloadError):
                await viewer.see(path)

        seen, *_ = await asyncio.gather(
            viewer.see("/fixed"), cut("/broken"), cut("/fixed?silent_after=2"), viewer.see("/stream")
        )
        assert numbers(seen) == list(range(1, 9))


async def test_unstoppable_server(session: aiohttp.ClientSession) -> None:
    """Broken: an open stream keeps the server from stopping. Fixed: it ends with the server."""
    for path, flags in (("/broken", ()), ("/fixed", ()), ("/broken", ("--timeout-graceful-shutdown", "1"))):
        with trap("unstoppable_server", *flags) as server:
            async with session.get(f"{server.url}{path}") as response:
                assert b"tick" in await response.content.readline()
                if path == "/broken" and not flags:
                    with pytest.raises(subprocess.TimeoutExpired):
                        await asyncio.to_thread(server.stop, signal.SIGTERM, 2)
                else:
                    await asyncio.to_thread(server.stop, signal.SIGTERM, 5)
            await asyncio.to_thread(server.wait)


async def test_subscribing_after_replay(session: aiohttp.ClientSession) -> None:
    """Broken: what happens between replay and subscription is lost. Fixed: nothing is."""
    with trap("subscribing_after_replay") as server:
        viewer = Viewer(session, server)
        broken, fixed = await asyncio.gather(viewer.see("/broken", 12), viewer.see("/fixed", 12))
    assert numbers(broken) == sorted(set(numbers(broken)))
    assert not consecutive(numbers(broken))
    assert consecutive(numbers(fixed))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_shown(name: str) -> None:
    """`python examples/traps/NAME.py` shows both, and ends."""
    with Program(f"examples/traps/{name}.py") as program:
        assert program.wait(30) == 0, program.output
    broken, fixed = re.split(r"^(?:GET )?/fixed\n", program.output, maxsplit=1, flags=re.MULTILINE)
    assert "/broken\n" in broken
    assert len(fixed.splitlines()) >= 1
    assert "Traceback" not in program.output
