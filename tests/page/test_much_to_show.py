"""Pages with much to show: what is the same, out of sight, or overtaken costs nothing."""

import pytest
from playwright.sync_api import Page, expect

from tests.page.test_element import part, show_element, tag
from tests.support.browser import start_task, until_streams
from tests.support.host_page import open_host_page
from tests.support.programs import Server

FRAMES = """async (count) => {
    while (count-- > 0) await new Promise(requestAnimationFrame);
}"""
MOVE = """(progress) => {
    const element = document.querySelector("task-progress");
    element.snapshot = { ...element.snapshot, progress };
}"""
SPEAK = """async () => {
    const { Transcript } = await import("/static/element/transcript.js");
    const { stylesIn } = await import("/static/element/styles.js");
    document.adoptedStyleSheets.push(...stylesIn(document));
    window.log = document.querySelector("pre");
    log.className = "output";
    window.transcript = new Transcript(log);
}"""
SAY = """([from, to]) => {
    for (let number = from; number < to; number++) transcript.append(`${number} ${"x".repeat(60)}\\n`);
}"""


def layouts(page: Page) -> int:
    """How often the page has been laid out so far."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return int(next(each["value"] for each in metrics if each["name"] == "LayoutCount"))


def say(page: Page, *numbers: int) -> None:
    """Have the transcript say some lines, and the browser show them."""
    page.evaluate(SAY, numbers)
    page.evaluate(FRAMES, 2)


def test_a_bar_moves_without_layout(server: Server, page: Page) -> None:
    """While a bar moves to where it belongs, nothing is laid out anew but the number beside it."""
    show_element(page, server, seconds=0, fail_at=10)
    expect(part(page, "percent")).to_have_text("10 %")
    page.evaluate(FRAMES, 30)
    before = layouts(page)
    page.evaluate(MOVE, 90)
    page.evaluate(FRAMES, 30)
    assert part(page, "fill").evaluate("fill => fill.offsetWidth * 0.9") == pytest.approx(
        part(page, "fill").evaluate("fill => fill.getBoundingClientRect().width"), abs=1
    )
    assert layouts(page) - before <= 3


def test_nothing_is_written_again(server: Server, page: Page) -> None:
    """A snapshot that looks like the one before changes nothing in the element."""
    show_element(page, server, seconds=0, fail_at=10)
    expect(part(page, "percent")).to_have_text("10 %")
    page.evaluate(FRAMES, 5)
    written = page.evaluate(
        """async () => {
            const element = document.querySelector("task-progress");
            const records = [];
            const everything = { subtree: true, childList: true, attributes: true, characterData: true };
            const observer = new MutationObserver((each) => records.push(...each));
            observer.observe(element.shadowRoot, everything);
            for (let time = 0; time < 10; time++) element.snapshot = { ...element.snapshot };
            await new Promise(requestAnimationFrame);
            return records.map(({ target, attributeName }) => `${target.className} ${attributeName}`);
        }"""
    )
    assert written == []


def test_cards_out_of_sight_are_not_rendered(server: Server, page: Page) -> None:
    """Of many elements those in sight are rendered, the others when one scrolls there; all can be found."""
    ids = [start_task(server, name=f"Task {number}", seconds=60) for number in range(40)]
    open_host_page(page, server, "".join(map(tag, ids)))
    expect(page.locator("task-progress[status=PROGRESS]")).to_have_count(40)
    is_rendered = "each => each.checkVisibility({ contentVisibilityAuto: true })"
    first, last = (part(page, "name").nth(index) for index in (0, 39))
    assert first.evaluate(is_rendered)
    assert not last.evaluate(is_rendered)
    expect(last).to_have_text("Task 39")
    expect(page.get_by_role("group", name="Task 39")).to_have_count(1)
    assert part(page, "announcement").nth(39).evaluate(is_rendered)
    heights = part(page, "card").evaluate_all("each => each.map((card) => card.offsetHeight)")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.evaluate(FRAMES, 5)
    assert last.evaluate(is_rendered)
    assert heights[-1] == last.evaluate("name => name.closest('[part=card]').offsetHeight")


@pytest.mark.slow
def test_a_thousand_elements(page: Page) -> None:
    """They share one stream, and those with output two more, so a click on Cancel finds a connection."""
    with Server("--work-threads", "1") as server:
        ids = [start_task(server, seconds=3600, steps=10) for _ in range(1000)]
        tags = [tag(task_id, "output" if number < 5 else "") for number, task_id in enumerate(ids)]
        open_host_page(page, server, "".join(tags))
        expect(page.locator("task-progress[status=STARTED]")).to_have_count(1000)
        until_streams(page, 3)
        for number in (0, 4, 999):  # with a stream, without one, among many
            page.locator("task-progress").nth(number).get_by_role("button").click()
        expect(page.locator("task-progress[status=REVOKED]")).to_have_count(3)


def test_output_is_laid_out_once_a_frame(server: Server, page: Page) -> None:
    """However many pieces come between two frames, they are laid out together."""
    open_host_page(page, server, "<pre></pre>")
    page.evaluate(SPEAK)
    before = layouts(page)
    say(page, 0, 3000)
    assert layouts(page) - before <= 4
    assert page.evaluate("log.innerText.trim().split('\\n').length") == 3000
    assert page.evaluate("log.textContent === log.innerText")


@pytest.mark.parametrize("lines", ["a\n", "\n", "a\n\n\n", "aaaaaaaaaa\n\n", "a" * 5000 + "\n\n"])
def test_blocks_of_output_are_not_seen(server: Server, page: Page, lines: str) -> None:
    """Output has as many lines as it would have in one block, also the empty ones, and copies as it is."""
    open_host_page(page, server, "<pre></pre><pre></pre>")
    text = lines * (20_000 // len(lines))
    page.evaluate(SPEAK)
    page.evaluate("text => { for (const each of text) transcript.append(each); }", text)
    page.evaluate("text => { document.querySelectorAll('pre')[1].textContent = text; }", text)
    page.evaluate(FRAMES, 2)
    blocks, whole = page.locator("pre").evaluate_all(
        "each => each.map((pre) => [pre.scrollHeight, pre.innerText, pre.textContent])"
    )
    assert blocks == whole


def test_who_turns_the_wheel_back_reads_on(server: Server, page: Page) -> None:
    """A few pixels up are enough to stop following, however fast lines come; the end is followed again."""
    open_host_page(page, server, "<pre></pre>")
    page.evaluate(SPEAK)
    say(page, 0, 100)
    position = page.evaluate("log.scrollTop -= 12")
    page.evaluate(FRAMES, 2)
    say(page, 100, 200)
    assert page.evaluate("log.scrollTop") == position
    page.evaluate("log.scrollTop = log.scrollHeight")
    page.evaluate(FRAMES, 2)
    say(page, 200, 300)
    assert page.evaluate("log.scrollHeight - log.scrollTop - log.clientHeight") < 2
