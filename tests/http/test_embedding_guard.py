"""An application may guard its tasks, and choose what is public."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Annotated

import aiohttp
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from fastapi.testclient import TestClient

from taskstream import Snapshot, TaskStream
from tests.support.api import Api
from tests.support.threads import ThreadServer

SECRET = {"Authorization": "Bearer secret"}


async def user(authorization: Annotated[str, Header()] = "") -> None:
    """Let those in who know the secret."""
    if authorization != "Bearer secret":
        raise HTTPException(401, "Who are you?", {"WWW-Authenticate": "Bearer"})


def application(*, page: bool) -> FastAPI:
    """One that guards its tasks, with a work that only it starts, and one that requests start."""
    tasks = TaskStream(page=page)

    @tasks.work(public=False)
    def private(*, number: int) -> int:
        """Work that only the application starts."""
        return number

    @tasks.work(name="a work of {odd} name/s")
    def public() -> None: ...

    app = FastAPI()
    app.include_router(tasks.router, prefix="/jobs", dependencies=[Depends(user)])

    @app.post("/private")
    async def start_private() -> Snapshot:
        return await tasks.start(private, number=7)

    return app


@pytest.fixture(scope="module")
def guarded() -> Iterator[ThreadServer]:
    with ThreadServer(application(page=True)) as server:
        yield server


async def test_every_route_is_guarded(guarded: ThreadServer, session: aiohttp.ClientSession) -> None:
    """Dependencies that are given with the router are asked before anything is answered."""
    async with session.get(f"{guarded.url}/openapi.json") as response:
        paths: dict[str, dict[str, object]] = (await response.json())["paths"]
    asked = [(method, path) for path, methods in paths.items() for method in methods if path != "/private"]
    asked += [("get", "/jobs/"), ("head", "/jobs/")]
    assert len(asked) >= 12
    for method, path in asked:
        url = guarded.url + path.format(task_id="0" * 32)
        async with session.request(method, url) as response:
            assert (method, path, response.status) == (method, path, 401)
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert response.headers["Cache-Control"] == "no-store"
        async with session.request(method, url, headers=SECRET) as response:
            assert response.status in (200, 404, 422)


async def test_files_are_public(guarded: ThreadServer, session: aiohttp.ClientSession) -> None:
    """A script tag sends no header: the files are for everybody, and nothing else is below them."""
    async with session.get(f"{guarded.url}/jobs/static/task-progress.js") as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-cache"
    for path in ("nothing.js", "../router.py", "%2e%2e/router.py", "..%2frouter.py", ""):
        async with session.get(f"{guarded.url}/jobs/static/{path}") as response:
            assert response.status in (401, 404)


async def test_private_work(guarded: ThreadServer, session: aiohttp.ClientSession) -> None:
    """Private work is started by the application only, and watched like any other.

    What is public may have any name.
    """
    body = {"work": "a work of {odd} name/s"}
    async with session.post(f"{guarded.url}/jobs/start-task", json=body, headers=SECRET) as response:
        assert (await response.json())["name"] == body["work"]
    async with session.post(f"{guarded.url}/private") as response:
        task = await response.json()
    async with session.post(
        f"{guarded.url}/jobs/start-task", json={"work": "private", "number": 7}, headers=SECRET
    ) as response:
        assert response.status == 422
        (mistake,) = (await response.json())["detail"]
        assert mistake["msg"] == "Input should be 'a work of {odd} name/s'"  # it isn't even named
    for path in ("/jobs/works", "/openapi.json"):
        async with session.get(guarded.url + path, headers=SECRET) as response:
            text = await response.text()
            assert "Work that only the application starts" not in text
            assert '"number":' not in text
    async with session.get(
        f"{guarded.url}/jobs/tasks/{task['task_id']}/stream", headers=SECRET
    ) as response:
        assert (
            '"status":"SUCCESS","progress":100,"message":"Done","steps":[],"data":7'
            in await response.text()
        )


async def test_without_the_page(session: aiohttp.ClientSession) -> None:
    """`TaskStream(page=False)` leaves the page out; the element stays."""
    with ThreadServer(application(page=False)) as server:
        jobs = Api(session, [f"{server.url}/jobs"])
        await jobs.json("GET", "/", 404, headers=SECRET)
        async with session.get(jobs.url("/static/task-progress.js")) as response:
            assert response.status == 200


def refuse() -> None:
    """Let nobody in."""
    raise HTTPException(401)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("guarded", range(3))
def test_no_guard_is_skipped(monkeypatch: pytest.MonkeyPatch, guarded: int, known: bool) -> None:
    """Wherever a dependency was given, it is asked; also if FastAPI's name for it is no longer there."""
    if not known:
        monkeypatch.setattr("taskstream.http.router.routing", SimpleNamespace())
    guards = [[Depends(refuse)] if number == guarded else [] for number in range(3)]
    app, outer, tasks = FastAPI(dependencies=guards[0]), APIRouter(dependencies=guards[1]), TaskStream()
    outer.include_router(tasks.router, prefix="/inner", dependencies=guards[2])
    app.include_router(outer, prefix="/outer")
    with TestClient(app) as client:
        for path in ("works", "task-status/1", "task-progress/1", "metrics", "health"):
            assert client.get(f"/outer/inner/{path}").status_code == 401
        assert client.post("/outer/inner/start-task").status_code == 401


def test_nothing_is_looked_up_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without dependencies, endpoints are called without FastAPI; where it isn't sure of that, with it."""
    monkeypatch.delattr("fastapi.routing.solve_dependencies")
    tasks = TaskStream()
    app = FastAPI()
    app.include_router(tasks.router, prefix="/{tenant}")
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/me/works").status_code == 200
        assert client.get("/me/task-status/1").status_code == 404
        monkeypatch.setattr("taskstream.http.router.routing", SimpleNamespace())
        assert client.get("/me/works").status_code == 500
