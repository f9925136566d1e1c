"""Elements behind a proxy that does to their streams what proxies and networks do."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import start_task, turn_tab, until_streams
from tests.support.gateway import Fate, Gateway, gateway
from tests.support.host_page import open_host_page
from tests.support.programs import Server

OPTIONS = "document.querySelector('task-progress').options ="

NOTE_PROBLEMS = """
    window.problems = [];
    const problem = document.querySelector("task-progress").shadowRoot.querySelector("[part=problem]");
    new MutationObserver(() => problems.push(problem.textContent)).observe(problem, { childList: true });
"""
PROBLEMS = {
    Fate.CUT: "The connection was lost. Trying again.",
    Fate.BAD_GATEWAY: "The server is not available at the moment (502). Trying again.",
    Fate.MUTE: "The connection has gone silent. Trying again.",
}
HELD_BACK = "No stream gets through: a proxy holds it back."


@pytest.fixture(scope="module")
def lively_server() -> Iterator[Server]:
    """A server with a heartbeat every second."""
    with Server("--retry-milliseconds", "20", "--ping-seconds", "1") as server:
        yield server


@pytest.fixture
def proxy(lively_server: Server) -> Iterator[Gateway]:
    """A proxy in front of it."""
    with gateway(lively_server.url) as proxy:
        yield proxy


def watch(page: Page, proxy: Gateway, script: str = "", **task: object) -> None:
    """Watch a new task through the proxy."""
    task_id = start_task(proxy, **task)
    open_host_page(page, proxy, f'<task-progress src="/tasks/{task_id}"></task-progress>', script)


def expect_part(page: Page, part: str, text: str) -> None:
    """Wait until a part of the element shows this text."""
    expect(page.locator(f"task-progress [part={part}]").first).to_have_text(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fates",
    [
        (Fate.CUT, Fate.CUT, Fate.PASS),
        (Fate.BAD_GATEWAY, Fate.PASS),
        (Fate.MUTE, Fate.PASS),
    ],
    ids=lambda fates: fates[0].name.lower(),
)
def test_trouble_is_said_and_overcome(page: Page, proxy: Gateway, fates: tuple[Fate, ...]) -> None:
    """After a cut, a 502, or silence without a close, the end is seen."""
    proxy.fates = list(fates)
    script = f"{OPTIONS} {{ muteSeconds: 2.5, firstByteSeconds: 1 }}; {NOTE_PROBLEMS}"
    watch(page, proxy, script, seconds=4, steps=20)
    expect_part(page, "badge", "Done")
    assert PROBLEMS[fates[0]] in page.evaluate("problems")
    expect_part(page, "problem", "")
    assert len(proxy.streams) == len(fates)


def test_a_stream_that_is_held_back(page: Page, speaker: Server) -> None:
    """Behind a proxy that hands over only what is finished, all is shown as it happens, and it is said."""
    body = {"work": "speech", "name": "Speech", "pieces": ["Hello", " world", "\n"]}
    with gateway(speaker.url) as proxy:
        proxy.fates = [Fate.HOLD]
        task_id = start_task(proxy, **body, seconds=0.2, times=100)
        element = f'<task-progress src="/tasks/{task_id}" output></task-progress>'
        open_host_page(page, proxy, element, f"{OPTIONS} {{ firstByteSeconds: 1, pollSeconds: 0.1 }}")
        expect(page.locator("task-progress [part=output]")).to_contain_text("Hello world\nHello world\n")
        expect_part(page, "problem", HELD_BACK)
        proxy.fates = [Fate.PASS]
        expect_part(page, "problem", "")
        assert "wait=" not in proxy.streams[-1].raw_path
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("task-progress")).to_have_attribute("status", "REVOKED")


def test_time_stands_still_while_nothing_is_known(page: Page, proxy: Gateway) -> None:
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
