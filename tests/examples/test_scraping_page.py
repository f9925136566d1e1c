"""The React component in a real browser, through nginx, as `run.py` builds and starts them."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from benchmarks.peers.ports import free_port
from tests.examples.test_scraping_example import TRIGGER
from tests.support.backends import require
from tests.support.programs import Program

pytestmark = pytest.mark.slow

SCRAPING = re.compile("Scraping page [1-7] of 7")
"""Any of them: each is shown for less time than there is between two looks at a page."""
NOTE_MESSAGES = """() => {
    window.messages = [];
    const all = { childList: true, characterData: true, subtree: true };
    new MutationObserver(() => {
        const text = document.querySelector(".steps li:last-child")?.textContent;
        if (text !== messages.at(-1)?.text) messages.push({ text, at: performance.now() });
    }).observe(document.body, all);
}"""
NOTE_SOURCES = """
    window.sources = [];
    window.EventSource = class extends EventSource {
        constructor(url) { super(url); sources.push(this); }
    };
"""


class Site(Program):
    """`run.py --development`, for in production StrictMode does nothing."""

    def __init__(self) -> None:
        ports = ("--port", str(free_port()), "--api-port", str(free_port()))
        super().__init__("examples/scraping/run.py", "--development", *ports)
        self.url = f"http://localhost:{ports[1]}"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    require("npm")
    require("nginx")
    with Site() as site:
        site.wait_for("Uvicorn running on", 300)
        yield site
        assert site.stop() == 0


def test_steps_one_by_one(site: Site, page: Page) -> None:
    """After one click the steps appear one after the other, each when it happens; then the result."""
    page.goto(site.url)
    page.evaluate(NOTE_MESSAGES)
    page.get_by_role("button", name="Start scraping").click()
    expect(page.get_by_role("status")).to_have_text("Live")
    expect(page.get_by_role("status")).to_have_text("Completed: 70 quotes on 7 pages")
    expect(page.locator(".steps li")).to_have_text(["Login", "Scraping", "Analyzing"])
    messages = page.evaluate("messages.filter(({ text }) => text)")
    assert [message["text"] for message in messages] == [
        "Login",
        *(f"Scraping page {number} of 7" for number in range(1, 8)),
        "Analyzing",
    ]
    # Five seconds for nine messages: they come as they happen, not all at the end.
    times = [message["at"] for message in messages]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert times == sorted(times)
    assert len([gap for gap in gaps if gap > 250]) >= 6
    assert times[-1] - times[0] > 3000


def test_strict_mode(site: Site, page: Page) -> None:
    """The effect runs twice, the scraping once; a reload watches the same run."""
    page.add_init_script(NOTE_SOURCES)
    page.goto(site.url)
    page.get_by_role("button", name="Start scraping").click()
    expect(page.get_by_text(SCRAPING)).to_be_visible()
    # Two, since it is React's development version: otherwise this test would show nothing.
    first, second = page.evaluate("sources.map(({ readyState, url }) => ({ readyState, url }))")
    assert (first["readyState"], second["readyState"]) == (2, 1)
    page.reload()
    expect(page.get_by_role("status")).to_contain_text("Completed")
    assert {first["url"], second["url"], *page.evaluate("sources.map(({ url }) => url)")} == {first["url"]}
    expect(page.locator(".quotes li")).to_have_count(7)


def test_leaving_closes_the_stream(site: Site, page: Page) -> None:
    """A second run takes the place of the first, whose stream is closed by the clean-up."""
    page.goto(site.url)
    button = page.get_by_role("button", name="Start scraping")
    closed: list[str] = []
    page.on("requestfailed", lambda request: closed.append(request.url))
    button.click()
    expect(page.get_by_text(SCRAPING)).to_be_visible()
    closed.clear()
    with page.expect_event("requestfailed", lambda request: TRIGGER in request.url):
        button.click()
    expect(page.get_by_text("Login", exact=True)).to_be_visible()
