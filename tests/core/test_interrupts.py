"""Ctrl-C while a program imports what it needs."""

import signal
from pathlib import Path

import pytest

from tests.core.test_imports import MODULES, imported, named
from tests.support.programs import Program

AT_IMPORT = """
import signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            {action}

sys.meta_path.insert(0, Finder())
"""
"""A `sitecustomize.py`, so that something happens in a program when it begins to import a module."""
INTERRUPT = "signal.raise_signal(signal.SIGINT)"
INTERRUPT_CLASS = f"type('Class', (), dict(x=type('X', (), dict(__set_name__=lambda *_: {INTERRUPT}))()))"


def run(folder: Path, program: str, module: str, action: str) -> Program:
    """A program that has ended of what happened when it began to import a module."""
    (folder / "sitecustomize.py").write_text(
        AT_IMPORT.format(module=module, action=action), encoding="utf-8"
    )
    with Program(program, PYTHONPATH=str(folder)) as ended:
        ended.wait()
    return ended


@pytest.mark.parametrize(
    ("program", "module"),
    [
        *[("app.py", module) for module in ("asyncio", "fastapi", "taskstream.http.router", "uvicorn")],
        *[("client.py", module) for module in ("asyncio", "aiohttp", "rich.console")],
        *[("multiple_task.py", module) for module in ("asyncio", "client", "rich.console")],
        *[("sse_client.py", module) for module in ("requests", "urllib3", "sseclient", "rich.console")],
    ],
)
def test_interrupted(tmp_path: Path, program: str, module: str) -> None:
    """Whatever it imports, Ctrl-C ends it without a word, by the signal."""
    ended = run(tmp_path, program, module, INTERRUPT)
    assert ended.output == ""
    assert ended.wait() == -signal.SIGINT


def test_interrupted_in_a_class(tmp_path: Path) -> None:
    """So it does where Python makes another error of it, which Python 3.11 does in `__set_name__`."""
    ended = run(tmp_path, "client.py", "aiohttp", INTERRUPT_CLASS)
    assert ended.output == ""
    assert ended.wait() in (130, -signal.SIGINT)


def test_other_errors(tmp_path: Path) -> None:
    """Any other error is shown with its traceback."""
    ended = run(tmp_path, "client.py", "aiohttp", "raise RuntimeError('broken')")
    assert ended.output.startswith("Traceback ")
    assert ended.output.endswith("\nRuntimeError: broken\n")
    assert ended.wait() == 1


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_not_in_other_applications(path: Path) -> None:
    """No module of the package brings this to an application that imports it."""
    assert "taskstream.interrupts" not in imported(path)
