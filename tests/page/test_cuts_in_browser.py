"""Chromium's own EventSource, whose connections are cut."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from queue import Queue
from threading import Thread

from playwright.sync_api import Page

from tests.page.test_output import Speaker
from tests.support.browser import browser, context, page, start_task
from tests.support.faults import Cut, Fault, FaultProxy, record
from tests.support.programs import Server

__all__ = ["browser", "context", "page"]  # fixtures

WATCH = """(urls) => Promise.all(urls.map((url) => new Promise((resolve) => {
    const seen = [];
    const source = new EventSource(url);
    source.onmessage = (event) => seen.push(event.data);
    source.addEventListener("output", (event) => seen.push(event.data));
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve(seen); };
})))"""


@contextmanager
def proxies(port: int, rows: list[tuple[Fault, ...]]) -> Iterator[list[str]]:
    """A proxy for each row of faults, in a thread of their own; their addresses."""
    started: Queue[tuple[list[str], asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def serve() -> None:
        stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            each = [await stack.enter_async_context(FaultProxy(port, row)) for row in rows]
            started.put(([proxy.url for proxy in each], asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = Thread(target=asyncio.run, args=[serve()])
    thread.start()
    urls, loop, stop = started.get(timeout=10)
    try:
        yield urls
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def watch_cut(page: Page, port: int, task_id: str, offsets: range) -> dict[int, list[str]]:
    """What an EventSource has seen at its end, for each offset at which its first connection was cut."""
    with proxies(port, [(Cut(offset),) for offset in offsets]) as urls:
        seen = page.evaluate(WATCH, [f"{url}/task-progress/{task_id}" for url in urls])
    return dict(zip(offsets, seen, strict=True))


def sample(answer: bytes) -> range:
    """Some fifty offsets in the body of an answer."""
    body = answer.index(b"\r\n\r\n") + 4
    offsets = range(body, len(answer), (len(answer) - body) // 50)
    assert len(offsets) >= 50
    return offsets


def test_cut_anywhere(server: Server, page: Page) -> None:
    """Cut at a sample of offsets in the body: every event arrives once, whole; a 204 is the end.

    Not in the head: Chromium takes the rest of one for a whole one, misses the type, and gives up.
    """
    task_id = start_task(server, name="東京 🚄", seconds=0, steps=2)
    answer = record(server.port, task_id)
    expected = [data.decode() for data in re.findall(rb"^data: (.*)$", answer, re.MULTILINE)]
    assert [json.loads(data)["progress"] for data in expected] == [0, 0, 50, 99, 100]
    seen = watch_cut(page, server.port, task_id, sample(answer))
    assert {offset: data for offset, data in seen.items() if data != expected} == {}


def test_output_cut_anywhere(page: Page) -> None:
    """Output that is cut at a sample of offsets in the body ends as the same text, byte for byte."""
    pieces = ["né\r\n", "東", "京 🚄\t\x1b[31m!\n", "\n", "\u2028 → no end", " \0\x7f "]
    with Speaker("--retry-milliseconds", "20") as speaker:
        task_id = start_task(speaker, work="speech", pieces=pieces, times=2)
        answer = record(speaker.port, task_id)
        assert answer.count(b"event: output") > 2
        seen = watch_cut(page, speaker.port, task_id, sample(answer))
    events = {offset: [json.loads(data) for data in each] for offset, each in seen.items()}
    texts = {offset: "".join(each.get("text", "") for each in events[offset]) for offset in events}
    assert {offset: text for offset, text in texts.items() if text != "".join(pieces * 2)} == {}
    assert {each[-1]["status"] for each in events.values()} == {"SUCCESS"}
