"""Wherever the router is: under a prefix, behind a proxy's path, or both, and twice."""

from pathlib import Path
from urllib.parse import unquote

import aiohttp
import pytest

from tests.support.api import Api, check_story
from tests.support.programs import OwnApp

SOURCE = '''
from fastapi import APIRouter, FastAPI
from taskstream import TaskStream

tasks = TaskStream()


@tasks.work
def work() -> None:
    """Work."""


app = FastAPI({options})
app.include_router(tasks.router{prefix})
{more}
'''


@pytest.mark.parametrize("prefix", ["", "/a%C3%A4/b%20c"])
@pytest.mark.parametrize(
    ("options", "flags", "asked", "told"),
    [
        ("", (), "", ""),
        ("", ("--root-path", "/behind"), "", "/behind"),  # a proxy that strips it: uvicorn adds it
        ('root_path="/behind"', (), "", "/behind"),  # a proxy that strips it: nobody adds it
        ('root_path="/behind"', (), "/behind", "/behind"),  # a proxy that doesn't strip it
    ],
)
async def test_location(
    tmp_path: Path,
    session: aiohttp.ClientSession,
    prefix: str,
    options: str,
    flags: tuple[str, ...],
    asked: str,
    told: str,
) -> None:
    """A task's address is told as a browser in front of the proxy has to ask for it."""
    path = unquote(prefix)
    source = SOURCE.format(options=options, prefix=f', prefix="{path}"' if path else "", more="")
    with OwnApp(tmp_path, source, *flags) as server:
        jobs = Api(session, [f"{server.url}{asked}{prefix}"])
        async with session.post(jobs.url("/start-task")) as response:
            assert response.status == 200
            task_id = (await response.json())["task_id"]
            assert response.headers["Location"] == f"{told}{prefix}/task-progress/{task_id}"
        check_story(await jobs.watch(task_id), "SUCCESS")
        async with session.get(jobs.url("/")) as response:
            assert response.status == 200
        async with session.get(f"{server.url}{asked}/openapi.json") as response:
            assert f"{path}/start-task" in (await response.json())["paths"]


INNER = """
inner = APIRouter(prefix="/v1")
inner.include_router(tasks.router, prefix="/again")
app.include_router(inner, prefix="/api")
"""


async def test_included_twice(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """A router that is included twice, also inside another one, is the same tasks under two addresses."""
    source = SOURCE.format(options="", prefix="", more=INNER)
    with OwnApp(tmp_path, source) as server:
        api = Api(session, [server.url, f"{server.url}/api/v1/again"])
        for number in range(1, 5):
            check_story(await api.watch((await api.start())["task_id"]), "SUCCESS")
            assert (await api.json("GET", "/health"))["tasks"] == number
        assert server.stop() == -15
        assert "Traceback" not in server.output
