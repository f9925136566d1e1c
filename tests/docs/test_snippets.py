"""The programs of README and docs pass our linters and type checker, and run."""

import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from taskstream import EVERYBODY, TaskStatus, TaskStream
from tests.docs.pages import Terminal, all_blocks
from tests.support.api import Api
from tests.support.backends import Nginx, RedisServer, Worker
from tests.support.programs import ROOT, OwnApp, Program, Server

PROGRAMS = {
    f"{Path(page).stem.lower().replace('-', '_')}_{number}": text
    for page, number, text in all_blocks("python")
}
CLIENTS = [name for name, text in PROGRAMS.items() if "http://localhost:8000" in text]
SERVERS = [name for name, text in PROGRAMS.items() if "app = FastAPI(" in text]
OTHERS = [name for name in PROGRAMS if name not in CLIENTS + SERVERS]

QUICK: dict[str, dict[str, Any]] = {
    "countdown": {"start": 1},
    "resize": {"images": 1},
    "primes": {"below": 20},
    "export": {"rows": 2},
    "count_rows": {"path": tempfile.mkstemp()[1]},
}
"""Parameters with which a work takes no longer than it has to."""

UNDOCUMENTED = "D100,D103"
"""A few lines to be pasted need no docstrings."""


def naming(text: str) -> str:
    """The program that has this in it."""
    (name,) = [name for name in PROGRAMS if text in PROGRAMS[name]]
    return name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of somebody else's, with each program in a file."""
    folder = tmp_path_factory.mktemp("snippets")
    for name, text in PROGRAMS.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def run_tool(folder: Path, *arguments: str) -> None:
    """Run one of our tools on the programs, with its settings in pyproject.toml."""
    result = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_linter(folder: Path) -> None:
    """What a reader pastes is no reason for complaint."""
    settings = ("--config", str(ROOT / "pyproject.toml"), "--no-cache")
    run_tool(folder, "ruff", "check", *settings, "--ignore", UNDOCUMENTED, ".")
    run_tool(folder, "ruff", "format", *settings, "--check", ".")


@pytest.mark.slow
def test_types(folder: Path) -> None:
    """What a reader pastes passes the type checker in strict mode."""
    cache = ROOT / ".mypy_cache"
    run_tool(
        folder,
        *("mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(cache)),
        *("--follow-imports", "silent", "."),
    )


def load(folder: Path, name: str) -> ModuleType:
    """A program as a module."""
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", SERVERS)
async def test_work(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every work can be started with its defaults, or less, and ends in SUCCESS."""
    monkeypatch.chdir(folder)  # for the files that it may open
    module = load(folder, name)
    tasks = module.tasks
    assert isinstance(tasks, TaskStream)
    tasks.configure(redis_url=None)
    assert module.app.openapi()["paths"]
    async with tasks:
        for work in [each for each in vars(module).values() if getattr(each, "__module__", "") == name]:
            try:
                found = tasks.works.get(work)
            except TypeError:  # it is no work
                continue
            first = await tasks.start(work, scope="somebody", **QUICK.get(found.name, {}))
            events = [event async for event in tasks.follow(first.task_id, scope=EVERYBODY)]
            assert events[-1].snapshot is not None
            assert events[-1].snapshot.status is TaskStatus.SUCCESS, events[-1]


@pytest.mark.parametrize("name", CLIENTS)
def test_client(folder: Path, server: Server, name: str) -> None:
    """The clients can be used from a program of one's own."""
    program = folder / f"{name}_here.py"
    program.write_text(PROGRAMS[name].replace("http://localhost:8000", server.url), encoding="utf-8")
    with Program(str(program), PYTHONPATH=str(ROOT)) as run:
        assert run.wait(30) == 0, run.output
    assert "Done" in run.lines[-1]


@pytest.mark.parametrize("name", OTHERS)
def test_program(folder: Path, name: str) -> None:
    """A program without a server runs to its end."""
    with Program(str(folder / f"{name}.py"), PYTHONPATH=str(ROOT)) as run:
        assert run.wait(30) == 0, run.output
    assert "SUCCESS" in run.lines[-1]


@pytest.fixture
def api(request: pytest.FixtureRequest, folder: Path, session: aiohttp.ClientSession) -> Iterator[Api]:
    """The API of one of the programs."""
    command = f"{sys.executable} -m uvicorn --port 0 {request.param}:app"
    with Terminal(folder, command, PYTHONPATH=str(ROOT)) as server:
        yield Api(session, [server.serving(30)])


def serving(text: str) -> pytest.MarkDecorator:
    """Give a test the API of the program that has this in it."""
    return pytest.mark.parametrize("api", [naming(text)], indirect=True)


@serving('@app.post("/exports"')
async def test_own_routes(api: Api) -> None:
    """Routes of one's own start, show, stream and cancel; a repeated key starts nothing."""
    ann = {"user": "Ann", "Idempotency-Key": "1"}
    first = await api.json("POST", "/exports", 202, headers=ann)
    assert first["name"] == "Export of Ann"
    again = await api.json("POST", "/exports", 202, headers=ann)
    other = await api.json("POST", "/exports", 202, headers={**ann, "user": "Bob"})
    assert again["task_id"] == first["task_id"] != other["task_id"]

    path = f"/exports/{first['task_id']}"
    async with api.session.get(api.url(f"{path}/named")) as response:
        stream = await response.text()
    assert "event: pending\n" in stream
    assert stream.endswith("event: success\ndata: Done\n\n")
    assert (await api.json("POST", path + "/cancel"))["status"] == "SUCCESS"
    assert (await api.json("GET", path))["progress"] == 100
    assert (await api.json("GET", path + "/messages"))[-1] == "Done"
    await api.json("POST", "/start-task", 404)
    for address in ("/static/task-progress.js", f"{path}/stream"):
        async with api.session.get(api.url(address)) as response:
            assert response.status == 200


@serving("dependencies=[Depends(check_token)]")
async def test_guarded(api: Api) -> None:
    """A dependency guards every route but the scripts."""
    for path in ("/", "/works", "/health", "/task-progress/none"):
        await api.json("GET", f"/jobs{path}", 401)
    await api.json("GET", "/jobs/health", headers={"Authorization": "Bearer secret"})
    async with api.session.get(api.url("/jobs/static/page.js")) as response:
        assert response.status == 200


@serving("tasks = TaskStream(scope=user)")
async def test_users(api: Api) -> None:
    """Each user has their own tasks, those included that their work starts; an admin sees all."""
    ann, bob = ({"Authorization": f"Bearer {token}"} for token in "ab")
    await api.json("POST", "/start-task", 401)
    started = await api.json("POST", "/start-task", headers=ann)
    async with api.session.get(api.url(f"/tasks/{started['task_id']}/stream"), headers=ann) as response:
        assert '"status":"SUCCESS"' in await response.text()
    names = [[each["name"] for each in await api.json("GET", "/tasks", headers=who)] for who in (ann, bob)]
    assert names == [["clean_up", "archive"], []]
    assert len(await api.json("GET", "/admin/tasks")) == 2


@serving('@app.put("/imports"')
async def test_uploads_through_nginx(api: Api) -> None:
    """What is uploaded is there for the work; a body that starts tasks has no more room than it needs."""
    with Nginx(api.url("")) as nginx:
        api = Api(api.session, [nginx.url])
        started = await api.json("PUT", "/imports", 202, data=b"a,b\n" * 100_000)
        assert (await api.watch(started["task_id"]))[-1].snapshot["data"] == 100_000
        await api.json("POST", "/start-task", 413, data=b" " * 70_000)


async def test_a_prefix(session: aiohttp.ClientSession, folder: Path) -> None:
    """Behind a prefix that nginx takes away, the address that is answered leads to the task."""
    (location,) = (text for _, _, text in all_blocks("text") if "location ^~ /api/" in text)
    command = f"{sys.executable} -m uvicorn --port 0 --root-path /api {naming('keep_result')}:app"
    with (
        Terminal(folder, command, PYTHONPATH=str(ROOT)) as server,
        Nginx(server.serving(30), location=location) as nginx,
    ):
        async with session.post(f"{nginx.url}/api/start-task") as response:
            address = response.headers["Location"]
        task = address.replace("task-progress", "tasks")
        for path in (address, task, f"{task}/stream", "/api/", "/api/static/task-progress.js"):
            async with session.get(nginx.url + path) as response:
                assert response.status == 200
                assert path != address or '"status":"SUCCESS"' in await response.text()


async def test_a_rolling_restart(
    session: aiohttp.ClientSession, start_server: Callable[..., Server]
) -> None:
    """Behind deploy/nginx.conf no request is refused while one server is restarted after the other."""
    servers = [start_server(), start_server()]
    with Nginx(*(server.url for server in servers)) as nginx:
        for server in servers:
            server.process.kill()
            server.wait()
            for _ in range(10):
                await Api(session, [nginx.url]).json("GET", "/health")
            start_server("--port", str(server.port))


@pytest.mark.parametrize(
    ("place", "numbers", "end"),
    [
        ("file", 1000, ["FAILURE", "null"]),
        pytest.param("redis", 20, ["SUCCESS", "20"], marks=pytest.mark.slow),
    ],
)
async def test_results(
    session: aiohttp.ClientSession,
    start: Callable[[Program], Any],
    tmp_path: Path,
    place: str,
    numbers: int,
    end: list[str],
) -> None:
    """Each row has an end, that included whose server was killed, and that which none had started."""
    program = PROGRAMS[naming("keep_result")]
    if place == "redis":
        url = start(RedisServer()).url
        program = program.replace('database="tasks.db"', f"redis_url={url!r}") + "celery = tasks.celery\n"
        (tmp_path / "mine.py").write_text(program, encoding="utf-8")
        worker_here = type("WorkerHere", (Worker,), {"folder": tmp_path})
        start(worker_here(url, 1, "mine:celery", PYTHONPATH=f"{ROOT}:{tmp_path}"))
    server = start(OwnApp(tmp_path, program))
    api = Api(session, [server.url])
    await api.json("POST", "/sums", 202, json=[3, 4], headers={"user": "Ann"})
    while await api.json("GET", "/sums") != [["Ann", "SUCCESS", "7"]]:
        pass
    running = await api.json("POST", "/sums", 202, json=[1] * numbers)
    while (await api.status(running["task_id"]))["status"] != "PROGRESS":
        pass
    server.process.kill()
    server.wait()
    with closing(sqlite3.connect(tmp_path / "sums.db")) as database, database:
        database.execute("INSERT INTO sums VALUES ('1', 'Bob', '[1, 2]', NULL, NULL)")
    api = Api(session, [start(OwnApp(tmp_path, program)).url])
    ends = [["Ann", "SUCCESS", "7"], ["nobody", *end], ["Bob", "SUCCESS", "3"]]
    while await api.json("GET", "/sums") != ends:
        pass


async def test_a_stop_that_waits(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """A server that is asked to stop does so when what runs has ended."""
    program = PROGRAMS[naming("RUNNING")].replace("TaskStream()", 'TaskStream(database="tasks.db")')
    with OwnApp(tmp_path, program, "--timeout-graceful-shutdown", "2") as server:
        task = await Api(session, [server.url]).start(files=10)
        server.stop(signal.SIGTERM)
    with OwnApp(tmp_path, program) as server:
        assert (await Api(session, [server.url]).status(task["task_id"]))["status"] == "SUCCESS"


@serving("two_at_a_time")
async def test_def_route(api: Api) -> None:
    """A `def` route starts tasks."""
    started = await api.json("POST", "/calls", 202)
    assert (await api.watch(started["task_id"]))[-1].snapshot["data"] == "answered"


def test_serve(folder: Path) -> None:
    """A program that serves itself is there, and stops."""
    name = naming("serve(app, port=8000)")
    program = folder / f"{name}_here.py"
    program.write_text(PROGRAMS[name].replace("port=8000", "port=0"), encoding="utf-8")
    with Program(str(program), PYTHONPATH=str(ROOT)) as run:
        run.wait_for("running on ")
        assert run.stop(signal.SIGINT) == 0, run.output


@serving("def build(")
async def test_output(api: Api) -> None:
    """Output comes as events of its own: of functions, of `logging`, of other programs, of generators."""

    async def output_of(work: str) -> str:
        stream = await api.watch((await api.start(work=work))["task_id"])
        return "".join(
            json.loads(event["data"] or "")["text"] for event in stream if event["event"] == "output"
        )

    assert await output_of("build") == "cc file0.c\ncc file1.c\ncc file2.c\nINFO Built 3 files\n"
    assert "\nReadability counts.\n" in await output_of("run_program")
    assert await output_of("answer") == "Forty-two"
