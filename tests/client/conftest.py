"""The programs, as people run them."""

import functools
import socket
from collections.abc import Iterator

import pytest

from taskstream.client import environment
from tests.client.running import AsyncClient, Run, SyncClient
from tests.support.programs import OwnWorkServer, Program, Server

tls = functools.cache(environment.tls)


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


@pytest.fixture(params=[AsyncClient, SyncClient])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncClient:
    """The functions of one of the two clients, whose sessions share the certificates that they load."""
    monkeypatch.setattr(environment, "tls", tls)
    functions: AsyncClient = request.param()
    return functions


@pytest.fixture
def no_server() -> Iterator[str]:
    """An address where nothing listens, nor will: its port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


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
