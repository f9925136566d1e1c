"""In an application of one's own: README's program, as it stands there."""

from collections.abc import Iterator

import aiohttp
import pytest

from tests.docs.pages import blocks
from tests.support.api import Api, check_story
from tests.support.programs import OwnApp

MINE = blocks("README.md", "python")[0]


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
