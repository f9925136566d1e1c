"""Private tasks in two real browsers."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.examples import Example
from tests.support.programs import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Example("private_tasks") as server:
        yield server


def test_each_sees_their_own(server: Server, browser: Browser, page: Page) -> None:
    """A task is on the page of its owner, after a reload too, and on nobody else's."""
    page.goto(server.url)
    page.get_by_role("button", name="Start task").click()
    expect(page.get_by_role("progressbar")).to_have_count(1)
    stream = page.get_by_role("link").evaluate("link => link.href")
    page.reload()
    expect(page.get_by_text("PROGRESS")).to_be_visible()

    with browser.new_context() as other:
        window = other.new_page()
        window.goto(server.url)
        window.get_by_role("button", name="Start task").click()
        expect(window.get_by_role("progressbar")).to_have_count(1)
        assert window.get_by_role("link").evaluate("link => link.href") != stream
        answer = window.goto(stream)
        assert answer is not None
        assert answer.status == 404
