"""Elements behind a proxy that does to their streams what proxies and networks do."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import start_task, turn_tab, until_streams
from tests.support.faults import (
    BAD_GATEWAY,
    CUT_AFTER_EVENT,
    MUTE_AFTER_EVENT,
    Cut,
    Fault,
    FaultProxy,
    Hold,
    gateway,
)
from tests.support.host_page import open_host_page
from tests.support.programs import Server

OPTIONS = "document.querySelector('task-progress').options ="

NOTE_PROBLEMS = """
    window.problems = [];
    const problem = document.querySelector("task-progress").shadowRoot.querySelector("[part=problem]");
    new MutationObserver(() => problems.push(problem.textContent)).observe(problem, { childList: true });
"""
HELD_BACK = "No stream gets through: a proxy holds it back."


@pytest.fixture(scope="module")
def lively_server() -> Iterator[Server]:
    """A server with a heartbeat every second."""
    with Server("--retry-milliseconds", "20", "--ping-seconds", "1") as server:
        yield server


@pytest.fixture
def proxy(lively_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of it."""
    with gateway(lively_server) as proxy:
        yield proxy


def watch(page: Page, proxy: FaultProxy, script: str = "", **task: object) -> None:
    """Watch a new task through the proxy."""
    task_id = start_task(proxy, **task)
    open_host_page(page, proxy, f'<task-progress src="/tasks/{task_id}"></task-progress>', script)


def expect_part(page: Page, part: str, text: str) -> None:
    """Wait until a part of the element shows this text."""
    expect(page.locator(f"task-progress [part={part}]").first).to_have_text(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "times", "problem"),
    [
        (CUT_AFTER_EVENT, 2, "The connection was lost. Trying again."),
        (BAD_GATEWAY, 1, "The server is not available at the moment (502). Trying again."),
        (MUTE_AFTER_EVENT, 1, "The connection has gone silent. Trying again."),
    ],
    ids=["cut", "bad gateway", "mute"],
)
def test_trouble_is_said_and_overcome(
    page: Page, proxy: FaultProxy, fault: Fault, times: int, problem: str
) -> None:
    """After a cut, a 502, or silence without a close, the end is seen."""
    proxy.faults = (fault,) * times
    script = f"{OPTIONS} {{ muteSeconds: 2.5, firstByteSeconds: 1 }}; {NOTE_PROBLEMS}"
    watch(page, proxy, script, seconds=4, steps=20)
    expect_part(page, "badge", "Done")
    assert problem in page.evaluate("problems")
    expect_part(page, "problem", "")
    assert len(proxy.requests) == times + 1


def test_a_stream_that_is_held_back(page: Page, speaker: Server) -> None:
    """Behind a proxy that hands over only what is finished, all is shown as it happens, and it is said."""
    body = {"work": "speech", "name": "Speech", "pieces": ["Hello", " world", "\n"]}
    with gateway(speaker, Hold()) as proxy:
        task_id = start_task(proxy, **body, seconds=0.2, times=100)
        element = f'<task-progress src="/tasks/{task_id}" output></task-progress>'
        open_host_page(page, proxy, element, f"{OPTIONS} {{ firstByteSeconds: 1, pollSeconds: 0.1 }}")
        expect(page.locator("task-progress [part=output]")).to_contain_text("Hello world\nHello world\n")
        expect_part(page, "problem", HELD_BACK)
        proxy.faults, proxy.always = (), Cut()
        expect_part(page, "problem", "")
        assert b"wait=" not in proxy.requests[-1].partition(b"\r")[0]
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("task-progress")).to_have_attribute("status", "REVOKED")


def test_time_stands_still_while_nothing_is_known(page: Page, proxy: FaultProxy) -> None:
    """While the server can't be reached the time isn't counted on; when it can be, it goes on."""
    page.clock.install()
    watch(page, proxy, seconds=60, steps=600)
    time = page.locator("task-progress [part=time]")
    expect(time).to_have_text(re.compile(r"^\d+ s · about \d+ s left$"))
    page.route("**/*", lambda route: route.abort())
    proxy.cut()
    expect(page.locator("task-progress [part=problem]").first).to_contain_text("Trying again")
    before = time.inner_text()
    page.clock.run_for(10_000)
    assert time.inner_text() == before
    page.unroute("**/*")
    page.clock.run_for(40_000)
    expect(time).not_to_have_text(before)


def test_what_is_announced_is_true(page: Page, proxy: FaultProxy) -> None:
    """A screen reader finds why nothing comes, or ever will; until something does, or of another task."""
    page.clock.install()
    watch(page, proxy, name="Long", seconds=60)
    element, announced = page.locator("task-progress"), page.get_by_role("status")
    expect_part(page, "badge", "Running")
    expect(announced).to_have_text("")
    page.route("**/task-progress?*", lambda route: route.abort())
    proxy.cut()
    expect(announced).to_have_text("The server can’t be reached.")
    page.unroute("**/task-progress?*")
    page.clock.run_for(40_000)
    expect(announced).to_have_text("")
    page.route("**/task-progress?*", lambda route: route.fulfill(status=401))
    proxy.cut()
    page.clock.run_for(40_000)
    expect(announced).to_have_text("The server wants to know who asks: sign in again.")
    page.unroute("**/task-progress?*")
    element.evaluate(
        "(each, src) => each.src = src", f"/tasks/{start_task(proxy, name='Next', seconds=60)}"
    )
    expect_part(page, "badge", "Running")
    expect(announced).to_have_text("")
    page.get_by_role("button", name="Cancel").click()
    expect(announced).to_have_text("Next: Cancelled")
    element.evaluate("each => each.src = null")
    expect(announced).to_have_text("")


@pytest.mark.slow
def test_seven_tabs(page: Page, lively_server: Server) -> None:
    """Six hidden tabs of a browser, which opens six connections, don't starve the seventh."""
    task_id = start_task(lively_server, name="Watched", seconds=60)
    for number in range(7):
        tab = page.context.new_page()
        open_host_page(tab, lively_server, f'<task-progress src="/tasks/{task_id}"></task-progress>')
        expect_part(tab, "badge", "Running")
        if number < 6:
            turn_tab(tab, hidden=True)
    until_streams(tab, 1)
