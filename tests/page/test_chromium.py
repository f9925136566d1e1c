"""What Chromium does by itself: its EventSource, a service worker, and pages kept for the Back button."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.test_element import show_element
from tests.support.browser import (
    ARGUMENTS,
    executable,
    expect_status,
    show_task,
    start_task,
    until_streams,
)
from tests.support.faults import Cut, FaultProxy, in_thread, record
from tests.support.host_page import open_host_page
from tests.support.programs import OwnApp, Server

WATCH_ALL = """(urls) => Promise.all(urls.map((url) => new Promise((resolve) => {
    const seen = [];
    const source = new EventSource(url);
    source.onmessage = (event) => seen.push(event.data);
    source.addEventListener("output", (event) => seen.push(event.data));
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve(seen); };
})))"""

ONLY_LOCKS = """async (count) => {
    const { held, pending } = await navigator.locks.query();
    return held.length === count && pending.length === 0;
}"""

CLONING = """
self.addEventListener("activate", (event) => event.waitUntil(clients.claim()));
self.addEventListener("fetch", (event) => event.respondWith((async () => {
  const answer = await fetch(event.request);
  answer.clone().text();
  return answer;
})()));
"""

MINE = f"""
from fastapi import Response
from tests.support.own_work import app

@app.get("/worker.js")
def worker() -> Response:
    return Response({CLONING!r}, media_type="text/javascript")
"""
LINES = [f"line {number}\n" for number in range(8)]

WATCH = """async (id) => {
  await navigator.serviceWorker.register("/worker.js");
  await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
  }
  window.seen = [];
  const source = new EventSource(`/task-progress/${id}`);
  source.onmessage = ({ lastEventId, data }) => {
    const { progress, status } = JSON.parse(data);
    seen.push([Number(lastEventId), progress]);
    if (status === "SUCCESS") source.close();
  };
  source.addEventListener("output", ({ lastEventId, data }) =>
    seen.push([Number(lastEventId), JSON.parse(data).text]));
  await import("/static/task-progress.js");
  document.body.innerHTML = `<task-progress src="/tasks/${id}" output></task-progress>`;
}"""


def test_cut_anywhere(speaker: Server, page: Page) -> None:
    """Cut at a sample of offsets in the body: every event arrives once, whole; a 204 is the end.

    Not in the head: Chromium takes the rest of one for a whole one, misses the type, and gives up.
    """
    pieces = ["né\r\n", "東", "京 🚄\t\x1b[31m!\n", "\n", "\u2028 → no end", " \0\x7f "]
    task_id = start_task(speaker, work="speech", name="東京 🚄", pieces=pieces, times=2)
    answer = record(speaker.port, task_id)
    expected = [data.decode() for data in re.findall(rb"^data: (.*)$", answer, re.MULTILINE)]
    assert "".join(json.loads(data).get("text", "") for data in expected) == "".join(pieces * 2)
    assert json.loads(expected[-1])["status"] == "SUCCESS"
    body = answer.index(b"\r\n\r\n") + 4
    offsets = range(body, len(answer), (len(answer) - body) // 50)
    proxies = [FaultProxy(speaker.port, (Cut(offset),)) for offset in offsets]
    with in_thread(*proxies):
        seen = page.evaluate(WATCH_ALL, [f"{proxy.url}/task-progress/{task_id}" for proxy in proxies])
    assert len(seen) >= 50
    assert {offset: data for offset, data in zip(offsets, seen, strict=True) if data != expected} == {}


def test_a_service_worker_that_clones(page: Page, tmp_path: Path) -> None:
    """EventSource and the element get each event while the task runs, output included, in order."""
    with OwnApp(tmp_path, MINE) as server:
        page.goto(f"{server.url}/")
        page.evaluate(WATCH, start_task(server, work="speech", pieces=LINES, seconds=0.5))
        element = page.locator("task-progress")
        expect(element.locator("[part=output]")).to_contain_text("line 2\n")
        assert element.get_attribute("status") == "PROGRESS"
        expect(element).to_have_attribute("status", "SUCCESS")
        expect(element.locator("[part=output]")).to_have_text("".join(LINES))
        seen = page.evaluate("seen")
        assert [number for number, _ in seen] == list(range(1, len(seen) + 1))
        assert [text for _, text in seen if isinstance(text, str)] == LINES


@pytest.mark.parametrize("others", [0, 2], ids=["with a place", "waiting for one"])
def test_the_back_button(browser: Browser, server: Server, others: int) -> None:
    """A page that is left gives its stream and its place back, and watches again when one comes back.

    Chromium mostly keeps it as it was: not always, as it may look for locks before the page has let go.
    """
    switched_off = ["--disable-back-forward-cache"]  # by Playwright
    with browser.browser_type.launch(
        executable_path=executable(), args=ARGUMENTS, ignore_default_args=switched_off
    ) as keeping_browser:
        context = keeping_browser.new_context()
        for _ in range(others):
            other = context.new_page()
            show_element(other, server, seconds=600)
            expect(other.locator("task-progress")).to_have_attribute("status", "STARTED")
        page = context.new_page()
        task_id = show_task(page, server, name="Watched", seconds=600)
        expect_status(page, "Watched", "STARTED")
        open_host_page(page, server, "")
        until_streams(page, others)
        page.wait_for_function(ONLY_LOCKS, arg=others)
        page.go_back(wait_until="commit")
        page.request.post(f"{server.url}/tasks/{task_id}/cancel")
        expect_status(page, "Watched", "REVOKED")
