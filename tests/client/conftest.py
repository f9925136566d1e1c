"""The programs, as people run them."""

from collections.abc import Iterator

import pytest

from tests.client.running import Run
from tests.support.programs import OwnWorkServer, Program, Server


@pytest.fixture(scope="session")
def own_server() -> Iterator[Server]:
    """A server with work that has something to say, whose viewers need not wait before they reconnect."""
    with OwnWorkServer("--retry-milliseconds", "0") as server:
        yield server


@pytest.fixture
def run() -> Iterator[Run]:
    """Run clients; they are killed after the test."""
    programs: list[Program] = []

    def start(*arguments: str, **environment: str) -> Program:
        programs.append(Program(*arguments, **environment))
        return programs[-1]

    yield start
    for program in programs:
        program.__exit__()
