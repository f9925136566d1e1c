"""What the tests share: servers, and clients of them."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import aiohttp
import hypothesis
import pytest

from tests.support.api import Api
from tests.support.backends import BACKENDS, backend
from tests.support.browser import browser, context, page, phone, profile
from tests.support.programs import Program, Server

__all__ = ["browser", "context", "page", "phone", "profile"]  # fixtures

Start = Callable[[Program], Any]

hypothesis.settings.register_profile("busy", deadline=None)  # on a machine that does other things too
hypothesis.settings.load_profile("busy")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server for all tests that do not harm it. Its viewers reconnect almost at once."""
    with Server("--retry-milliseconds", "20") as server:
        yield server


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """Start servers of one's own, with flags; they are killed after the test."""
    with ExitStack() as stack:
        yield lambda *flags, **environment: stack.enter_context(Server(*flags, **environment))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Check the contract over every back end, unless CONTRACT_URLS names what to check."""
    if metafunc.definition.path.name == "test_contract.py" and "base_urls" in metafunc.fixturenames:
        backends = [] if "CONTRACT_URLS" in os.environ else BACKENDS
        slow = [pytest.param(name, marks=pytest.mark.slow) for name in backends]
        metafunc.parametrize("base_urls", ["memory", *slow], indirect=True, scope="session")


@pytest.fixture
def start() -> Iterator[Start]:
    """Keep programs until the end of the test."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture(scope="session")
def base_urls(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Where the contract is checked: at CONTRACT_URLS, separated by commas, or at a back end of ours."""
    name = getattr(request, "param", "memory")
    if urls := os.environ.get("CONTRACT_URLS"):
        yield urls.split(",")
    elif name == "memory":
        yield [request.getfixturevalue("server").url]
    else:
        with backend(name) as backend_urls:
            yield backend_urls


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Any number of connections, for as long as it takes."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_read=30)
    ) as session:
        yield session


@pytest.fixture
def api(session: aiohttp.ClientSession, base_urls: list[str]) -> Api:
    """A client of the server under test."""
    return Api(session, base_urls)
