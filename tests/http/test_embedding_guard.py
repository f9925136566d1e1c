"""An application may guard its tasks, and choose what is public."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from fastapi.testclient import TestClient

from taskstream import Snapshot, TaskStream

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


@pytest.fixture
def guarded() -> Iterator[TestClient]:
    with TestClient(application(page=True)) as client:
        yield client


def test_every_route_is_guarded(guarded: TestClient) -> None:
    """Dependencies that are given with the router are asked before anything is answered."""
    paths = guarded.get("/openapi.json").json()["paths"]
    asked = [(method, path) for path, methods in paths.items() for method in methods if path != "/private"]
    asked += [("get", "/jobs/"), ("head", "/jobs/")]
    assert len(asked) >= 12
    for method, path in asked:
        refused = guarded.request(method, path.format(task_id="0" * 32))
        assert (method, path, refused.status_code) == (method, path, 401)
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert refused.headers["Cache-Control"] == "no-store"
        answer = guarded.request(method, path.format(task_id="0" * 32), headers=SECRET)
        assert answer.status_code in (200, 404, 422)


def test_files_are_public(guarded: TestClient) -> None:
    """A script tag sends no header: the files are for everybody, and nothing else is below them."""
    element = guarded.get("/jobs/static/task-progress.js")
    assert (element.status_code, element.headers["Cache-Control"]) == (200, "no-cache")
    for path in ("nothing.js", "../__init__.py", "%2e%2e/__init__.py", "..%2f__init__.py", ""):
        assert guarded.get(f"/jobs/static/{path}").status_code in (401, 404)


def test_private_work(guarded: TestClient) -> None:
    """Private work is started by the application only, and watched like any other.

    What is public may have any name.
    """
    guarded.headers.update(SECRET)
    body = {"work": "a work of {odd} name/s"}
    assert guarded.post("/jobs/start-task", json=body).json()["name"] == body["work"]
    refused = guarded.post("/jobs/start-task", json={"work": "private", "number": 7})
    assert refused.status_code == 422
    assert [mistake["msg"] for mistake in refused.json()["detail"]] == [f"Input should be {body['work']!r}"]
    for path in ("/jobs/works", "/openapi.json"):
        text = guarded.get(path).text
        assert "Work that only the application starts" not in text
        assert '"number":' not in text
    task_id = guarded.post("/private").json()["task_id"]
    last = '"status":"SUCCESS","progress":100,"message":"Done","steps":[],"data":7'
    assert last in guarded.get(f"/jobs/tasks/{task_id}/stream").text


def test_without_the_page() -> None:
    """`TaskStream(page=False)` leaves the page out; the element stays."""
    with TestClient(application(page=False), headers=SECRET) as client:
        assert client.get("/jobs/").status_code == 404
        assert client.get("/jobs/static/task-progress.js").status_code == 200


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
