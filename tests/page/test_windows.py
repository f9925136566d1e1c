"""Several windows of one browser, all of them in sight: together they have six connections to a host."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.page.test_element import tag
from tests.support.browser import note_requests, start_task, turn_tab, until_streams
from tests.support.host_page import open_host_page
from tests.support.programs import Server

SANDBOX = """([origin, tags]) => {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    const script = '<script type="module" src="/static/task-progress.js"></script>';
    frame.srcdoc = `<base href="${origin}">${script}${tags}`;
    document.body.append(frame);
}"""


def streams_bars(request: Request) -> bool:
    """Whether a page asks for a stream of bars, which stays."""
    return "/task-progress?" in request.url and "wait=" not in request.url


def streams_output(request: Request) -> bool:
    """Whether a page asks for a stream with output, which stays."""
    return request.url.endswith("/stream")


def test_a_connection_is_free(start_server: Callable[..., Server], context: BrowserContext) -> None:
    """Whatever windows show, the next finds a connection, Cancel does too; what one leaves, others get."""
    server = start_server()
    ids = [start_task(server, seconds=3600, steps=10) for _ in range(3)]
    first, second, third = pages = [context.new_page() for _ in range(3)]
    asked = note_requests(third)
    for page in pages:
        open_host_page(page, server, tag(ids[0]) + tag(ids[1], "output") + tag(ids[2], "output"))
        expect(page.locator("task-progress[status=STARTED]")).to_have_count(3)
    until_streams(third, 4)
    assert {
        url.endswith("wait=0") for url in asked if url and re.search(r"progress\?|/stream$|/stream\?", url)
    } == {True}
    with second.expect_request(streams_output), third.expect_request(streams_bars):
        first.close()
    until_streams(third, 4)
    with third.expect_request(streams_output):
        turn_tab(second, hidden=True)
    turn_tab(second, hidden=False)
    for number in range(3):
        third.locator("task-progress").nth(number).get_by_role("button").click()
    for page in (second, third):
        expect(page.locator("task-progress[status=REVOKED]")).to_have_count(3)


def test_a_page_in_a_sandbox(server: Server, page: Page) -> None:
    """A page that the browser lets have no lock counts for itself."""
    ids = [start_task(server, seconds=0.2) for _ in range(3)]
    page.goto(f"{server.url}/health")
    page.evaluate(SANDBOX, [server.url, "".join(tag(each, "output") for each in ids)])
    expect(page.frame_locator("iframe").locator("task-progress[status=SUCCESS]")).to_have_count(3)
