"""The pane "Output" of the page: what a task says beside how far it is."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import (
    card,
    expect_status,
    scrolls_sideways,
    show_task,
    start_task,
    turn_tab,
    until_streams,
)
from tests.support.faults import BAD_GATEWAY, Cut, gateway
from tests.support.programs import OwnWorkServer, Server

LINES = [f"line {number}\n" for number in range(200)]
TEXT = "".join(LINES)
PANE = "#output"
LOG = "#output-text"
STATE = "#output-state"

BELOW = "log => log.scrollHeight - log.scrollTop - log.clientHeight"

FORGET = """async () => {
    const { Transcript } = await import("./static/element/transcript.js");
    const log = document.querySelector("#output-text");
    document.querySelector("#output").hidden = false;
    const transcript = new Transcript(log);
    const say = async (from, to) => {
        for (let number = from; number < to; number++) transcript.append(`${number} ${"x".repeat(95)}\\n`);
        await new Promise(requestAnimationFrame);
    };
    await say(1000, 3700);
    const text = [...log.childNodes].find((node) => node.data?.includes("2000 x"));
    const at = text.data.indexOf("2000 x");
    const range = new Range();
    range.setStart(text, at);
    range.setEnd(text, at + 5);
    getSelection().addRange(range);
    const scrolled = new Promise((done) => log.addEventListener("scroll", done, { once: true }));
    log.scrollTop += range.getBoundingClientRect().top - log.getBoundingClientRect().top;
    await scrolled;
    const top = () => range.getBoundingClientRect().top - log.getBoundingClientRect().top;
    const [before, length] = [top(), log.textContent.length];
    await say(3700, 4000);
    const forgotten = length + 300 * 101 - log.textContent.length;
    return { before, after: top(), selected: String(getSelection()), forgotten };
}"""

LOSE = """async () => {
    const { Transcript } = await import("./static/element/transcript.js");
    const transcript = new Transcript(document.querySelector("#output-text"));
    for (const to of [90, 90, 91]) transcript.lose({ from: 8, to });
}"""


def speak(server: Server, pieces: list[str], **fields: object) -> str:
    """Start a task that says these pieces; its id."""
    return start_task(server, work="speech", name="Speech", pieces=pieces, **fields)


def open_output(page: Page, name: str = "Speech") -> Locator:
    """Open the output of the task with this name; the log."""
    card(page, name).get_by_role("button", name="Output").click()
    return page.get_by_role("log")


def open_speech(page: Page, server: Server, pieces: list[str], **fields: object) -> Locator:
    """Start a task that says these pieces, and open its output; the log."""
    page.goto(f"{server.url}/#{speak(server, pieces, **fields)}")
    return open_output(page)


def test_lines_are_shown_as_they_are_said(speaker: Server, page: Page) -> None:
    """The log shows each line while the task runs, follows its end, and says when it is complete."""
    log = open_speech(page, speaker, LINES, pauses=[100])
    expect(log).to_contain_text("line 3\n")
    expect(page.locator(STATE)).to_have_text("Live")
    expect(card(page, "Speech").locator(".badge")).to_have_text("Running")
    expect(log).to_have_accessible_name("Output of Speech")
    start_task(speaker, work="go_on")
    expect(page.locator(STATE)).to_have_text("Complete")
    assert log.inner_text() == TEXT
    assert log.evaluate(BELOW) < 2


@pytest.mark.parametrize("reloads", [False, True])
def test_who_comes_late_sees_all(speaker: Server, page: Page, *, reloads: bool) -> None:
    """The output of a task that has ended is shown from its beginning, after a reload too."""
    page.goto(f"{speaker.url}/#{speak(speaker, LINES)}")
    expect_status(page, "Speech", "SUCCESS")
    if reloads:
        open_output(page)
        expect(page.locator(STATE)).to_have_text("Complete")
        page.reload()
        expect(page.locator(PANE)).to_be_hidden()
    log = open_output(page)
    expect(page.locator(STATE)).to_have_text("Complete")
    assert log.inner_text() == TEXT


def test_work_that_says_nothing(speaker: Server, page: Page) -> None:
    """Output is offered where there is some: not of other tasks, or of one that the server doesn't know."""
    for task_id in (start_task(speaker, name="Silent", seconds=0), "0" * 32, speak(speaker, ["a"])):
        page.goto(f"{speaker.url}/#{task_id}")
    expect(page.get_by_role("button", name="Output: Speech")).to_be_visible()
    expect_status(page, "Silent", "SUCCESS")
    expect(page.get_by_role("button", name="Output")).to_have_count(1)


@pytest.mark.slow
def test_a_hidden_tab_and_a_closed_pane_let_go(page: Page) -> None:
    """The log has one connection, while it is open in a tab that is visible; it goes on without doubles."""
    with OwnWorkServer("--retry-milliseconds", "20") as server:  # of its own: streams are counted
        page.goto(f"{server.url}/#{speak(server, LINES, seconds=0.05)}")
        expect_status(page, "Speech", "PROGRESS")
        until_streams(page, 1)
        log = open_output(page)
        expect(log).to_contain_text("line 3\n")
        until_streams(page, 2)
        turn_tab(page, hidden=True)
        expect(page.locator(STATE)).to_have_text("Paused")
        until_streams(page, 0)
        turn_tab(page, hidden=False)
        until_streams(page, 2)
        page.get_by_role("button", name="Close").click()
        expect(page.locator(PANE)).to_be_hidden()
        expect(card(page, "Speech").get_by_role("button", name="Output")).to_be_focused()
        until_streams(page, 1)
        open_output(page)
        expect(page.locator(STATE)).to_have_text("Live")
        turn_tab(page, hidden=True)
        until_streams(page, 0)
        turn_tab(page, hidden=False)
        expect(page.locator(STATE)).to_have_text("Complete")
        assert log.inner_text() == TEXT


def test_one_pane_at_a_time(speaker: Server, page: Page) -> None:
    """The pane moves to the card it is opened for; the same button closes it, and so does "Remove".

    Both tasks were started elsewhere: `/#<task_id>` adds one to a page that is open already, too.
    """
    for name in ("First", "Second"):
        show_task(page, speaker, work="speech", name=name, pieces=[f"{name}\n"])
    first, second = (card(page, name).get_by_role("button", name="Output") for name in ("First", "Second"))
    first.click()
    expect(page.get_by_role("log")).to_have_text("First\n")
    expect(first).to_have_attribute("aria-expanded", "true")
    second.click()
    expect(card(page, "Second").get_by_role("log")).to_have_text("Second\n")
    expect(page.get_by_role("log")).to_have_count(1)
    expect(first).to_have_attribute("aria-expanded", "false")
    second.click()
    expect(page.locator(PANE)).to_be_hidden()
    expect(second).to_have_attribute("aria-expanded", "false")
    first.click()
    card(page, "First").get_by_role("button", name="Remove").click()
    expect(page.locator(PANE)).to_be_hidden()
    second.click()
    expect(page.get_by_role("log")).to_have_text("Second\n")


def test_a_cut_connection_goes_on(speaker: Server, page: Page) -> None:
    """After cuts and a 502 the log goes on with what follows the last event: each line is there once."""
    with gateway(speaker) as proxy:
        page.goto(f"{proxy.url}/#{speak(speaker, LINES, pauses=[21, 61])}")
        log = open_output(page)
        expect(log).to_contain_text("line 20\n")
        proxy.cut()
        start_task(speaker, work="go_on")
        expect(log).to_contain_text("line 60\n")
        proxy.always = BAD_GATEWAY
        proxy.cut()
        expect(page.locator(STATE)).to_contain_text("(502)")
        proxy.always = Cut()
        start_task(speaker, work="go_on")
        expect(page.locator(STATE)).to_have_text("Complete")
        assert log.inner_text() == TEXT
        own = [request for request in proxy.requests if b"/stream HTTP" in request]
        found = [re.search(rb"(?i)\r\nLast-Event-ID: (\d+)", request) for request in own]
        assert found.pop(0) is None
        ids = [int(each[1]) if each else 0 for each in found]
        assert len(ids) >= 3
        assert ids == sorted(ids)
        assert min(ids) > 20


def test_what_is_gone_is_said(speaker: Server, page: Page) -> None:
    """Who comes late is told how many events the server had to forget, where they were."""
    page.goto(f"{speaker.url}/#{speak(speaker, LINES, times=5)}")
    expect_status(page, "Speech", "SUCCESS")
    log = open_output(page)
    expect(page.locator(STATE)).to_have_text("Complete")
    # of PENDING, STARTED, 1000 pieces, 500 updates and SUCCESS, 500 are kept
    assert log.inner_text().startswith("… 1003 earlier events are gone\n")
    assert log.inner_text().endswith(TEXT)


def test_what_is_gone_is_said_once(speaker: Server, page: Page) -> None:
    """What was said to be gone on a connection that was cut isn't said again; more of it is."""
    page.goto(speaker.url)
    page.evaluate(LOSE)
    notes = page.locator(f"{LOG} .note")
    expect(notes).to_have_text(["… 83 earlier events are gone", "… 1 earlier event is gone"])


def test_a_terminal_s_commands_are_left_out(speaker: Server, page: Page) -> None:
    """Colours and titles are left out, though cut into pieces; a bar has a line for each of its states."""
    pieces = [
        "\x1b[1;31mred\x1b[0m \x1b]8;;http://a\x1b\\link\x1b]8;;\x07\n",
        "\x1b", "[3", "2mgreen\x1b[", "0m\r", "\n", "\x1b]0;ti", "tle\x1b", "\\no title\n",
        "\x1b(", "B\x1b[mplain\x1b)0 \x1b7text\x1b", "8\x1bM\n",
        "10 %\r20 %\r", "30 %\r\n", "<b>Bold</b> &amp;\n",
    ]  # fmt: skip
    log = open_speech(page, speaker, pieces, seconds=0.02)
    expect(page.locator(STATE)).to_have_text("Complete")
    assert log.inner_text() == (
        "red link\ngreen\nno title\nplain text\n10 %\n20 %\n30 %\n<b>Bold</b> &amp;\n"
    )
    expect(log.locator("b")).to_have_count(0)


def test_only_the_end_of_much_output_is_kept(speaker: Server, page: Page) -> None:
    """Of more than 256 KiB the log keeps whole lines at the end, and says so."""
    lines = [f"{number:03} {'x' * 995}\n" for number in range(50)]
    log = open_speech(page, speaker, lines, times=6)
    expect(page.locator(STATE)).to_have_text("Complete")
    note, _, text = log.inner_text().partition("\n")
    assert note == "… earlier output is not shown"
    assert "".join(lines * 6).endswith(text)
    assert re.match(r"\d{3} x", text)
    assert 200 * 1024 < len(text) <= 288 * 1024
    assert log.evaluate(BELOW) < 2


def test_what_is_forgotten_moves_nothing(speaker: Server, page: Page) -> None:
    """When the first lines of much output go, who has scrolled up sees and selects what he did before."""
    page.goto(speaker.url)
    seen = page.evaluate(FORGET)
    assert seen["forgotten"] > 20_000
    assert seen["after"] == pytest.approx(seen["before"], abs=1)
    assert seen["selected"].startswith("2000 ")


def test_on_a_phone(speaker: Server, phone: Page) -> None:
    """On a phone the log opens under its card, in sight; no long line scrolls the page sideways."""
    for _ in range(3):
        phone.goto(f"{speaker.url}/#{speak(speaker, ['W' * 500, *LINES])}")
    expect(phone.locator(".badge")).to_have_text(["Done"] * 3)
    opened = phone.locator("li.card").last
    opened.get_by_role("button", name="Output").tap()
    expect(opened.locator(STATE)).to_have_text("Complete")
    expect(opened.locator(PANE)).to_be_in_viewport(ratio=0.99)
    height = opened.get_by_role("button", name="Close").evaluate("each => each.offsetHeight")
    assert height >= 44
    assert not scrolls_sideways(phone)
