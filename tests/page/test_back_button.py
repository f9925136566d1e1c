"""Pages that the browser keeps for the Back button."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import card, expect_status, launch, show_task, until_streams
from tests.support.host_page import open_host_page
from tests.support.programs import Server


@pytest.fixture
def keeping_browser() -> Iterator[Browser]:
    """Chromium, which keeps pages for the Back button: Playwright's doesn't, unless it is told to."""
    yield from launch(["--disable-back-forward-cache"])


def test_the_back_button(keeping_browser: Browser, server: Server) -> None:
    """A page with elements is kept, without a stream, and watches again when one comes back to it."""
    page = keeping_browser.new_page()
    show_task(page, server, name="Watched", seconds=4, steps=40)
    expect_status(page, "Watched", "PROGRESS")
    page.evaluate("window.isTheSame = true")
    open_host_page(page, server, "")
    until_streams(page, 0)
    page.go_back(wait_until="commit")
    assert page.evaluate("window.isTheSame")
    expect_status(page, "Watched", "SUCCESS")
    expect(card(page, "Watched")).to_contain_text("100 %")
