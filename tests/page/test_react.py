"""The hook, in an application that is bundled with the React of its own."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import note_requests, start_task, until_streams
from tests.support.host_page import open_host_page
from tests.support.node import bundle
from tests.support.programs import Server

StartServer = Callable[..., Server]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def react_app(node_modules: Path) -> str:
    """The application, as one script."""
    return bundle(node_modules, Path(__file__).parent / "node" / "react_app.js")


def show(page: Page, *tasks: Mapping[str, object], **props: object) -> None:
    """Render the application with these tasks."""
    page.evaluate("props => show(props)", {"tasks": tasks, **props})


def test_a_task_is_shown_to_its_end(server: Server, page: Page, react_app: str) -> None:
    """Under StrictMode a component renders each snapshot, over one connection that is opened once."""
    asked = note_requests(page, "task-progress?")
    task_id = start_task(server, name="Task", seconds=0.5, steps=5)
    open_host_page(page, server, "<main></main>", react_app)
    show(page, {"url": None})
    expect(page.locator("main i")).to_have_text("idle")
    show(page, {"url": f"/tasks/{task_id}"})
    expect(page.locator("main b")).to_have_text("Task SUCCESS 100 ")
    expect(page.locator("main i")).to_have_text("ended")
    assert len(asked) == 1


def test_what_has_ended_is_not_asked_for_again(server: Server, page: Page, react_app: str) -> None:
    """Neither new headers nor a component that is hidden, and shown again, ask for a task after its end."""
    asked = note_requests(page, "task-progress?")
    first, *others = (start_task(server, name=name, seconds=0) for name in "ABC")
    open_host_page(page, server, "<main></main>", react_app)
    ended: dict[str, object] = {"url": f"/tasks/{first}"}
    show(page, ended)
    expect(page.locator("main i")).to_have_text("ended")
    ended["options"] = {"headers": {"Token": "new"}}
    for other in others:
        show(page, ended, {"url": f"/tasks/{other}"})
        expect(page.locator("main b").nth(1)).to_contain_text("SUCCESS")
        show(page, ended, mode="hidden")
        expect(page.locator("main p")).to_be_hidden()
    assert len([url for url in asked if url and first in url]) == 1


def test_components_share_a_connection_and_let_go(
    start_server: StartServer, page: Page, react_app: str
) -> None:
    """Components whose headers say the same share a connection; when they go, it is closed."""
    server = start_server()
    ids = [start_task(server, name=name, seconds=60) for name in "AB"]
    options = {"headers": {"Token": "x"}, "firstByteSeconds": math.inf}
    tasks = [{"url": f"/tasks/{each}", "options": options} for each in ids]
    open_host_page(page, server, "<main></main>", react_app)
    show(page, *tasks)
    expect(page.locator("main i")).to_have_text(["live", "live"])
    until_streams(page, 1)
    show(page, tasks[1])
    expect(page.locator("main b")).to_contain_text("B PROGRESS")
    until_streams(page, 1)
    show(page)
    until_streams(page, 0)


def test_concurrent_rendering_never_tears(server: Server, page: Page, react_app: str) -> None:
    """Two components of one task show the same in each commit, also while a slow transition renders."""
    task_id = start_task(server, name="Task", seconds=1.5, steps=50)
    open_host_page(page, server, "<main></main>", react_app)
    tasks = [{"url": f"/tasks/{task_id}"}] * 2
    for slow in range(10, 40):
        show(page, *tasks, slow=slow)
    expect(page.locator("main b").first).to_have_text("Task SUCCESS 100 ")
    commits = [commit for commit in page.evaluate("commits") if all(commit)]
    assert len(commits) > 5
    assert [commit for commit in commits if len(set(commit)) > 1] == []


def test_headers_by_a_function_of_each_render(server: Server, page: Page, react_app: str) -> None:
    """A function that is made anew in each render makes no connection anew, and the latest one is asked."""
    tokens = note_requests(page, "task-progress?", "token")
    task_id = start_task(server, name="Task", seconds=60, steps=1000)
    open_host_page(page, server, "<main></main>", react_app)
    show(page, {"url": f"/tasks/{task_id}"}, component="WithNewFunction")
    expect(page.locator("main b")).to_have_text(re.compile("PROGRESS [3-9]"))
    assert 1 <= len(tokens) <= 2  # the first function, and whatever is the latest
    page.evaluate("setToken('new')")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    expect(page.locator("main i")).to_have_text("paused")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow'))")
    expect(page.locator("main i")).to_have_text("live")
    assert tokens[-1] == "new"


def test_cancel_and_what_is_wrong(server: Server, page: Page, react_app: str) -> None:
    """`cancel` stops the task; what is not known, or no address, is an error, in words."""
    task_id = start_task(server, name="Task", seconds=60)
    open_host_page(page, server, "<main></main>", react_app)
    show(page, *({"url": url} for url in (f"/tasks/{task_id}", "/tasks/none", "http://[")))
    page.get_by_role("button").first.click()
    expect(page.locator("main b").first).to_contain_text("REVOKED")
    expect(page.locator("main i")).to_have_text(["ended", "failed", "failed"])
    expect(page.locator("main u").nth(1)).to_contain_text("not found: it has never existed")
    expect(page.locator("main u").nth(2)).to_contain_text("Expected the address of a task")


def test_output_is_text_so_far(speaker: Server, page: Page, react_app: str) -> None:
    """With the option `output` the hook gives all text so far; that of silent work is empty."""
    ids = (start_task(speaker, work="speech", pieces=["0 ", "1 "]), start_task(speaker, seconds=0))
    open_host_page(page, speaker, "<main></main>", react_app)
    show(page, *({"url": f"/tasks/{each}", "options": {"output": True}} for each in ids))
    expect(page.locator("main b").first).to_have_text("speech SUCCESS 100 0 1 ")
    expect(page.locator("main b").last).to_have_text("simulated SUCCESS 100 ")


def test_the_element_in_react(server: Server, page: Page, react_app: str) -> None:
    """React 19 hands properties and events to the element; a function of each render connects once more."""
    asked = note_requests(page, "task-progress?")
    open_host_page(page, server, "<main></main>", react_app)
    task_id = start_task(server, name="Task", seconds=1, steps=20)
    show(page, {"url": f"/tasks/{task_id}"}, component="Element")
    expect(page.locator("main b")).to_have_text("SUCCESS")
    assert page.evaluate("renders") > 5
    assert len(asked) <= 2
