"""The commands of docs that need programs of the system, or an environment of the tests."""

import re
import shlex
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import requests

import taskstream
from tests.client.running import run_in_terminal
from tests.docs.pages import Terminal, blocks, clone, terminals
from tests.docs.test_snippets import PROGRAMS, naming
from tests.support.backends import require
from tests.support.programs import ROOT, OwnApp, Program, Server


@terminals("docs/operating.md", 0)
def test_limits_under_uvicorn(lines: list[str]) -> None:
    """The command of uvicorn can be given the protocol class with the limits."""
    (command,) = lines
    with Program("-m", *shlex.split(command)) as server:
        url = server.wait_for(r"running on (http://\S+)")[1]
        with Program("client.py", "--url", url, "--seconds", "0") as client:
            assert client.wait(30) == 0, client.output
        assert requests.get(f"{url}/health", headers={"X": "x" * 100_000}, timeout=10).status_code == 431


def ask(folder: Path, program: str, lines: list[str]) -> str:
    """What is printed by a command that asks the server of a program of our docs."""
    (command,) = lines
    with (
        OwnApp(folder, PROGRAMS[naming(program)]) as server,
        Terminal(folder, command.replace("localhost:8000", server.url.removeprefix("http://"))) as curl,
    ):
        assert curl.wait(30) == 0, curl.output
    return curl.output


@terminals("docs/your-own-work.md", 0)
def test_start_countdown(lines: list[str], tmp_path: Path) -> None:
    """The work of your-own-work.md is started by a request."""
    assert '"name":"countdown","status":"PENDING"' in ask(tmp_path, '"lift-off"', lines)


@terminals("docs/recipes.md", 0)
def test_upload(lines: list[str], tmp_path: Path) -> None:
    """The file that curl sends is what the work of the recipe counts."""
    (tmp_path / "rows.csv").write_text("one\ntwo\n", encoding="utf-8")
    assert '"name":"count_rows","status":"PENDING"' in ask(tmp_path, "def count_rows(", lines)


@terminals("docs/clients.md", 0)
def test_output_in_a_file(lines: list[str], tmp_path: Path) -> None:
    """What the client writes into a file is the output of the work, and nothing else."""
    (command,) = lines
    here = tmp_path / "build.log"
    with OwnApp(tmp_path, PROGRAMS[naming("def build(")]) as server:
        command = command.replace("build.log", str(here)).replace(".venv/bin/python", sys.executable)
        with Terminal(ROOT, command.replace(" >", f" --url {server.url} >")) as client:
            assert client.wait(30) == 0, client.output
    assert here.read_text(encoding="utf-8") == "cc file0.c\ncc file1.c\ncc file2.c\nINFO Built 3 files\n"
    assert "SUCCESS" in client.output


def generalized(text: str) -> str:
    """What a client prints, without what is another each time."""
    return re.sub(r"\d+ s left", "… left", re.sub(r"http://localhost:\d+/#[0-9a-f]{32}", "address", text))


def test_a_bar(server: Server) -> None:
    """README shows the bar as the client draws it on a terminal of 80 columns."""
    url = server.url.replace("127.0.0.1", "localhost")
    code, output = run_in_terminal("client.py", "--url", url)
    assert code == 0, output
    drawn = generalized(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)).replace("\r", "\n").splitlines()
    shown = generalized(blocks("README.md", "text")[0]).splitlines()
    assert {line.rstrip() for line in shown} <= {line.rstrip() for line in drawn}, drawn


def test_plain_lines(server: Server) -> None:
    """clients.md shows what the client prints without a terminal."""
    url = server.url.replace("127.0.0.1", "localhost")
    flags = ("--work", "scraping", "--seconds", "1", "--steps", "2")
    with Program("client.py", "--url", url, *flags) as client:
        assert client.wait(30) == 0, client.output
    output = re.sub(r".*Pages: .*\n", "", client.output)  # of `track`, which are mostly overtaken
    assert generalized(output) == generalized(blocks("docs/clients.md", "text")[1])


@terminals("docs/lessons.md", 0)
def test_lessons(lines: list[str]) -> None:
    """The command serves the page of the lessons."""
    (command,) = lines
    with Terminal(ROOT, f"{command.replace('.venv/bin/python', sys.executable)} --port 0") as page:
        page.serving(30)


@pytest.mark.slow
@terminals("docs/developing.md", 0)
def test_pictures(lines: list[str], tmp_path: Path) -> None:
    """The command takes pictures of the same sizes as those of README and lessons.md."""
    require("chromium")
    (command,) = lines
    _, *arguments = shlex.split(command)
    with Program(*arguments, str(tmp_path)) as program:
        assert program.wait(120) == 0, program.output
    header = slice(24)  # up to width and height
    for name in ("page.png", "lessons.png"):
        assert (tmp_path / name).read_bytes()[header] == (ROOT / "docs" / name).read_bytes()[header]


@pytest.mark.slow
@terminals("docs/developing.md", 1)
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
    assert {"taskstream/py.typed", "taskstream/browser/index.html"} <= packed
