"""What the server withstands: its limits, and clients that misbehave."""

import asyncio
import signal
import socket
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from taskstream.server.serve import allow_many_connections
from tests.support.api import LONG_TASK, Api, Event, blocks, check_story, check_two_places, events
from tests.support.programs import OwnWorkServer, Server, UvicornServer

StartServer = Callable[..., Server]


@pytest.fixture(scope="module")
def bounded_server() -> Iterator[Server]:
    flags = ("--max-streams", "2", "--history-length", "3", "--work-threads", "1", "--ping-seconds", "0.05")
    with Server(*flags) as server:
        yield server


@pytest.fixture
def bounded(bounded_server: Server, session: aiohttp.ClientSession) -> Api:
    """A client of a server with low limits, and a heartbeat that is quick."""
    return Api(session, [bounded_server.url])


@asynccontextmanager
async def connection(server: Server, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A bare socket on which something has been sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    await writer.drain()
    try:
        yield reader
    finally:
        writer.close()


async def until_streams(api: Api, count: int) -> None:
    """Return when so many streams are open; fail after ten seconds."""
    async with asyncio.timeout(10):
        while (await api.json("GET", "/health"))["streams"] != count:
            pass


async def test_max_tasks(start_server: StartServer, session: aiohttp.ClientSession) -> None:
    """A registry full of running tasks refuses one more; the oldest ended one makes room."""
    api = Api(session, [start_server("--max-tasks", "2").url])
    await check_two_places(api)


async def test_max_streams(bounded: Api) -> None:
    """One stream too many is refused, but not those who need none; a place is free when a viewer goes."""
    ended = (await bounded.start(seconds=0))["task_id"]
    last = (await bounded.watch(ended))[-1]
    path = f"/task-progress/{(await bounded.start(**LONG_TASK))['task_id']}"
    async with (
        bounded.open(path) as first,
        bounded.open(f"/task-progress?task_id={ended}&task_id=x") as overview,
    ):
        await anext(events(first))
        assert overview.status == 200
        await overview.read()
        await until_streams(bounded, 1)
        async with bounded.open(path) as second:
            await anext(events(second))
            for full in (path, f"/task-progress?task_id={ended}"):
                async with bounded.open(full) as third:
                    assert third.status == 503
                    assert int(third.headers["Retry-After"]) > 0
                    assert "All 2 streams" in (await third.json())["detail"]
            await bounded.json("GET", "/task-progress/unknown", 404)
            async with bounded.open(f"/task-progress/{ended}", last.id) as nothing_more:
                assert nothing_more.status == 204
        await until_streams(bounded, 1)
        async with bounded.open(path) as fourth:
            await anext(events(fourth))
    await until_streams(bounded, 0)


async def test_history_length(bounded: Api) -> None:
    """What has fallen out of the log is skipped, which snapshots make safe, and viewers are told so."""
    task_id = (await bounded.start(seconds=0, steps=20))["task_id"]
    await bounded.watch(task_id)
    assert [event.id for event in await bounded.watch(task_id, 21)] == [22, 23]
    for last_event_id in (0, 2):
        lost, *kept = await bounded.watch(task_id, last_event_id)
        assert (lost["event"], lost["id"]) == ("lost", None)
        assert lost.snapshot == {"from": last_event_id + 1, "to": 20}
        assert [event.id for event in kept] == [21, 22, 23]


def test_many_connections_at_once(start_server: StartServer) -> None:
    """Thousands may come while the server is busy: none is dropped, to try again after a second."""
    if int(Path("/proc/sys/net/core/somaxconn").read_text(encoding="ascii")) < 4096:
        pytest.skip("The system lets fewer connections wait.")
    allow_many_connections()
    server = start_server()
    server.process.send_signal(signal.SIGSTOP)
    with ExitStack() as stack:
        for _ in range(3000):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))


async def test_ping(bounded: Api) -> None:
    """Silence is broken by comments, so that nobody takes the connection for dead."""
    task_id = (await bounded.start(seconds=3600, steps=1))["task_id"]
    async with bounded.open(f"/task-progress/{task_id}") as response:
        stream = blocks(response)
        seen = [await anext(stream) for _ in range(5)]
    assert seen[2:] == [": ping"] * 3


async def test_retry_is_spread(bounded: Api) -> None:
    """Viewers are told to come back after one to three times the setting, and not all at once."""
    task_id = (await bounded.start(seconds=0))["task_id"]
    delays = [int((await bounded.watch(task_id))[0]["retry"] or 0) for _ in range(60)]
    assert min(delays) >= 1000
    assert max(delays) <= 3000
    assert max(delays) - min(delays) > 500


async def test_settings_under_uvicorn(session: aiohttp.ClientSession) -> None:
    """`uvicorn app:app` serves the same, with the settings of the environment."""
    origins = "https://a.example, https://b.example"
    with UvicornServer(TASKSTREAM_MAX_TASKS="1", TASKSTREAM_CORS_ORIGINS=origins) as server:
        api = Api(session, [server.url])
        await api.start(**LONG_TASK)
        await api.json("POST", "/start-task", 503)
        for origin in ("https://a.example", "https://b.example", "https://c.example"):
            async with session.get(api.url("/health"), headers={"Origin": origin}) as response:
                allowed = response.headers.get("Access-Control-Allow-Origin")
            assert allowed == (None if "c." in origin else origin)


HALF_REQUESTS = [
    b"",
    b"POST /start-task HTT",
    b"POST /start-task HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    b"POST /start-task HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
]


async def test_half_a_request(start_server: StartServer, session: aiohttp.ClientSession) -> None:
    """Half a request, then silence or a cut: it starts nothing, holds nobody up, and leaves no trace."""
    server = start_server()
    api = Api(session, [server.url])
    for half in HALF_REQUESTS * 5:
        async with connection(server, half):
            await api.start(seconds=0)
    assert (await api.json("GET", "/health"))["tasks"] == len(HALF_REQUESTS) * 5
    assert server.stop() == -15
    assert "Traceback" not in server.output
    assert "ERROR" not in server.output


@pytest.mark.slow
async def test_a_body_that_does_not_come(server: Server) -> None:
    """A body that is too slow gets a 408."""
    async with connection(server, HALF_REQUESTS[2]) as reader:
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")


@pytest.mark.alone
async def test_the_loop_stays_responsive(api: Api) -> None:
    """While blocking functions sleep, everybody else is answered at once."""
    tasks = [await api.start(work="scraping", seconds=1, steps=2) for _ in range(4)]
    seconds: list[float] = []
    while (await api.status(tasks[-1]["task_id"]))["progress"] < 75:
        started = time.perf_counter()
        await api.json("GET", "/health")
        seconds.append(time.perf_counter() - started)
    assert statistics.median(seconds) < 0.05
    assert len(seconds) > 20
    ends: list[list[Event]] = await asyncio.gather(*(api.watch(task["task_id"]) for task in tasks))
    assert [end[-1].snapshot["status"] for end in ends] == ["SUCCESS"] * 4


async def test_a_million_reports(session: aiohttp.ClientSession) -> None:
    """A function may report in a tight loop: it ends, its last report arrives, memory stays bounded."""
    with OwnWorkServer() as server:
        api = Api(session, [server.url])
        before = server.memory()
        stream = await api.watch((await api.start(work="hot_loop", reports=1_000_000))["task_id"])
        assert server.memory() - before < 16 * 1024
    check_story(stream, "SUCCESS")
    assert stream[-1].snapshot["data"] == 1_000_000
    assert stream[-2].snapshot["message"] == "Report 1000000"


async def test_queued_blocking_work(bounded: Api) -> None:
    """With every thread at work, a task is PENDING; when it is cancelled, the next one gets the place."""
    await bounded.start(work="scraping", seconds=0.5, steps=1)
    queued = (await bounded.start(work="scraping", **LONG_TASK))["task_id"]
    last = (await bounded.start(work="scraping", seconds=0, steps=1))["task_id"]
    assert (await bounded.status(queued))["status"] == "PENDING"
    await bounded.cancel(queued)
    assert [event.snapshot["status"] for event in await bounded.watch(queued)] == ["PENDING", "REVOKED"]
    assert (await bounded.watch(last))[-1].snapshot["status"] == "SUCCESS"
