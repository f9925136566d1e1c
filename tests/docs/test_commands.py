"""The commands of README and docs that end by themselves do what it says there."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import SERVE, TEST, Terminal, all_blocks, clone

COMMANDS = sorted({line for _, _, text in all_blocks("sh") for line in text.splitlines()} - {SERVE, TEST})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose virtual environment is the one of the tests."""
    folder = tmp_path_factory.mktemp("clone")
    clone(folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """The server that README's first command starts, once everything is installed."""
    with Terminal(folder, SERVE.rpartition("&& ")[2], TASKSTREAM_PORT="0") as server:
        yield server.serving(30)


@pytest.mark.parametrize("command", COMMANDS)
def test_command(folder: Path, url: str, command: str) -> None:
    """A command works as it stands there."""
    command = command.replace("localhost:8000", url.removeprefix("http://"))
    if re.search(r"(client|multiple_task)\.py", command):
        command += f" --url {url}"
    with Terminal(folder, command) as program:
        assert program.wait(60) == 0, program.output
    if "start-task" in command and "-N" not in command:
        assert '"status":"PENDING"' in program.output
    elif "--help" not in command and not command.endswith(("/health", "/works")):
        assert "SUCCESS" in program.output
