"""An application is told when its own server begins to stop, whatever the reason, and only then."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI

from taskstream import TaskStream
from taskstream.http.servers import on_server_stop
from tests.support.api import Api, events
from tests.support.programs import OwnApp
from tests.support.serving import running
from tests.support.threads import ThreadServer

SHUTDOWN = uvicorn.Server.shutdown
CLOSE = {"Connection": "close"}

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


def telling(told: list[bool], *, by_state: bool = True) -> FastAPI:
    """An application that is told when its server begins to stop, and when it has."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[dict[str, bool]]:
        with on_server_stop(told.append) as stop:
            yield stop.state() if by_state else {}

    app = FastAPI()
    app.include_router(APIRouter(lifespan=lifespan))
    return app


def streaming() -> tuple[TaskStream, FastAPI]:
    """An application with work that lasts."""
    tasks, app = TaskStream(), FastAPI()
    tasks.work(lasts)
    app.include_router(tasks.router)
    return tasks, app


async def lasts() -> None:
    """Go on for ever."""
    await asyncio.Event().wait()


class Server(uvicorn.Server):
    """A server in the event loop of the test."""

    def __init__(self, app: FastAPI, **options: int) -> None:
        super().__init__(uvicorn.Config(app, port=0, log_config=None, **options))  # type: ignore[arg-type]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.servers[0].sockets[0].getsockname()[1])


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Nothing is wrapped before the first one listens and after the last one."""
    assert uvicorn.Server.shutdown is SHUTDOWN
    yield
    assert uvicorn.Server.shutdown is SHUTDOWN


@pytest.mark.parametrize("first", [0, 1])
async def test_two_servers_in_one_loop(first: int) -> None:
    """Of two servers that start together, the application of the one that stops is told, and no other."""
    told: list[list[bool]] = [[], []]
    servers = [Server(telling(each)) for each in told]
    async with running(*servers) as serving:
        servers[first].should_exit = True
        await serving[first]
        assert (told[first], told[1 - first]) == ([True, False], [])
    assert told == [[True, False]] * 2


async def test_limit_of_requests(session: aiohttp.ClientSession) -> None:
    """A server that ends after so many requests ends the stream that is open; another one's goes on."""
    (tasks, app), (others, other) = streaming(), streaming()
    limited, unlimited = Server(app, limit_max_requests=3), Server(other)
    async with tasks, others, running(limited, unlimited) as serving:
        streams = []
        for server, each in ((limited, tasks), (unlimited, others)):
            path = f"task-progress/{(await each.start(lasts)).task_id}"
            streams.append(await session.get(f"http://127.0.0.1:{server.port}/{path}"))
            await streams[-1].content.readuntil(b'"STARTED"')
            await streams[-1].content.readuntil(b"\n\n")
        for _ in range(3):
            async with session.get(f"http://127.0.0.1:{limited.port}/health", headers=CLOSE) as response:
                await response.read()
        async with asyncio.timeout(5):
            assert await streams[0].content.read() == b""  # an unclean end would raise
            await serving[0]
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                raise AssertionError(await streams[1].content.read(1))


async def test_without_a_router() -> None:
    """Without a state, any server on the same event loop is taken for the one; those in threads are not."""
    told: list[bool] = []
    async with running(Server(telling(told, by_state=False))) as serving:
        with ThreadServer(FastAPI()):
            pass
        assert told == []
        with on_server_stop(lambda _: None):  # another one that listens, and leaves first
            pass
        async with running(Server(FastAPI())):
            pass
        assert told == [True, False]
        assert not serving[0].done()


async def test_another_server_goes_on(session: aiohttp.ClientSession) -> None:
    """Of two servers that share their tasks, one stops: its streams end, those of the other go on."""
    tasks, app = streaming()
    async with tasks, running(Server(app)):
        path = f"task-progress/{(await tasks.start(lasts)).task_id}"
        second, third = Server(app), Server(app)
        async with running(second):
            stopping = await session.get(f"http://127.0.0.1:{second.port}/{path}")
            await stopping.content.readline()
        await stopping.content.read()
        async with running(third), session.get(f"http://127.0.0.1:{third.port}/{path}") as stream:
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
