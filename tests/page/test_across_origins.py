"""Pages of another origin, whose application has nothing for them but Starlette's CORSMiddleware."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.page.test_element import tag
from tests.support.browser import HasAddress, start_task
from tests.support.faults import Cut, CutAt, gateway
from tests.support.programs import OwnApp, Server

MINE = r"""
import asyncio
from collections.abc import AsyncIterator
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from taskstream import Output, TaskStream

tasks = TaskStream()

@tasks.work
async def speech(*, seconds: float = 0.05) -> AsyncIterator[Output]:
    for number in range(20):
        yield Output(f"line {number};")
        await asyncio.sleep(seconds)

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origin_regex=r"http://localhost:\d+")
app.include_router(tasks.router)
"""

SHOW = """([url, tags]) => {
    document.body.innerHTML = tags.replaceAll('src="', `src="${url}`);
    return import("/static/task-progress.js");
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An application that lets pages of localhost ask it, and no other header than all may send."""
    with OwnApp(tmp_path_factory.mktemp("mine"), MINE) as server:
        yield server


def show(page: Page, server: Server, api: HasAddress, tags: str) -> None:
    """Show these elements of an application in a page of localhost, which is another origin."""
    page.goto(f"http://localhost:{server.port}/health")
    page.evaluate(SHOW, [api.url, tags])


def test_a_cut_connection_goes_on(server: Server, page: Page) -> None:
    """It resumes after what it has shown, each time: a header for that would need leave."""
    with gateway(server, CutAt(b"line 3;"), CutAt(b"line 12;"), Cut()) as proxy:
        show(page, server, proxy, tag(start_task(server), "output"))
        expect(page.locator("task-progress")).to_have_attribute("status", "SUCCESS")
        expect(page.locator("[part=output]")).to_have_text(
            "".join(f"line {number};" for number in range(20))
        )
        assert len(proxy.requests) == 3


def test_many_tasks(server: Server, page: Page) -> None:
    """More than a query has room for share a stream; one that is cancelled ends."""
    ids = [start_task(server, seconds=60) for _ in range(101)]
    show(page, server, server, "".join(map(tag, ids)))
    expect(page.locator("task-progress:is([status=PENDING], [status=STARTED])")).to_have_count(101)
    page.locator("task-progress").last.get_by_role("button").click()
    expect(page.locator("task-progress").last).to_have_attribute("status", "REVOKED")
