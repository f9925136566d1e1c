"""The examples, each as the program it is."""

import ast
import asyncio
import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.support.examples import App, Event, Example, Viewer
from tests.support.programs import ROOT, Program, Server

SHARED = {"__init__.py", "__main__.py", "serving.py", "show.py"}
EXAMPLES = sorted(
    path
    for path in (ROOT / "examples").rglob("*.py")
    if path.name not in SHARED and not {"lessons", "node_modules"} & {*path.parts}
)
FUNCTION1 = [
    ("start", {"function": "function1"}),
    *[("progress", {"function": "function1", "percent": percent}) for percent in (25, 50, 75, 100)],
    ("end", {"function": "function1"}),
]
FUNCTION2 = [
    ("start", {"function": "function2"}),
    *[("progress", {"function": "function2", "percent": percent}) for percent in (50, 100)],
    ("end", {"function": "function2"}),
]


@pytest.fixture(scope="module")
def named_events() -> Iterator[Server]:
    with Example("named_events") as server:
        yield server


def named(seen: list[Event]) -> list[tuple[str, object]]:
    """Names and data."""
    return [(event.event, json.loads(event.data)) for event in seen]


def lines_of_code(text: str) -> int:
    """How many lines are neither blank nor of a docstring."""
    nodes = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    docstrings = [node.body[0] for node in nodes if ast.get_docstring(node)]
    skipped = {number for each in docstrings for number in range(each.lineno, (each.end_lineno or 0) + 1)}
    return len([line for number, line in enumerate(text.splitlines(), 1) if line and number not in skipped])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_small(path: Path) -> None:
    """An example is a lesson: it says what to run, and has at most 75 lines of code."""
    text = path.read_text(encoding="utf-8")
    assert lines_of_code(text) <= 75
    name = path.relative_to(ROOT).as_posix()
    assert f"python {name}" in text or f"uvicorn {name.removesuffix('.py').replace('/', '.')}:app" in text


async def test_named_events(named_events: Server, session: aiohttp.ClientSession) -> None:
    """Both functions run, one after the other, each from start to end; `close` is the last event.

    A viewer that lost the connection sees the rest of the same run; every other has its own run.
    """
    viewer = Viewer(session, named_events.url)
    first = await viewer.see("/stream?seconds=0.1", count=4)
    rest, other = await asyncio.gather(
        viewer.see("/stream?seconds=0.1", last_event_id=first[-1].id),
        viewer.see("/stream?seconds=0.1"),
    )
    assert named(first + rest) == named(other) == [*FUNCTION1, *FUNCTION2, ("close", {})]
    again = await viewer.see("/stream?seconds=0.1", last_event_id=first[-1].id)
    assert [event.id for event in again] == [event.id for event in rest]
    assert len({event.id for event in first + rest + other}) == 2 * len(other)
    assert await viewer.status("/stream", other[-1].id) == 204


@pytest.mark.parametrize("last_event_id", ["", "7", "nonsense", "-", "0" * 1000])
async def test_named_events_begin(
    named_events: Server, session: aiohttp.ClientSession, last_event_id: str
) -> None:
    """An id that was never given out begins a new run."""
    seen = await Viewer(session, named_events.url).see("/stream?seconds=0.1", 1, last_event_id)
    assert named(seen) == FUNCTION1[:1]


@pytest.mark.parametrize("seconds", ["0", "-1", "61", "nan", "inf", "soon"])
async def test_named_events_refuse(
    named_events: Server, session: aiohttp.ClientSession, seconds: str
) -> None:
    """Seconds out of bounds are refused, not streamed."""
    assert await Viewer(session, named_events.url).status(f"/stream?seconds={seconds}") == 422


@pytest.mark.slow
@pytest.mark.parametrize("name", ["counter", "named_events"])
async def test_uvicorn(session: aiohttp.ClientSession, name: str) -> None:
    """An example can be served by uvicorn's own command as well."""
    with App(f"examples.{name}") as server:
        seen = await Viewer(session, server.url).see("/stream", count=1)
    assert seen[0].event in ("stream", "start")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["counter", "named_events", "celery_job", "private_tasks"])
@pytest.mark.parametrize("as_module", [False, True])
def test_port_taken(name: str, as_module: bool) -> None:
    """A port that can't be used ends an example with code 2 and one sentence; so under `-m`."""
    command = ("-m", f"examples.{name}") if as_module else (f"examples/{name}.py",)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ports = (listener.getsockname()[1], 65536)
        with ExitStack() as stack:
            programs = [stack.enter_context(Program(*command, "--port", str(port))) for port in ports]
            assert [program.wait(30) for program in programs] == [2, 2]
    for port, program in zip(ports, programs, strict=True):
        assert program.output == f"Port {port} is not free: choose another one with --port.\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["celery_job", "private_tasks"])
def test_from_a_clone(name: str, tmp_path: Path) -> None:
    """An application runs from a clone without installation, from any folder, as file and as module."""
    copy = tmp_path / "clone"
    for folder in ("examples", "taskstream"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("node_modules"))

    class Elsewhere(Program):
        folder = tmp_path

    for command in ((f"clone/examples/{name}.py",), ("-m", f"clone.examples.{name}")):
        with Elsewhere(*command, "--help", PYTHONPATH="") as program:
            assert program.wait() == 0, program.output
        assert "--port" in program.output


@pytest.mark.parametrize("name", ["counter", "named_events"])
def test_copied_alone(name: str, tmp_path: Path) -> None:
    """A first lesson can be copied alone, and runs."""
    shutil.copy(ROOT / "examples" / f"{name}.py", tmp_path)

    class Copy(Server):
        program = (f"{name}.py",)
        folder = tmp_path

    with Copy() as server:
        assert server.url.startswith("http://127.0.0.1:")


async def test_word_count(session: aiohttp.ClientSession) -> None:
    """Files and their lines are counted in one another, and the bar ends where the files do."""
    with Example("word_count") as server:
        start = {"lines_per_second": 100_000}
        async with session.post(f"{server.url}/start-task", json=start) as response:
            task_id = (await response.json())["task_id"]
        seen = await Viewer(session, server.url).see(f"/tasks/{task_id}/stream")
    snapshots = [json.loads(event.data) for event in seen]
    files = len(list((ROOT / "docs").glob("*.md")))
    inner = [each["steps"][1] for each in snapshots if len(each["steps"]) == 2]
    assert inner
    assert {(each["label"], each["total"], each["unit"]) for each in inner} == {("Lines", None, "lines")}
    assert {each["steps"][0]["total"] for each in snapshots if each["steps"]} == {files}
    assert len(snapshots[-1]["data"]) == files
