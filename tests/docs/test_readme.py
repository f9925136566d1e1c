"""README: its commands work as they stand there, its examples run, and its tables tell the truth."""

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest

from taskstream.server.settings import Settings
from tests.support.api import Api
from tests.support.backends import free_port, require
from tests.support.programs import ROOT, Program, Server

README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALL = re.compile(r"^python3 -m venv .* && (?=\.venv/bin/python )")


def blocks(language: str) -> list[str]:
    """The blocks of code in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [command for block in blocks("sh") for command in block.splitlines()]
SERVE, TEST = (
    next(command for command in COMMANDS if command.endswith(end)) for end in (" app.py", " -m pytest")
)


def clone(folder: Path) -> None:
    """What somebody gets who clones the repository, with the work of README's examples in `work.py`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listing.rstrip("\0").split("\0"):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    work = folder / "work.py"
    work.write_text("\n\n".join([work.read_text(encoding="utf-8"), *blocks("python")]), encoding="utf-8")


class Shell(Program):
    """A command line of README, in a shell."""

    executable = ("bash", "-c")


def served(folder: Path, command: str) -> Server:
    """A server that this command line starts."""

    class ReadmeServer(Server):
        executable = ("bash", "-c")
        program = (command,)
        start_seconds = 300  # it may have to install first

    ReadmeServer.folder = folder
    return ReadmeServer(PROGRESS_PORT="0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose virtual environment is the one of the tests."""
    folder = tmp_path_factory.mktemp("clone")
    clone(folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with served(folder, INSTALL.sub("", SERVE)) as server:
        yield server


@pytest.mark.parametrize("command", [each for each in COMMANDS if each not in (SERVE, TEST)])
def test_command(folder: Path, server: Server, command: str) -> None:
    """A command of README does what it says there."""
    command = command.replace("localhost:8000", f"localhost:{server.port}")
    if re.search(r"(client|multiple_task)\.py", command):
        command += f" --url localhost:{server.port}"

    class Here(Shell):
        pass

    Here.folder = folder
    with Here(command) as program:
        assert program.wait(60) == 0, program.output
    if "-X POST" in command and "-N" not in command:
        assert '"status":"PENDING"' in program.output
    elif "--help" not in command:
        assert "SUCCESS" in program.output


@pytest.mark.parametrize("block", blocks("py"))
def test_import(server: Server, block: str) -> None:
    """The clients can be used from a program of one's own."""
    body = textwrap.indent(block.replace("localhost:8000", f"localhost:{server.port}"), "    ")
    if "await " in body:
        program = f"import asyncio, aiohttp, client\nasync def main():\n{body}asyncio.run(main())"
    else:
        program = f"import requests, sse_client\nif True:\n{body}"
    with Program("-c", program) as run:
        assert run.wait() == 0
    assert "\n99 Step 20 of 20\n100 Done\n" in run.output


async def test_primes(server: Server, session: aiohttp.ClientSession) -> None:
    """The example of blocking work finds what it looks for."""
    api = Api(session, [server.url])
    stream = await api.watch((await api.start(work="primes", below=20))["task_id"])
    assert stream[-1].snapshot["data"] == [2, 3, 5, 7, 11, 13, 17, 19]


async def test_countdown(server: Server, session: aiohttp.ClientSession) -> None:
    """The example of own work counts down, and its parameters are checked."""
    api = Api(session, [server.url])
    await api.json("POST", "/start-task", 422, json={"work": "countdown", "start": 101})
    stream = await api.watch((await api.start(work="countdown", start=2))["task_id"])
    assert [event.snapshot["message"] for event in stream[2:]] == ["2 …", "1 …", "Done"]
    assert stream[-1].snapshot["data"] == {"lift-off": True}


@pytest.mark.slow
def test_install(tmp_path: Path) -> None:
    """On a fresh machine one command does everything."""
    clone(tmp_path)
    with served(tmp_path, SERVE) as server:
        assert server.port


@pytest.mark.slow
async def test_more_than_one_machine(folder: Path, session: aiohttp.ClientSession) -> None:
    """Three terminals: Redis, a worker, a server."""
    redis, worker, serve, two_servers = blocks("bash")
    port = free_port()

    class Here(Shell):
        process_group = 0

        def __exit__(self, *_: object) -> None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.wait()

    Here.folder = folder
    require(redis.strip())
    here = f"//localhost:{port}"
    with ExitStack() as terminals:
        first = terminals.enter_context(Here(f"{redis.strip()} --port {port} --save ''"))
        first.wait_for("Ready to accept connections")
        second = terminals.enter_context(Here(worker.rpartition("&& ")[2].replace("//localhost", here)))
        second.wait_for(" ready")
        third = terminals.enter_context(served(folder, serve.replace("//localhost", here)))
        api = Api(session, [third.url])
        assert (await api.json("GET", "/health"))["backend"] == "redis"
        stream = await api.watch((await api.start(seconds=0))["task_id"])
        assert stream[-1].snapshot["status"] == "SUCCESS"

    conf = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    assert re.findall(r"server 127.0.0.1:(\d+)", conf) == re.findall(r"--port (\d+)", two_servers)
    assert re.findall(r"listen 127.0.0.1:(\d+)", conf) == re.findall(
        r"<http://localhost:(\d+)>:$", README, re.MULTILINE
    )
    assert two_servers.splitlines()[-1] in conf


def test_ci_runs_the_test_command() -> None:
    """CI runs the command that README names for the tests."""
    assert "grep --max-count=1 'bin/python -m pytest$' README.md" in (ROOT / ".ci" / "run").read_text(
        encoding="utf-8"
    )
    assert INSTALL.sub("", TEST) == ".venv/bin/python -m pytest"


def test_settings() -> None:
    """The table of settings is complete and true."""
    rows = re.findall(r"^\| `(--\S+)` \| `(\S+)` \| `(\S+)` \| (.*) \|$", README, re.MULTILINE)
    assert rows == [
        (f"--{name.replace('_', '-')}", f"PROGRESS_{name.upper()}", str(field.default), field.description)
        for name, field in Settings.model_fields.items()
    ]


def test_files() -> None:
    """Every program and module at the top is in README, and what README names is there."""
    files = {path.name for path in ROOT.glob("*.py")}
    named = set(re.findall(r"`(\w+\.py)`", README))
    assert named == files


def test_links() -> None:
    """What README links to is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
