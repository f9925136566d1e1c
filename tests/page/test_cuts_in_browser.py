"""Chromium's own EventSource, whose connections are cut."""

import json
import re

from playwright.sync_api import Page

from tests.support.browser import start_task
from tests.support.faults import Cut, FaultProxy, in_thread, record
from tests.support.programs import Server

WATCH = """(urls) => Promise.all(urls.map((url) => new Promise((resolve) => {
    const seen = [];
    const source = new EventSource(url);
    source.onmessage = (event) => seen.push(event.data);
    source.addEventListener("output", (event) => seen.push(event.data));
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve(seen); };
})))"""


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
        seen = page.evaluate(WATCH, [f"{proxy.url}/task-progress/{task_id}" for proxy in proxies])
    assert len(seen) >= 50
    assert {offset: data for offset, data in zip(offsets, seen, strict=True) if data != expected} == {}
