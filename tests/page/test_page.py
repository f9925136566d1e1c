"""The web page, in a real browser, against a real server."""

import re
import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.support.browser import (
    card,
    expect_status,
    note_requests,
    progress,
    scrolls_sideways,
    show_task,
    submit,
    turn_tab,
    until_streams,
)
from tests.support.faults import gateway
from tests.support.programs import Server

StartServer = Callable[..., Server]

CONNECTION = "#connection"
WIRE = "#wire-bytes"

WATCH_BARS = """() => {
    window.bars = [];
    document.addEventListener("progress", ({ detail }) => bars.push(detail.progress));
}"""
WATCH_CONNECTION = """() => {
    window.states = [];
    const note = () => states.push(connection.textContent);
    new MutationObserver(note).observe(connection, { childList: true });
}"""


def test_a_task_is_watched_from_its_start_to_its_end(server: Server, page: Page) -> None:
    """A task started on the page is shown until SUCCESS, by one stream; its bar never goes back."""
    streams = note_requests(page, "/task-progress?")
    page.goto(server.url)
    expect(page.get_by_text("No tasks yet")).to_be_visible()
    page.evaluate(WATCH_BARS)
    submit(page, name="Report", seconds=1, steps=10)
    expect(page.locator(CONNECTION)).to_have_text("Live")
    expect(page.get_by_text("No tasks yet")).to_be_hidden()
    expect_status(page, "Report", "SUCCESS")
    expect(card(page, "Report")).to_contain_text("Done")
    expect(card(page, "Report")).to_contain_text("took 1 s")
    expect(page.locator(CONNECTION)).to_have_text("Nothing to watch")
    bars = page.evaluate("bars")
    assert bars == sorted(bars)
    assert len(set(bars)) > 4
    assert bars[-1] == 100
    assert len(streams) == 1


def test_cancel_stops_a_task_and_remove_takes_it_off_the_list(server: Server, page: Page) -> None:
    """A running task can be cancelled, one that ended or is forgotten removed, for good."""
    page.goto(f"{server.url}/#{'0' * 32}")
    expect_status(page, "Task", "FORGOTTEN")
    expect(card(page, "Task")).to_contain_text("it was started by another process")
    expect(page.locator(CONNECTION)).to_have_text("Nothing to watch")
    submit(page, name="Long", seconds=60)
    card(page, "Long").get_by_role("button", name="Cancel").click()
    expect_status(page, "Long", "REVOKED")
    for name in ("Long", "Task"):
        card(page, name).get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No tasks yet")).to_be_visible()
    page.reload()
    expect(page.get_by_text("No tasks yet")).to_be_visible()


def test_a_reload_loses_nothing(server: Server, page: Page) -> None:
    """A reload in the middle keeps the tasks on the list, in order, and goes on watching them."""
    page.goto(server.url)
    submit(page, name="First", seconds=0)
    submit(page, name="Second", seconds=60, steps=300)
    expect_status(page, "Second", "PROGRESS")
    before = progress(page, "Second")
    page.reload()
    expect_status(page, "First", "SUCCESS")
    expect_status(page, "Second", "PROGRESS")
    assert progress(page, "Second") >= before
    expect(page.locator("#tasks h3")).to_have_text(["Second", "First"])
    card(page, "Second").get_by_role("button", name="Cancel").click()
    expect_status(page, "Second", "REVOKED")


def test_tabs_share_their_list(server: Server, context: BrowserContext, page: Page) -> None:
    """A task that is started or removed in one tab is so in the other."""
    other = context.new_page()
    for each in (page, other):
        each.goto(server.url)
    submit(page, name="From the first tab", seconds=0)
    expect_status(other, "From the first tab", "SUCCESS")
    submit(other, name="From the second", seconds=0)
    expect_status(page, "From the second", "SUCCESS")
    card(other, "From the first tab").get_by_role("button", name="Remove").click()
    expect(page.locator("#tasks h3")).to_have_text(["From the second"])


def test_the_list_has_a_limit(server: Server, page: Page) -> None:
    """Of more than a hundred tasks, which is what one stream can take, the oldest leaves the list."""
    page.goto(server.url)
    page.evaluate(
        """() => {
            const ids = Array.from({ length: 130 }, (_, index) => `unknown-${index}`);
            ids.push("\\ud800", null); // which something else has left there
            localStorage.setItem(`task-ids ${location.pathname}`, JSON.stringify(ids));
        }"""
    )
    page.reload()
    expect(page.locator("[status=FORGOTTEN]")).to_have_count(100)
    expect(page.locator(".copy-id").last).to_have_attribute("title", "unknown-30")
    submit(page, name="One more", seconds=0)
    expect_status(page, "One more", "SUCCESS")
    expect(page.locator("li.card")).to_have_count(100)


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "invoice \u202egpj.exe"])
def test_a_name_is_text(server: Server, page: Page, name: str) -> None:
    """Whatever a name looks like, it is shown as it is, and runs nothing, also on the wire."""
    page.goto(server.url)
    submit(page, name=name, seconds=0)
    expect(page.locator("h3")).to_have_text(name)
    expect(page.locator("h3 bdi > *")).to_have_count(0)
    expect(page.get_by_role("group")).to_have_accessible_name(name)
    expect(page.locator(".badge")).to_have_text("Done")
    page.locator(".on-the-wire").click()
    expect(page.locator(WIRE)).to_contain_text("204")
    expect(page.locator("#wire bdi")).to_have_text(name)


@pytest.mark.parametrize("name", ["W" * 100, "\u202e" + "\N{CJK UNIFIED IDEOGRAPH-7530}" * 99])
def test_nothing_overflows_on_a_phone(server: Server, page: Page, name: str) -> None:
    """At a width of 360 px nothing scrolls sideways, whatever the names are."""
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{server.url}/#{'not-a-task' * 10}")
    submit(page, name=name, seconds=0)
    expect(page.locator(".badge")).to_have_text(["Done", "Not found"])
    page.locator(".on-the-wire").first.click()
    expect(page.locator(WIRE)).to_contain_text("204")
    assert not scrolls_sideways(page)


def test_a_bad_field_is_named(server: Server, page: Page) -> None:
    """When the server refuses what is in the form, one sentence next to it says what is wrong."""
    page.goto(server.url)
    page.get_by_label("Seconds").evaluate("field => field.removeAttribute('max')")
    submit(page, seconds=99999)
    expect(page.locator("#start-problem")).to_have_text(
        "seconds: Input should be less than or equal to 3600."
    )
    submit(page, name="Better", seconds=0)
    expect_status(page, "Better", "SUCCESS")
    expect(page.locator("#start-problem")).to_be_hidden()


def test_a_server_that_is_full_or_gone_is_said_to_be(start_server: StartServer, page: Page) -> None:
    """When a task can't be started or cancelled, a sentence says why, and the form keeps its text."""
    server = start_server("--max-tasks", "1")
    page.goto(server.url)
    submit(page, name="Only", seconds=60)
    expect_status(page, "Only", "STARTED")
    submit(page, name="Too many")
    expect(page.locator("#start-problem")).to_contain_text("All 1 places are taken")
    server.stop(signal.SIGKILL)
    submit(page)
    expect(page.locator("#start-problem")).to_have_text("The server can’t be reached: is it running?")
    expect(page.get_by_label("Name")).to_have_value("Too many")
    card(page, "Only").get_by_role("button", name="Cancel").click()
    expect(card(page, "Only")).to_contain_text("The server can’t be reached")


def test_a_server_that_is_back_is_not_said_to_be_gone(server: Server, page: Page) -> None:
    """Neither the form nor a card goes on saying that the server can't be reached once it can."""
    with gateway(server) as proxy:
        page.goto(proxy.url)
        submit(page, name="Long", seconds=60)
        expect_status(page, "Long", "PROGRESS")
        page.route("**/*", lambda route: route.abort())
        proxy.cut()
        submit(page)
        expect(page.locator("#start-problem")).to_contain_text("The server can’t be reached")
        card(page, "Long").get_by_role("button", name="Cancel").click()
        expect(card(page, "Long").get_by_role("alert")).to_contain_text("The server can’t be reached")
        page.unroute("**/*")
        expect(page.locator("#start-problem")).to_be_hidden()
        expect(card(page, "Long").get_by_role("alert")).to_be_hidden()


@pytest.mark.slow
def test_a_restart_of_the_server_is_survived(start_server: StartServer, page: Page) -> None:
    """When the server dies the page says so; when it is back the page is live again by itself."""
    server = start_server("--retry-milliseconds", "20")
    page.goto(server.url)
    submit(page, name="Lost", seconds=60, steps=300)
    expect(page.locator(CONNECTION)).to_have_text("Live")
    expect_status(page, "Lost", "PROGRESS")
    page.evaluate(WATCH_CONNECTION)
    server.stop(signal.SIGKILL)
    expect(page.locator(CONNECTION)).to_have_text("Reconnecting…")
    start_server("--port", str(server.port))
    expect_status(page, "Lost", "FORGOTTEN")
    expect(card(page, "Lost")).to_contain_text("or before the server was restarted")
    expect(card(page, "Lost").locator(".message")).to_have_text(re.compile("^Step"))
    expect(card(page, "Lost").get_by_role("progressbar")).to_be_visible()
    assert page.evaluate("states") == ["Reconnecting…", "Live", "Nothing to watch"]
    submit(page, name="New", seconds=0)
    expect_status(page, "New", "SUCCESS")


def test_the_page_works_under_a_path(server: Server, page: Page) -> None:
    """Behind a proxy the page may live under a path of its own."""
    path = f"{server.url}/some/app/"

    def proxy(route: Route) -> None:
        url = route.request.url
        route.continue_(url=url.replace(path, f"{server.url}/")) if url.startswith(path) else route.abort()

    page.route("**/*", proxy)
    page.goto(path)
    submit(page, name="Under a path", seconds=0.3)
    expect_status(page, "Under a path", "SUCCESS")
    page.locator(".on-the-wire").click()
    expect(page.locator(WIRE)).to_contain_text("GET /some/app/task-progress/")
    expect(page.locator(WIRE)).to_contain_text("204")


def test_a_hidden_tab_lets_go_of_its_streams(start_server: StartServer, page: Page) -> None:
    """A hidden tab has no stream open, so that many of them can't starve the visible one."""
    server = start_server()
    page.goto(server.url)
    submit(page, name="Watched", seconds=60)
    card(page, "Watched").get_by_role("button", name="On the wire").click()
    expect(page.locator(WIRE)).to_contain_text("id: 2")
    until_streams(page, 2)
    turn_tab(page, hidden=True)
    expect(page.locator(CONNECTION)).to_have_text("Paused")
    until_streams(page, 0)
    turn_tab(page, hidden=False)
    until_streams(page, 2)
    expect(page.locator(CONNECTION)).to_have_text("Live")
    expect(page.locator(WIRE)).to_contain_text("Last-Event-ID: 2")


def test_the_wire_says_what_an_answer_means(server: Server, page: Page) -> None:
    """A refusal is not called a task that the server doesn't know."""
    page.route("**/task-progress/*", lambda route: route.fulfill(status=403, json={"detail": "Sign in."}))
    show_task(page, server, name="Refused", seconds=0)
    card(page, "Refused").get_by_role("button", name="On the wire").click()
    expect(page.locator(WIRE)).to_contain_text("403: the server refuses this request.")


def test_the_wire_shows_the_bytes(server: Server, page: Page) -> None:
    """The second pane shows request, answer and events as they are on the wire, up to the final 204."""
    page.goto(server.url)
    submit(page, name="Naïve", seconds=0.3, steps=3)
    button = card(page, "Naïve").get_by_role("button", name="On the wire")
    button.click()
    expect(page.get_by_role("heading", name="On the wire")).to_be_focused()
    expect(page.locator(WIRE)).to_contain_text("nothing follows the event with this id")
    text = page.locator(WIRE).inner_text()
    assert text.startswith("GET /task-progress/")
    assert "Last-Event-ID" not in text[: text.index("id: 1\n")]
    assert "200 OK\n" in text
    assert "content-type: text/event-stream" in text
    assert re.search(r'\nid: 1\nretry: \d+\ndata: \{"task_id":"[0-9a-f]{32}","name":"Naïve",', text)
    assert "204 No Content" in text
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#wire")).to_be_hidden()
    expect(button).to_be_focused()


@pytest.mark.slow
def test_a_cut_connection_resumes(server: Server, page: Page) -> None:
    """After a cut the pane asks for what follows its last event, and gets each event exactly once."""
    asked = note_requests(page, "/task-progress/", "last-event-id")
    show_task(page, server, name="Cut", seconds=3, steps=15)
    card(page, "Cut").get_by_role("button", name="On the wire").click()
    expect(page.locator(WIRE)).to_contain_text("id: 4")
    page.get_by_role("button", name="Cut the connection").click()
    expect(page.locator(WIRE)).to_contain_text("You cut the connection.")
    expect(page.locator(WIRE)).to_contain_text("204 No Content")
    text = page.locator(WIRE).inner_text()
    ids = re.findall(r"^id: (\d+)$", text, re.MULTILINE)
    assert ids == [str(number) for number in range(1, 19)]  # PENDING, STARTED, 15 steps, SUCCESS
    first, second, third = asked
    assert (first, third) == (None, "18")
    assert 4 <= int(second or 0) < 18
    assert f"Last-Event-ID: {second}" in text


@pytest.mark.parametrize("work", [{"steps": 900, "seconds": 0}, {"work": "flood", "events": 5, "kib": 300}])
def test_the_wire_keeps_its_end_only(speaker: Server, page: Page, work: dict[str, object]) -> None:
    """However long a stream, or an event, the pane has 64 KiB of its end, and follows that."""
    show_task(page, speaker, name="Long", **work)
    expect_status(page, "Long", "SUCCESS")
    page.locator(".on-the-wire").click()
    expect(page.locator(WIRE)).to_contain_text("204 No Content")
    assert 60_000 < len(page.locator(WIRE).inner_text()) < 66_000
    below = page.locator(WIRE).evaluate("pane => pane.scrollHeight - pane.scrollTop - pane.clientHeight")
    assert below < 2


def test_the_keyboard_is_enough(server: Server, page: Page) -> None:
    """A task can be started and cancelled without a mouse, and the focus never falls off the page."""
    page.goto(server.url)
    expect(page.get_by_label("Fail at")).to_be_visible()
    expect(page.get_by_role("link", name="API")).to_be_visible()
    for _ in "API", "Work", "Name":
        page.keyboard.press("Tab")
    page.keyboard.type("By keyboard")
    page.keyboard.press("Tab")
    page.keyboard.type("60")
    for _ in "Steps", "Fail at", "Start task":
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Start task")).to_be_focused()
    page.keyboard.press("Enter")
    expect_status(page, "By keyboard", "STARTED")
    for _ in "Copy id", "On the wire", "Cancel":
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect_status(page, "By keyboard", "REVOKED")
    expect(page.get_by_role("group", name="By keyboard")).to_be_focused()


def test_a_dark_desktop_gets_a_dark_page(server: Server, page: Page) -> None:
    """The page follows the colours of the system."""
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    show_task(page, server, seconds=0)
    light = page.evaluate(brightness)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(brightness)
    assert max(dark) < 64 < 192 < min(light)
    assert page.screenshot().startswith(b"\x89PNG")
