"""In an application of one's own: the program of the documentation, as it stands there."""

from collections.abc import Iterator

import aiohttp
import pytest

from tests.support.api import Api, check_story, events
from tests.support.programs import OwnApp

MINE = '''
import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI
from taskstream import Snapshot, TaskStream, Update, track

tasks = TaskStream()


@tasks.work
async def countdown(*, start: int = 10) -> AsyncIterator[Update]:
    """Count down to zero."""
    for number in range(start, 0, -1):
        await asyncio.sleep(1)
        yield Update(100 * (start - number + 1) / start, f"{number} …")


@tasks.work
def resize(*, images: int = 20) -> int:
    """Make images smaller: a blocking function, so it runs in a thread (with Redis, in a worker)."""
    for _ in track(range(images), "Resizing"):
        time.sleep(0.2)
    return images


app = FastAPI()
app.include_router(tasks.router, prefix="/jobs")


@app.post("/albums", status_code=202)
async def resize_album(images: int = 20) -> Snapshot:
    return await tasks.start(resize, images=images)
'''


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


@pytest.mark.parametrize("work", ["countdown", "resize"])
async def test_cancelled(jobs: Api, work: str) -> None:
    """Both kinds of work are cancelled, and viewers see it."""
    task_id = (await jobs.start(work=work))["task_id"]
    async with jobs.open(f"/tasks/{task_id}/stream") as response:
        stream = events(response)
        while (await anext(stream)).snapshot["status"] == "PENDING":
            pass
        assert (await jobs.json("POST", f"/tasks/{task_id}/cancel"))["status"] == "REVOKED"
        assert [event.snapshot["status"] async for event in stream][-1] == "REVOKED"


async def test_the_page_and_the_element(mine: OwnApp, jobs: Api) -> None:
    """The page, the element and the interactive documentation are there."""
    for url, content in (
        (jobs.url("/"), "text/html"),
        (jobs.url("/static/task-progress.js"), "text/javascript"),
        (f"{mine.url}/docs", "text/html"),
    ):
        async with jobs.session.get(url) as response:
            assert (response.status, response.content_type) == (200, content)


async def test_openapi(mine: OwnApp, jobs: Api) -> None:
    """The application's description has the routes under their prefix, and what starts a task."""
    async with jobs.session.get(f"{mine.url}/openapi.json") as response:
        document = await response.json()
    assert set(document["paths"]) >= {
        *("/albums", "/jobs/start-task", "/jobs/tasks/{task_id}", "/jobs/tasks/{task_id}/stream"),
        *("/jobs/tasks/{task_id}/cancel", "/jobs/task-progress", "/jobs/works", "/jobs/health"),
    }
    body = document["paths"]["/jobs/start-task"]["post"]["requestBody"]["content"]["application/json"]
    assert [list(each["properties"]) for each in body["schema"]["oneOf"]] == [
        ["work", "name", "start"],
        ["work", "name", "images"],
    ]
    assert [work["name"] for work in await jobs.json("GET", "/works")] == ["countdown", "resize"]
