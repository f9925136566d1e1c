"""Chromium's own EventSource, whose connections are cut."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Page

from tests.support.browser import start_task
from tests.support.faults import Cut, FaultProxy, record
from tests.support.programs import Server

WATCH = """(urls) => Promise.all(urls.map((url) => new Promise((resolve) => {
    const seen = [];
    const source = new EventSource(url);
    source.onmessage = (event) => seen.push(event.data);
    source.addEventListener("output", (event) => seen.push(event.data));
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve(seen); };
})))"""


@contextmanager
def proxies(port: int, offsets: range) -> Iterator[list[str]]:
    """The addresses of proxies whose first connection is cut at these offsets, in a thread of their own."""
    with start_blocking_portal() as portal, ExitStack() as stack:
        proxies = [FaultProxy(port, (Cut(offset),)) for offset in offsets]
        for proxy in proxies:
            stack.enter_context(portal.wrap_async_context_manager(proxy))
        yield [proxy.url for proxy in proxies]


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
    with proxies(speaker.port, offsets) as urls:
        seen = page.evaluate(WATCH, [f"{url}/task-progress/{task_id}" for url in urls])
    assert len(seen) >= 50
    assert {offset: data for offset, data in zip(offsets, seen, strict=True) if data != expected} == {}
