"""An application is told when its own server begins to stop, whatever the reason, and only then."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from sse_starlette import EventSourceResponse

from taskstream import TaskStream
from taskstream.http.servers import on_server_stop
from tests.support.api import Api, events
from tests.support.programs import OwnApp
from tests.support.threads import ThreadServer

SHUTDOWN = uvicorn.Server.shutdown

BY_RUN = """
import asyncio
import uvicorn
from fastapi import FastAPI
from taskstream import TaskStream

tasks = TaskStream()

@tasks.work
async def work() -> None:
    await asyncio.sleep(600)

app = FastAPI()
app.include_router(tasks.router)
uvicorn.run(app, port=0)
"""


class Script(OwnApp):
    """`python mine.py`, which serves itself."""

    program: tuple[str, ...] = ("mine.py",)


@dataclass
class Told:
    """An application that streams until it is told that its server stops; how often it was told."""

    by_state: bool = True
    times: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def app(self) -> FastAPI:
        """The application, which includes a router whose lifespan listens."""
        router = APIRouter(lifespan=self._lifespan)

        @router.get("/stream")
        async def stream() -> EventSourceResponse:
            return EventSourceResponse(self._events())

        app = FastAPI()
        app.include_router(router)
        return app

    @asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[dict[str, bool]]:
        with on_server_stop(self._stop) as stop:
            yield stop.state() if self.by_state else {}

    def _stop(self, stopping: bool) -> None:
        self.times += stopping
        self.stopped.set()

    async def _events(self) -> AsyncIterator[str]:
        yield "begun"
        await self.stopped.wait()
        yield "ended"


class Server(uvicorn.Server):
    """A server in the event loop of the test."""

    def __init__(self, app: FastAPI, **options: int) -> None:
        super().__init__(uvicorn.Config(app, port=0, log_config=None, **options))  # type: ignore[arg-type]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.servers[0].sockets[0].getsockname()[1])


@asynccontextmanager
async def serving(*servers: Server) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Servers that have been started together."""
    running = [asyncio.create_task(server._serve()) for server in servers]
    try:
        async with asyncio.timeout(10):
            while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn has nothing to wait for
                await asyncio.sleep(0.01)
        yield running
    finally:
        for server in servers:
            server.should_exit = True
        async with asyncio.timeout(10):
            await asyncio.gather(*running)


async def get(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which something has been asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
    return reader, writer


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Nothing is wrapped before the first one listens and after the last one."""
    assert uvicorn.Server.shutdown is SHUTDOWN
    yield
    assert uvicorn.Server.shutdown is SHUTDOWN


@pytest.mark.parametrize("first", [0, 1])
async def test_two_servers_in_one_loop(first: int) -> None:
    """Of two servers that start together, the application of the one that stops is told, and no other."""
    told = [Told(), Told()]
    servers = [Server(each.app) for each in told]
    async with serving(*servers) as running:
        servers[first].should_exit = True
        await running[first]
        assert (told[first].times, told[1 - first].times) == (1, 0)
        servers[1 - first].should_exit = True
        await running[1 - first]
        assert (told[0].times, told[1].times) == (1, 1)


async def test_limit_of_requests() -> None:
    """A server that ends after so many requests ends the stream that is open; another one's goes on."""
    told, other = Told(), Told()
    limited, unlimited = Server(told.app, limit_max_requests=3), Server(other.app)
    async with serving(limited, unlimited) as running, AsyncExitStack() as stack:
        streams = [await get(server.port, "/stream") for server in (limited, unlimited)]
        for reader, writer in streams:
            stack.callback(writer.close)
            await reader.readuntil(b"begun\r\n\r\n\r\n")
        for _ in range(3):
            reader, writer = await get(limited.port, "/openapi.json")
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
        async with asyncio.timeout(5):
            assert (await streams[0][0].read()).endswith(b"\r\n0\r\n\r\n")
            await running[0]
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                raise AssertionError(await streams[1][0].read(1))
        assert (told.times, other.times) == (1, 0)


async def test_without_a_router() -> None:
    """Without a state, any server on the same event loop is taken for the one; those in threads are not."""
    told = Told(by_state=False)
    async with serving(Server(told.app)) as running:
        with ThreadServer(FastAPI()):
            pass
        assert told.times == 0
        with on_server_stop(lambda _: None):  # another one that listens, and leaves first
            pass
        async with serving(Server(FastAPI())):
            pass
        assert told.times == 1
        assert not running[0].done()


async def test_before_there_is_a_server() -> None:
    """One that listens, and awaits other things before it serves, is told as well."""
    told: list[bool] = []
    with on_server_stop(told.append):
        await asyncio.sleep(0.05)
        async with serving(Server(FastAPI())):
            assert told == []
        assert told == [True, False]


async def test_another_server_goes_on() -> None:
    """Of two servers that share their tasks, one stops: its streams end, those of the other go on."""
    tasks = TaskStream()

    @tasks.work
    async def lasts() -> None:
        await asyncio.Event().wait()

    app = FastAPI()
    app.include_router(tasks.router)
    async with tasks, serving(Server(app)), aiohttp.ClientSession() as session:
        path = f"task-progress/{(await tasks.start(lasts)).task_id}"
        second, third = Server(app), Server(app)
        async with serving(second):
            stopping = await session.get(f"http://127.0.0.1:{second.port}/{path}")
            await stopping.content.readline()
        await stopping.content.read()
        async with serving(third), session.get(f"http://127.0.0.1:{third.port}/{path}") as stream:
            while b'"STARTED"' not in await stream.content.readline():
                pass
            await stream.content.readline()
            reading = asyncio.create_task(stream.content.read())
            await tasks.cancel(path.split("/")[1])
            assert b'"REVOKED"' in await reading


async def test_ctrl_c_under_ones_own_run(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """On Ctrl-C under the application's own `uvicorn.run` streams end, and nobody complains."""
    with Script(tmp_path, BY_RUN) as server:
        api, streams = Api(session, [server.url]), []
        async with AsyncExitStack() as stack:
            for path in ["/tasks/{}/stream", "/task-progress?task_id={}"] * 3:
                task_id = (await api.start())["task_id"]
                streams.append(events(await stack.enter_async_context(api.open(path.format(task_id)))))
                while (await anext(streams[-1])).snapshot["status"] != "STARTED":
                    pass
            await asyncio.to_thread(server.stop, signal.SIGINT)
            for stream in streams:
                assert [event async for event in stream] == []  # an unclean end would raise
        for word in ("Traceback", "ASGI callable returned", "never awaited", "ERROR", "Cancel "):
            assert word not in server.output
