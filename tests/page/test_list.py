"""The page of an application with users: it lists one's own tasks, wherever they were started."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import Cookie, FastAPI
from playwright.sync_api import Browser, Page, expect

from taskstream import TaskStream
from tests.support.browser import card, start_task
from tests.support.threads import ThreadServer


@pytest.fixture
def server() -> Iterator[ThreadServer]:
    """An application whose users have a cookie; who has none is called Ann."""

    def user(name: Annotated[str, Cookie()] = "Ann") -> str:
        return name

    tasks = TaskStream(scope=user)

    @tasks.work
    async def wait() -> None:
        await asyncio.sleep(600)

    app = FastAPI()
    app.include_router(tasks.router)
    with ThreadServer(app) as server:
        yield server


def test_a_second_browser(server: ThreadServer, browser: Browser, page: Page) -> None:
    """It isn't empty, what is started meanwhile appears by itself, and what was removed stays away."""
    start_task(server, name="before")
    page.clock.install()
    page.goto(server.url)
    expect(card(page, "before")).to_be_visible()
    start_task(server, name="meanwhile")
    page.clock.run_for(6_000)
    expect(card(page, "meanwhile")).to_be_visible()
    with browser.new_context() as other:
        second = other.new_page()
        second.goto(server.url)
        expect(card(second, "before")).to_be_visible()
        expect(card(second, "meanwhile")).to_be_visible()
    with browser.new_context(extra_http_headers={"Cookie": "name=Bob"}) as other:
        second = other.new_page()
        with second.expect_response("**/tasks") as listing:
            second.goto(server.url)
        assert listing.value.json() == []
