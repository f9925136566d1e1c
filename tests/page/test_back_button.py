"""Pages that the browser keeps for the Back button."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.page.test_element import tag
from tests.support.browser import expect_status, launch, show_task, start_task, until_streams
from tests.support.host_page import open_host_page
from tests.support.programs import Server

ONLY_LOCKS = """async (count) => {
    const { held, pending } = await navigator.locks.query();
    return held.length === count && pending.length === 0;
}"""


@pytest.fixture
def keeping_browser() -> Iterator[Browser]:
    """Chromium, which keeps pages for the Back button: Playwright's doesn't, unless it is told to."""
    yield from launch(["--disable-back-forward-cache"])


@pytest.mark.parametrize("others", [0, 2], ids=["with a place", "waiting for one"])
def test_the_back_button(keeping_browser: Browser, server: Server, others: int) -> None:
    """A page with elements is kept, without a stream or a place, and watches again when one comes back."""
    context = keeping_browser.new_context()
    for _ in range(others):
        other = context.new_page()
        open_host_page(other, server, tag(start_task(server, seconds=600)))
        expect(other.locator("task-progress")).to_have_attribute("status", "STARTED")
    page = context.new_page()
    task_id = show_task(page, server, name="Watched", seconds=600)
    expect_status(page, "Watched", "STARTED")
    page.evaluate("window.isTheSame = true")
    open_host_page(page, server, "")
    until_streams(page, others)
    page.wait_for_function(ONLY_LOCKS, arg=others)
    page.go_back(wait_until="commit")
    assert page.evaluate("window.isTheSame")
    page.request.post(f"{server.url}/tasks/{task_id}/cancel")
    expect_status(page, "Watched", "REVOKED")
    context.close()
