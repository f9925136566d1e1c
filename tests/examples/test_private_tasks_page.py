"""Private tasks in a real browser: two people, and a page that tries to act for one of them."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import browser, context, page
from tests.support.examples import Example
from tests.support.programs import Server

__all__ = ["browser", "context", "page"]  # fixtures

WATCH = """(url) => new Promise((resolve) => {
    const source = new EventSource(url, { withCredentials: true });
    source.onmessage = (event) => resolve(event.data);
    source.onerror = () => resolve("refused");
})"""
SUBMIT = """(url) => {
    const form = Object.assign(document.createElement("form"), { method: "POST", action: url });
    document.body.append(form);
    form.submit();
}"""


class Blank(BaseHTTPRequestHandler):
    """A page of somebody else's."""

    def do_GET(self) -> None:
        """Answer an empty page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Example("private_tasks") as server:
        yield server


@pytest.fixture(scope="module")
def other_port() -> Iterator[int]:
    """Another server on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Blank) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        yield other.server_port
        other.shutdown()


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


@pytest.mark.slow
@pytest.mark.parametrize(("host", "same_site"), [("127.0.0.1", True), ("localhost", False)])
def test_foreign_page(
    server: Server, browser: Browser, other_port: int, host: str, same_site: bool
) -> None:
    """A page of another origin can't start or watch, of the same site neither, though it has the cookie."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        page.get_by_role("button", name="Start task").click()
        stream = page.get_by_role("link").evaluate("link => link.href")

        page.goto(f"http://{host}:{other_port}")
        assert page.evaluate(WATCH, stream) == "refused"
        with page.expect_navigation() as navigation:
            page.evaluate(SUBMIT, f"{server.url}/tasks")
        answer = navigation.value
        assert answer is not None
        assert answer.status == 403
        assert ("cookie" in answer.request.all_headers()) is same_site

        page.goto(server.url)
        expect(page.get_by_role("progressbar")).to_have_count(1)
        assert "PENDING" in page.evaluate(WATCH, stream)
