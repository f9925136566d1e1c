"""What the tests of the page share: servers whose work has much to ask or to say, and Node's packages."""

from collections.abc import Iterator

import pytest

from tests.support.browser import launch, open_profile
from tests.support.node import node_modules
from tests.support.programs import OwnWorkServer, Server

__all__ = ["node_modules"]  # a fixture

# No test of the folder has an event loop of its own.
browser = pytest.fixture(launch, scope="package", name="browser")
profile = pytest.fixture(open_profile, scope="package", name="profile")


class EveryField(Server):
    """A server whose work has a parameter of every kind."""

    program = ("-m", "tests.page.every_field")


@pytest.fixture(scope="package")
def every_field() -> Iterator[Server]:
    """A server whose work has a parameter of every kind."""
    with EveryField() as server:
        yield server


@pytest.fixture(scope="package")
def speaker() -> Iterator[Server]:
    """A server whose work has something to say; it keeps 500 events of each task."""
    with OwnWorkServer("--retry-milliseconds", "20", "--history-length", "500") as server:
        yield server
