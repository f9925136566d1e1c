"""The pages of the examples, and what only a browser shows, in a real one."""

from pathlib import Path

import playwright.sync_api
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.examples.test_celery_job import job
from tests.support.browser import note_requests
from tests.support.examples import App, Example
from tests.support.programs import OwnApp

__all__ = ["job"]  # a fixture

QUICK_COUNTER = """
import asyncio
from types import SimpleNamespace
from examples import counter
app, counter.asyncio = counter.app, SimpleNamespace(sleep=lambda seconds: asyncio.sleep(seconds / 10))
"""
NOTE_BARS = """() => {
    window.bars = [];
    const [one, two] = document.querySelectorAll("progress");
    const note = () => bars.push(`${one.value} ${two.value}`);
    new MutationObserver(note).observe(document.body, { childList: true, subtree: true });
}"""

HALFWAY = """() => {
    const { value } = document.getElementById("bar");
    return value > 0 && value < 100;
}"""


def test_counter(page: Page) -> None:
    """Each number appears as it comes, and the page says that it is streaming."""
    with Example("counter") as server:
        page.goto(server.url)
        expect(page.get_by_role("listitem")).to_have_text(["streaming number 1"])
        expect(page.get_by_role("status")).to_have_text("Streaming …")
        expect(page.get_by_role("listitem")).to_have_text(["streaming number 1", "streaming number 2"])


@pytest.mark.slow
def test_counter_ends(page: Page, tmp_path: Path) -> None:
    """After ten numbers the page says that the stream is finished, and does not connect again."""
    requests = note_requests(page, "/stream")
    with OwnApp(tmp_path, QUICK_COUNTER) as server:
        page.goto(server.url)
        expect(page.get_by_role("status")).to_have_text("The stream is finished.")
        expect(page.get_by_role("listitem")).to_have_text(
            [f"streaming number {number}" for number in range(1, 11)]
        )
        page.wait_for_timeout(4000)  # Chromium would connect again after three seconds
        assert len(requests) == 1


def test_named_events(page: Page) -> None:
    """The page shows one function after the other, step by step, and closes the stream on `close`."""
    requests = note_requests(page, "/stream")
    with Example("named_events") as server:
        page.goto(f"{server.url}/?seconds=0.2")
        page.evaluate(NOTE_BARS)
        expect(page.get_by_text("Both are done.")).to_be_visible()
        assert page.evaluate("bars.slice(-8)") == [
            "75 0", "100 0", "100 0", "100 0", "100 50", "100 100", "100 100", "100 100",
        ]  # fmt: skip
        expect(page.get_by_text("done", exact=True)).to_have_count(2)
        assert len(requests) == 1


def test_seventh_stream(context: BrowserContext, page: Page) -> None:
    """Broken: six streams open, and the seventh waits until one is closed. Fixed: one stream for all."""
    with App("examples.traps.seventh_stream") as server:
        page.goto(server.url)
        live = page.get_by_text(": live")
        page.get_by_role("button", name="/broken").click()
        expect(live).to_have_count(6)
        # Not only streams wait: the host is out of reach for the whole browser.
        other = context.new_page()
        with pytest.raises(playwright.sync_api.TimeoutError):
            other.goto(f"{server.url}/openapi.json", timeout=500)
        expect(page.get_by_text("task 7: connecting")).to_be_visible()
        page.get_by_role("button", name="/fixed").click()
        expect(live).to_have_count(7)
        context.new_page().goto(f"{server.url}/openapi.json")


def test_private_tasks(browser: Browser, page: Page) -> None:
    """A task is on the page of its owner, after a reload too, and on nobody else's."""
    with Example("private_tasks") as server:
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
def test_celery_job(job: Example, page: Page) -> None:
    """A button starts the job, the bar follows it, and the title says that it has succeeded."""
    page.goto(f"{job.url}/?steps=10&seconds=0.1")
    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_role("status")).to_have_text("The job runs")
    page.wait_for_function(HALFWAY)
    expect(page.get_by_role("status")).to_have_text("Job Succeeded")
    expect(page).to_have_title("Job Succeeded")
    assert page.locator("#bar").evaluate("bar => bar.value") == 100
