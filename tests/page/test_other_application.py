"""The element in an application of its own, whose tasks want a header."""

import json
from collections.abc import Callable
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.support.backends import RedisServer, Worker
from tests.support.browser import browser, context, page
from tests.support.programs import Program, Server

__all__ = ["browser", "context", "page"]  # fixtures

pytestmark = pytest.mark.slow


class GuardedServer(Server):
    """The other application."""

    program = ("-m", "tests.page.guarded")


def start_task(server: Server, **body: object) -> str:
    """Start a task as one who has signed in; its id."""
    headers = {"Content-Type": "application/json", "Authorization": "Bearer good"}
    with urlopen(Request(f"{server.url}/jobs/start-task", json.dumps(body).encode(), headers)) as answer:
        task_id: str = json.load(answer)["task_id"]
    return task_id


def test_a_restart_of_the_server(start: Callable[[Program], Program], page: Page) -> None:
    """A page of ten lines shows a task that runs elsewhere, outlives the server, and sees the task end."""
    redis = RedisServer()
    start(redis)
    start(Worker(redis.url, processes=1, module="tests.page.guarded:celery"))
    flags = ("--redis-url", redis.url, "--retry-milliseconds", "20")
    server = GuardedServer(*flags)
    start(server)
    task_id = start_task(server, name="Elsewhere", seconds=6, steps=60)
    page.goto(f"{server.url}/?good#{task_id}")
    element = page.locator("task-progress")
    expect(element).to_have_attribute("status", "PROGRESS")
    server.stop()
    expect(element.locator("[part=problem]").first).to_have_text(
        "The server can’t be reached. Trying again."
    )
    start(GuardedServer(*flags, "--port", str(server.port)))
    expect(element).to_have_attribute("status", "SUCCESS")
    expect(element.locator("[part=name]")).to_have_text("Elsewhere")


def test_a_token_is_renewed(start: Callable[[Program], Program], page: Page) -> None:
    """A token that has expired is renewed once; who is refused even then is told so, and can't cancel."""
    server = GuardedServer()
    start(server)
    task_id = start_task(server, seconds=60)
    page.goto(f"{server.url}/?old,good#{task_id}")
    element = page.locator("task-progress")
    expect(element).to_have_attribute("status", "PROGRESS")
    page.goto("about:blank")
    page.goto(f"{server.url}/?old,older#{task_id}")
    expect(element.locator("[part=message]")).to_have_text(
        "The server wants to know who asks: sign in again."
    )
    page.evaluate("document.querySelector('task-progress').headers = { Authorization: 'Bearer good' }")
    expect(element).to_have_attribute("status", "PROGRESS")
    page.get_by_role("button", name="Cancel").click()
    expect(element).to_have_attribute("status", "REVOKED")
