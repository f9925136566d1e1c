"""What the tests share: servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.programs import Server


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
