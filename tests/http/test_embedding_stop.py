"""Streams end cleanly when the server of somebody's application stops, and only then."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from fastapi import FastAPI

from taskstream import TaskStream
from tests.support.api import Api, Event, check_story, events
from tests.support.programs import OwnApp
from tests.support.threads import ThreadServer

UNCLEAN = ("Traceback", "ASGI callable returned", "never awaited", "ERROR", "Cancel ")

RUN = '''
import asyncio
import signal

import uvicorn
from fastapi import FastAPI
from taskstream import TaskStream

tasks = TaskStream()


@tasks.work
async def work(*, seconds: float = 600) -> None:
    """Work for some time."""
    await asyncio.sleep(seconds)


app = FastAPI()
app.include_router(tasks.router, prefix="/jobs")
'''

BY_RUN = RUN + "uvicorn.run(app, port=0)\n"

TWICE = (
    RUN
    + """
for _ in range(2):
    try:
        uvicorn.run(app, port=0)
    except KeyboardInterrupt:
        pass
"""
)


class Script(OwnApp):
    """`python mine.py`, which serves itself."""

    program: tuple[str, ...] = ("mine.py",)

    def __init__(self, folder: Path, source: str) -> None:
        super().__init__(folder, source, "--port", "0")


def application() -> FastAPI:
    """An application with work that takes as long as it is asked to."""
    tasks = TaskStream()

    @tasks.work
    async def work(*, seconds: float = 600) -> None:
        await asyncio.sleep(seconds)

    app = FastAPI()
    app.include_router(tasks.router)
    return app


async def begun(stack: AsyncExitStack, api: Api, path: str = "/tasks/{}/stream") -> AsyncIterator[Event]:
    """A stream of a task that runs, from behind its second event."""
    task_id = (await api.start())["task_id"]
    stream = events(await stack.enter_async_context(api.open(path.format(task_id))))
    while (await anext(stream)).snapshot["status"] != "STARTED":
        pass
    return stream


async def collect(stream: AsyncIterator[Event]) -> list[Event]:
    """All that comes in a stream, up to its end. An unclean end raises."""
    return [event async for event in stream]


@pytest.mark.parametrize("path", ["/tasks/{}/stream", "/task-progress?task_id={}"])
async def test_ctrl_c_under_ones_own_run(tmp_path: Path, session: aiohttp.ClientSession, path: str) -> None:
    """On Ctrl-C under the application's own `uvicorn.run` streams end, and nobody complains."""
    with Script(tmp_path, BY_RUN) as server:
        api = Api(session, [f"{server.url}/jobs"])
        async with AsyncExitStack() as stack:
            streams = [await begun(stack, api, path) for _ in range(5)]
            await asyncio.to_thread(server.stop, signal.SIGINT)
            for stream in streams:
                assert await collect(stream) == []
        assert not [word for word in UNCLEAN if word in server.output], server.output


async def test_one_server_after_the_other(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """In a process that serves an application again, the second server's streams live on."""
    with Script(tmp_path, TWICE) as server:
        api = Api(session, [f"{server.url}/jobs"])
        async with AsyncExitStack() as stack:
            stream = await begun(stack, api)
            server.process.send_signal(signal.SIGINT)
            assert await collect(stream) == []
        api = Api(session, [server.wait_for(r"running on (http://\S+)")[1] + "/jobs"])
        async with AsyncExitStack() as stack:
            stream = await begun(stack, api)
            check_story(await api.watch((await api.start(seconds=0.5))["task_id"]), "SUCCESS")
            rest = asyncio.create_task(collect(stream))
            await asyncio.sleep(0)
            assert not rest.done()
            await asyncio.to_thread(server.stop, signal.SIGINT)
            assert await rest == []
        assert not [word for word in UNCLEAN if word in server.output], server.output


async def test_servers_in_threads(session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture) -> None:
    """Two servers at the same time: one is told to stop, its streams end; those of the other live on."""
    with ThreadServer(application()) as first, ThreadServer(application()) as second:
        async with AsyncExitStack() as stack:
            ending = [await begun(stack, Api(session, [first.url])) for _ in range(5)]
            api = Api(session, [second.url])
            task_id = (await api.start())["task_id"]
            living = events(await stack.enter_async_context(api.open(f"/tasks/{task_id}/stream")))
            await anext(living)
            await asyncio.to_thread(first.stop)
            for stream in ending:
                assert await collect(stream) == []
            await api.cancel(task_id)
            assert [event.snapshot["status"] async for event in living][-1] == "REVOKED"
        with ThreadServer(application()) as third:
            api = Api(session, [third.url])
            check_story(await api.watch((await api.start(seconds=0.5))["task_id"]), "SUCCESS")
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    assert "ASGI callable returned" not in caplog.text
