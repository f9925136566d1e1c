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
        name[1] if len(name) > 1 and name[1] in ALLOWED else "core"
        for name in names
        if name[0] == "taskstream"
    }


def named(path: Path) -> str:
    """How a file is called in here."""
    return path.relative_to(PACKAGE).as_posix()


ALLOWED = {
    "taskstream": {"core"},
    "http": {"core", "http"},
    "redis": {"core", "redis"},
    "sqlite": {"core", "sqlite"},
    "server": {"core", "http", "server"},
    "client": {"client"},
    "terminal": {"client", "terminal"},
}
"""What each room stands on."""
OPENER = PACKAGE / "backends.py"
"""Where a database or a Redis URL makes the difference."""


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_rooms(path: Path) -> None:
    """Imports run one way, and the core knows no HTTP, Redis or sockets, but for errors and back ends."""
    if path == PACKAGE / "__init__.py":
        return  # whose names are imported when they are asked for
    assert rooms(path) <= ALLOWED[path.parent.name] | ({"redis", "sqlite"} if path == OPENER else set())
    if path.parent == PACKAGE:
        others = {each.partition(".")[0] for each in imported(path)}
        allowed = {"errors.py": {"starlette"}, "backends.py": {"celery"}}.get(path.name, set())
        assert others & NOT_FOR_THE_CORE <= allowed


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
