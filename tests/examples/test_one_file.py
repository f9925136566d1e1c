"""The whole idea in one file, as the program it is: on real sockets, and with our own client."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.support.examples import Viewer
from tests.support.programs import ROOT, Program, Server

EXAMPLE = ROOT / "examples" / "one_file.py"
ANY_PORT = "import asyncio, runpy, uvicorn; run = uvicorn.run; uvicorn.run = lambda app: run(app, port=0)"
STATUSES = ["PENDING", *["PROGRESS"] * 10, "SUCCESS"]


class OneFile(Server):
    """`python examples/one_file.py`, on a free port; before it, some other code."""

    def __init__(self, before: str = "pass") -> None:
        code = f"{ANY_PORT}; {before}; runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
        self.program = ("-c", code)
        super().__init__()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with OneFile() as server:
        yield server
        server.stop(signal.SIGINT)
        assert "Traceback" not in server.output


async def start(session: aiohttp.ClientSession, server: Server) -> str:
    """The id of a new task."""
    async with session.post(f"{server.url}/start-task") as response:
        first: dict[str, Any] = await response.json()
    assert (response.status, first["status"], first["progress"]) == (200, "PENDING", 0)
    return str(first["task_id"])


def test_eighty_lines() -> None:
    """It has at most 80 lines, and nothing of the package."""
    text = EXAMPLE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert "import taskstream" not in text
    assert "from taskstream" not in text


async def test_viewers(server: Server, session: aiohttp.ClientSession) -> None:
    """Two viewers, a late one and one that reconnects see the same; one that leaves stops nothing."""
    task_id = await start(session, server)
    path = f"/task-progress/{task_id}"
    viewer = Viewer(session, server.url)
    one, two, seen = await asyncio.gather(viewer.see(path), viewer.see(path), viewer.see(path, 4))
    rest = await viewer.see(path, last_event_id=seen[-1].id)
    late = await viewer.see(path)
    story = [(event.id, event.data) for event in one]
    assert [number for number, _ in story] == [str(number) for number in range(1, 13)]
    assert [json.loads(data)["status"] for _, data in story] == STATUSES
    for each in (two, late, seen + rest):
        assert [(event.id, event.data) for event in each] == story
    assert len({event.piece for event in one}) > 8, "they come one by one"
    async with session.get(f"{server.url}/task-status/{task_id}") as response:
        assert await response.json() == json.loads(story[-1][1])


async def test_reconnecting_while_it_runs(server: Server, session: aiohttp.ClientSession) -> None:
    """The work goes on without viewers, and one that comes back gets what it has missed, then the rest."""
    task_id = await start(session, server)
    path = f"/task-progress/{task_id}"
    viewer = Viewer(session, server.url)
    await viewer.see(path, count=1)
    async with asyncio.timeout(10):
        while True:
            async with session.get(f"{server.url}/task-status/{task_id}") as response:
                if (await response.json())["progress"] >= 20:
                    break
    rest = await viewer.see(path, last_event_id="1")
    assert [event.id for event in rest] == [str(number) for number in range(2, 13)]
    assert await viewer.status(path, "12") == 204
    for unknown in ("13", "-1", "nonsense", "²", "9" * 5000):
        assert len(await viewer.see(path, last_event_id=unknown)) == 12


@pytest.mark.parametrize("path", ["/task-progress/unknown", "/task-status/unknown"])
async def test_unknown(server: Server, session: aiohttp.ClientSession, path: str) -> None:
    """An unknown id is a 404 with a reason, no stream."""
    async with session.get(server.url + path) as response:
        assert (response.status, response.content_type) == (404, "application/json")


@pytest.mark.parametrize("name", ["client.py", "sse_client.py"])
def test_our_own_clients(server: Server, name: str) -> None:
    """The clients of this project start and watch a task of this server as they do with the package's."""
    with Program(name, "--url", server.url) as client:
        assert client.wait(30) == 0, client.output
    assert "SUCCESS  100 %" in client.output


async def test_work_that_fails(session: aiohttp.ClientSession) -> None:
    """Work that raises ends its task as FAILURE, and the traceback is in the server's log."""
    fail = "sleep = asyncio.sleep; asyncio.sleep = lambda s: sleep(s if s != 0.5 else 'x')"
    with OneFile(fail) as server:
        task_id = await start(session, server)
        seen = await Viewer(session, server.url).see(f"/task-progress/{task_id}")
        assert [json.loads(event.data)["status"] for event in seen] == ["PENDING", "PROGRESS", "FAILURE"]
        await asyncio.to_thread(server.wait_for, "TypeError")


@pytest.mark.alone
async def test_ctrl_c(session: aiohttp.ClientSession) -> None:
    """Streams end at Ctrl-C, and the server with them."""
    with OneFile() as server:
        task_id = await start(session, server)
        async with session.get(f"{server.url}/task-progress/{task_id}") as response:
            await response.content.readany()
            began = time.monotonic()
            await asyncio.to_thread(server.stop, signal.SIGINT)
            assert time.monotonic() - began < 3
