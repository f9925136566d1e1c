"""The programs, as people run them."""

from collections.abc import Iterator

import pytest

from tests.client.running import Run
from tests.support.programs import OwnWorkServer, Program, Server


@pytest.fixture(scope="session")
def own_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with work that has something to say, whose viewers need not wait before they reconnect."""
    flags = ["--retry-milliseconds", "0"]
    if getattr(request, "param", "memory") == "file":
        flags += ["--database", str(tmp_path_factory.mktemp("tasks") / "tasks.db")]
    with OwnWorkServer(*flags) as server:
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
