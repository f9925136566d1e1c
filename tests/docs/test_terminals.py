"""The commands of docs that need programs of the system, or an environment of the tests."""

import shlex
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import taskstream
from tests.docs.pages import Terminal, clone, terminals
from tests.docs.test_snippets import PROGRAMS, naming
from tests.support.programs import ROOT, Program


@terminals("docs/operating.md", 0)
def test_limits_under_uvicorn(lines: list[str]) -> None:
    """The command of uvicorn can be given the protocol class with the limits."""
    (command,) = lines
    with Program("-m", *shlex.split(command), "--port", "0") as server:
        url = server.wait_for(r"running on (http://\S+)")[1]
        with Program("client.py", "--url", url, "--seconds", "0") as client:
            assert client.wait(30) == 0, client.output


@terminals("docs/your-own-work.md", 0)
def test_start_countdown(lines: list[str], tmp_path: Path) -> None:
    """The work of your-own-work.md is started by a request."""
    (command,) = lines
    (tmp_path / "mine.py").write_text(PROGRAMS[naming('"lift-off"')], encoding="utf-8")
    serve = f"{sys.executable} -m uvicorn --port 0 mine:app"
    with Terminal(tmp_path, serve, PYTHONPATH=str(ROOT)) as server:
        url = server.serving(30)
        with Terminal(tmp_path, command.replace("localhost:8000", url.removeprefix("http://"))) as curl:
            assert curl.wait(30) == 0
    assert '"name":"countdown","status":"PENDING"' in curl.output


@pytest.mark.slow
@terminals("docs/developing.md", 0)
def test_wheel(lines: list[str], tmp_path: Path) -> None:
    """The command builds a wheel that has every file of the package, and no other."""
    (command,) = lines
    clone(tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    with Terminal(tmp_path, command) as build:
        assert build.wait(300) == 0, build.output
    (wheel,) = (tmp_path / "dist").iterdir()
    assert wheel.name == f"taskstream-{taskstream.__version__}-py3-none-any.whl"
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path for path in (tmp_path / "taskstream").rglob("*") if path.is_file()]
    assert packed == {path.relative_to(tmp_path).as_posix() for path in files}
    assert {"taskstream/py.typed", "taskstream/http/static/index.html"} <= packed


@pytest.mark.slow
@terminals("docs/reliability.md", 0)
def test_soak(lines: list[str]) -> None:
    """The command of the soak runs, here for a moment, and loses nothing."""
    (command,) = lines
    _, *arguments = shlex.split(command)
    with Program(*arguments, "--seconds", "2", "--viewers", "20") as soak:
        assert soak.wait(120) == 0, soak.output
