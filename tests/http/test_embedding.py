"""In an application of one's own, wherever its router is; and README's, as it stands there."""

from collections.abc import Iterator
from urllib.parse import quote

import aiohttp
import pytest
from fastapi import APIRouter, FastAPI

from taskstream import TaskStream
from tests.docs.pages import blocks
from tests.support.api import Api, check_story
from tests.support.programs import OwnApp
from tests.support.threads import ThreadServer

MINE = blocks("README.md", "python")[0]


@pytest.fixture
def tasks() -> TaskStream:
    """Some work."""
    tasks = TaskStream()

    @tasks.work
    def work() -> None: ...

    return tasks


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
@pytest.mark.parametrize("path", ["", "/aä/b c"])
@pytest.mark.parametrize(
    ("ours", "servers", "asked", "told"),
    [
        ("", "", "", ""),
        ("", "/behind", "", "/behind"),  # a proxy that strips it: uvicorn adds it
        ("/behind", "", "", "/behind"),  # a proxy that strips it: nobody adds it
        ("/behind", "", "/behind", "/behind"),  # a proxy that doesn't strip it
    ],
)
async def test_location(
    tasks: TaskStream,
    session: aiohttp.ClientSession,
    path: str,
    ours: str,
    servers: str,
    asked: str,
    told: str,
) -> None:
    """A task's address is told as a browser in front of the proxy has to ask for it."""
    app = FastAPI(root_path=ours)
    app.include_router(tasks.router, prefix=path)
    with ThreadServer(app, root_path=servers) as server:
        jobs = Api(session, [f"{server.url}{asked}{quote(path)}"])
        async with session.post(jobs.url("/start-task")) as response:
            assert response.status == 200
            task_id = (await response.json())["task_id"]
            assert response.headers["Location"] == f"{told}{quote(path)}/task-progress/{task_id}"
        check_story(await jobs.watch(task_id), "SUCCESS")
        async with session.get(jobs.url("/")) as response:
            assert response.status == 200
        async with session.get(f"{server.url}{asked}/openapi.json") as response:
            assert f"{path}/start-task" in (await response.json())["paths"]


async def test_included_twice(tasks: TaskStream, session: aiohttp.ClientSession) -> None:
    """A router that is included twice, also inside another one, is the same tasks under two addresses."""
    app, inner = FastAPI(), APIRouter(prefix="/v1")
    app.include_router(tasks.router)
    inner.include_router(tasks.router, prefix="/again")
    app.include_router(inner, prefix="/api")
    with ThreadServer(app) as server:
        api = Api(session, [server.url, f"{server.url}/api/v1/again"])
        for number in range(1, 5):
            check_story(await api.watch((await api.start())["task_id"]), "SUCCESS")
            assert (await api.json("GET", "/health"))["tasks"] == number


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnApp]:
    """The program, as it stands there. It may not complain of anything."""
    with OwnApp(tmp_path_factory.mktemp("mine"), MINE) as server:
        yield server
        assert "Traceback" not in server.output
        assert "ERROR" not in server.output


@pytest.fixture
def jobs(session: aiohttp.ClientSession, mine: OwnApp) -> Api:
    """A client of the tasks in it."""
    return Api(session, [f"{mine.url}/jobs"])


async def test_started_by_a_request(jobs: Api) -> None:
    """The first work is started, and watched to its end."""
    async with jobs.session.post(jobs.url("/start-task"), json={"start": 1}) as response:
        assert response.status == 200
        task = await response.json()
        assert response.headers["Location"] == f"/jobs/task-progress/{task['task_id']}"
    stream = await jobs.watch(task["task_id"])
    check_story(stream, "SUCCESS")
    assert [event.snapshot["message"] for event in stream[2:]] == ["1 …", "Done"]


async def test_started_by_a_route_of_ones_own(mine: OwnApp, jobs: Api) -> None:
    """A route of the application starts a task with a call, and answers its first snapshot."""
    async with jobs.session.post(f"{mine.url}/albums?images=2") as response:
        assert response.status == 202
        task = await response.json()
    assert (task["name"], task["status"]) == ("resize", "PENDING")
    stream = await jobs.watch(task["task_id"])
    check_story(stream, "SUCCESS")
    assert stream[-1].snapshot["data"] == 2
    assert stream[2].snapshot["message"] == "Resizing: 0 of 2"
    assert await jobs.status(task["task_id"]) == stream[-1].snapshot
