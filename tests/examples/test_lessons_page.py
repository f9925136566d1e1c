"""The page of the lessons, `python -m examples`, in a real browser."""

import sys
from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from examples.lessons.lesson import find, lessons
from examples.lessons.page import compare
from tests.support.browser import measure_shifts
from tests.support.examples import Lessons, children, exists
from tests.support.programs import Program, Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Lessons]:
    with Lessons() as server:
        yield server


def open_lesson(page: Page, server: Server, name: str) -> None:
    """Open the page at a lesson, and wait until it has been played."""
    page.goto(f"{server.url}/#{name}")
    expect(page.get_by_role("status")).to_contain_text("The servers run for another half minute")


def moments(page: Page, side: str, kind: str) -> Locator:
    """What has happened on one side, in the order in which it stands there."""
    return page.locator(f"#timeline .{side} .{kind} .text")


def texts(page: Page, side: str, kind: str) -> list[str]:
    """The same, by now."""
    return moments(page, side, kind).all_text_contents()


def test_side_by_side(server: Server, page: Page) -> None:
    """Both sides on one axis of time: requests, responses, bytes, events, the cut, and where they part."""
    open_lesson(page, server, "work_restarts")
    expect(page.get_by_role("heading", level=1)).to_have_text(find("work_restarts").title)
    for side in ("broken", "fixed"):
        assert texts(page, side, "request") == [f"GET /{side}", f"GET /{side}, Last-Event-ID: 3"]
        assert texts(page, side, "response") == ["200 text/event-stream"] * 2
        assert texts(page, side, "cut") == ["the connection is cut"]
        assert texts(page, side, "bytes")[0] == r"id: 1\r\ndata: run 1, step 1\r\n\r\n"
    assert texts(page, "broken", "event")[3:] == [
        f"run 2, step {step}  (id {step})" for step in range(1, 6)
    ]
    assert texts(page, "fixed", "event")[3:] == [f"run 1, step {step}  (id {step})" for step in (4, 5)]
    assert texts(page, "broken", "work") == ["run 1 starts", "run 2 starts"]
    times = [float(text) for text in page.locator("#timeline .time").all_text_contents()]
    assert times == sorted(times)
    before, after = page.locator(".part").evaluate(
        "part => [part.previousElementSibling, part.nextElementSibling].map((row) => row.textContent)"
    )
    assert "step 4" not in before
    assert "run 2, step" not in before
    assert "run 2, step 1" in after or "run 1, step 4" in after


def test_code(server: Server, page: Page) -> None:
    """The two pieces of code stand side by side, the lines that differ are marked."""
    open_lesson(page, server, "hanging_bridge")
    differing = page.locator("#code-broken .differs")
    assert any("while thread.is_alive()" in line for line in differing.all_text_contents())
    assert not any("def blocking_work" in line for line in differing.all_text_contents())
    for term in ("Symptom", "Cause", "Cure"):
        expect(page.locator("dt", has_text=term)).to_be_visible()
    expect(page.get_by_text("The same in a terminal")).to_contain_text(
        f"{sys.executable} examples/traps/hanging_bridge.py"
    )
    expect(page.get_by_text("To practise it")).to_contain_text(
        f"{sys.executable} -m examples --exercise hang"
    )
    assert page.locator("#code-broken span").count() == page.locator("#code-fixed span").count()


def test_compare() -> None:
    """Equal lines are in the same row and not marked; a line that one side lacks is `None`."""
    assert compare("a\nb\nc\n", "a\nc\nd\n") == [
        {"broken": "a", "fixed": "a", "differs": False},
        {"broken": "b", "fixed": None, "differs": True},
        {"broken": "c", "fixed": "c", "differs": False},
        {"broken": None, "fixed": "d", "differs": True},
    ]


def test_buttons(server: Server, page: Page) -> None:
    """One can add a viewer, cut its connection, stop the servers, and play again; by keys as well."""
    open_lesson(page, server, "nobody_watches")
    page.get_by_role("button", name="Add a viewer").click()
    for side in ("broken", "fixed"):
        expect(moments(page, side, "request")).to_have_count(3)
    page.keyboard.press("c")
    for side in ("broken", "fixed"):
        expect(moments(page, side, "cut")).to_have_count(1)
        expect(moments(page, side, "request")).to_have_count(4)
    page.keyboard.press("s")
    for side in ("broken", "fixed"):
        expect(moments(page, side, "server").first).to_have_text("Ctrl-C")
        expect(moments(page, side, "server").last).to_have_text("the server has stopped")
    page.keyboard.press("p")
    expect(moments(page, "broken", "server")).to_have_count(0)
    expect(page.get_by_role("status")).to_contain_text("They part after")


def test_path(server: Server, page: Page) -> None:
    """All lessons are in the path, the chosen one is marked; keys lead on and back, as the browser does."""
    page.goto(server.url)
    names = [lesson.name for lesson in lessons()]
    links = page.get_by_role("navigation").get_by_role("link")
    expect(links).to_have_count(len(names))
    expect(page.locator("[aria-current]")).to_have_attribute("href", f"#{names[0]}")
    page.keyboard.press("n")
    expect(page.locator("[aria-current]")).to_have_attribute("href", f"#{names[1]}")
    page.keyboard.press("b")
    expect(page.locator("[aria-current]")).to_have_attribute("href", f"#{names[0]}")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(find(names[1]).title)
    links.nth(3).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(find(names[3]).title)


def test_page_lesson(server: Server, page: Page) -> None:
    """A lesson that is about pages shows both pages, as this browser runs them, and what it has sent."""
    open_lesson(page, server, "event_named_error")
    broken, fixed = (page.frame_locator(f"iframe[title='The {side} page']") for side in ("broken", "fixed"))
    expect(broken.get_by_role("log")).to_contain_text("The connection is lost!")
    expect(fixed.get_by_role("log")).to_contain_text("two of three files imported")
    assert "error: two.csv is not a CSV file" in texts(page, "broken", "event")


def test_phone(server: Server, page: Page) -> None:
    """At the width of a phone nothing is cut off, in light and dark; the path folds up."""
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="light")
    shifts = measure_shifts(page)
    open_lesson(page, server, "retry_storm")
    assert shifts() <= 0.05
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    expect(page.get_by_role("link", name=find("retry_storm").title)).to_be_hidden()
    page.get_by_text("Lessons", exact=True).click()
    expect(page.get_by_role("link", name=find("retry_storm").title)).to_be_visible()
    ground = page.locator("html")
    expect(ground).to_have_css("background-color", "rgb(255, 255, 255)")
    page.emulate_media(color_scheme="dark")
    expect(ground).not_to_have_css("background-color", "rgb(255, 255, 255)")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_leaving_stops_the_servers(server: Lessons, context: BrowserContext, page: Page) -> None:
    """No server of a lesson outlives the page that shows it, or a fourth run that is started."""
    for _ in range(4):
        open_lesson(context.new_page(), server, "newline_in_data")
    started = psutil.Process(server.process.pid).children()
    assert len(started) == 6
    for each in context.pages:
        if each is not page:
            each.goto("about:blank")
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


def test_stopping_stops_the_servers(page: Page) -> None:
    """Ctrl-C ends the page's server, and those of the lessons that it plays."""
    with Lessons() as server:
        open_lesson(page, server, "newline_in_data")
        started = children(server.process.pid)
        assert len(started) == 2
        server.stop()
    assert not any(map(exists, started))


def test_without_server(page: Page) -> None:
    """When the page's own server has been stopped, the page says so, whatever one does."""
    with Lessons() as server:
        open_lesson(page, server, "newline_in_data")
    gone = "The page's own server doesn't answer: is it stopped?"
    for key in ("c", "n", "p"):
        page.get_by_role("status").evaluate("status => status.textContent = ''")
        page.keyboard.press(key)
        expect(page.get_by_role("status")).to_have_text(gone)


def test_refused(server: Server, page: Page) -> None:
    """Pages of other sites can't start processes; what isn't there is a 404."""
    play, foreign = f"{server.url}/lessons/work_restarts/play", {"Sec-Fetch-Site": "cross-site"}
    assert page.request.post(play, headers=foreign).status == 403
    for path in ("lessons/nothing/play", "runs/nothing/cut", "runs/nothing/stop-server"):
        assert page.request.post(f"{server.url}/{path}").status == 404


def test_port_taken(server: Server) -> None:
    """A port that is taken ends the program with code 2 and one sentence."""
    with Program("-m", "examples", "--port", str(server.port)) as program:
        assert program.wait() == 2
    assert program.output == f"Port {server.port} is not free: choose another one with --port.\n"
