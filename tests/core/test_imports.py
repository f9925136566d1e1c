"""Imports run one way, and bring along nothing that is not needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import taskstream.client
from tests.support.programs import ROOT

PACKAGE = ROOT / "taskstream"
ROOMS = ("http", "server", "sqlite", "redis", "client", "terminal")
MODULES = sorted(PACKAGE.rglob("*.py"))

NOT_FOR_THE_CORE = {
    "fastapi",
    "starlette",
    "sse_starlette",
    "uvicorn",
    "celery",
    "redis",
    "socket",
    "aiohttp",
}
OPENER_OF_REDIS = "backends.py"
"""Where a Redis URL makes the difference."""


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it that is."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield from (f"{module}.{each.name}" for each in names)
            case ast.ImportFrom():
                pytest.fail(f"{path} has a relative import, which this test doesn't follow")


def rooms(path: Path) -> set[str]:
    """The rooms of the package that a file imports from; `core` for what stands in none."""
    names = [each.split(".") for each in imported(path)]
    return {
        name[1] if len(name) > 1 and name[1] in ROOMS else "core"
        for name in names
        if name[0] == "taskstream"
    }


def named(path: Path) -> str:
    """How a file is called in here."""
    return path.relative_to(PACKAGE).as_posix()


CORE = [path for path in MODULES if path.parent == PACKAGE and path.name != "__init__.py"]


@pytest.mark.parametrize("path", CORE, ids=named)
def test_the_core_knows_nobody(path: Path) -> None:
    """The core imports nothing of other rooms, HTTP, Redis or sockets, but for errors and back ends."""
    assert rooms(path) <= ({"core", "redis", "sqlite"} if path.name == OPENER_OF_REDIS else {"core"})
    others = {each.partition(".")[0] for each in imported(path)}
    allowed = {"errors.py": {"starlette"}, OPENER_OF_REDIS: {"celery"}}.get(path.name, set())
    assert others & NOT_FOR_THE_CORE <= allowed


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent != PACKAGE], ids=named)
def test_rooms(path: Path) -> None:
    """HTTP and Redis stand on the core, the server on HTTP, the client on nothing, the terminal on it."""
    allowed = {
        "http": {"core", "http"},
        "redis": {"core", "redis"},
        "sqlite": {"core", "sqlite"},
        "server": {"core", "http", "server"},
        "client": {"client"},
        "terminal": {"client", "terminal"},
    }[path.parent.name]
    assert rooms(path) <= allowed


def test_everything_is_looked_at() -> None:
    """There is no other room, and none is empty."""
    assert {path.parent.name for path in MODULES} == {"taskstream", *ROOMS}
    assert "log.py" in {path.name for path in CORE}


SERVER = {"fastapi", "sse_starlette", "uvicorn", "celery", "redis"}
CLIENT = {"aiohttp", "requests", "rich"}


@pytest.mark.parametrize(
    ("statement", "libraries"),
    [
        ("import taskstream", {*SERVER, *CLIENT, "starlette", "pydantic", "prometheus_client"}),
        ("from taskstream import report, track, Update, WorkError", {*SERVER, *CLIENT}),
        ("import taskstream.client as c; c.Event, c.EventSourceError", {*SERVER, *CLIENT, "pydantic"}),
        ("import client, sse_client, multiple_task", {*SERVER, "starlette", "pydantic"}),
    ],
)
def test_what_an_import_loads(statement: str, libraries: set[str]) -> None:
    """Nothing of what only other parts need: neither functions that report nor clients need a server."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    modules = set(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True).split())
    assert modules & libraries == set()
    if "client" in statement:
        ours = {each for each in modules if each.startswith("taskstream.")}
        assert {each.split(".")[1] for each in ours} <= {"client", "terminal"}


def test_all_public_names_are_there() -> None:
    """Each name of `__all__` can be imported, and is found by `dir` and type checkers as well."""
    for module in (taskstream, taskstream.client):
        assert {*module.__all__} <= {*dir(module)}
        for name in module.__all__:
            assert getattr(module, name).__module__.startswith("taskstream.")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = taskstream.nothing
