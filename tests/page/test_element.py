"""`<task-progress>` in pages of other applications, under a strict policy."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.browser import note_requests, start_task, until_streams
from tests.support.host_page import open_host_page
from tests.support.programs import Server

StartServer = Callable[..., Server]

NUMBERS = [f"{number} " for number in range(60)]
NOTE_EVENTS = """
    window.seen = [];
    for (const type of ["progress", "end", "error"]) {
      document.addEventListener(type, ({ target, detail }) => {
        if (target.localName === "task-progress") seen.push([type, detail.status ?? detail.code]);
      }, { capture: true });
    }
"""


def tag(task_id: str, attributes: str = "") -> str:
    """An element that shows this task."""
    return f'<task-progress src="/tasks/{task_id}" {attributes}></task-progress>'


def part(page: Page, name: str) -> Locator:
    """A part of an element."""
    return page.locator(f"task-progress [part={name}]")


def show_element(
    page: Page, server: Server, attributes: str = "", script: str = "", **task: object
) -> None:
    """Open a page with an element that shows a new task."""
    open_host_page(page, server, tag(start_task(server, **task), attributes), script)


def test_a_task_from_its_start_to_its_end(server: Server, page: Page) -> None:
    """The element shows name, state, bar, message, time and result, and tells the page of each snapshot."""
    open_host_page(page, server, "<task-progress></task-progress>", NOTE_EVENTS)
    task_id = start_task(server, work="scraping", name="Quotes", seconds=1, steps=3)
    page.evaluate("id => document.querySelector('task-progress').src = `/tasks/${id}`", task_id)
    expect(part(page, "name")).to_have_text("Quotes")
    expect(part(page, "badge")).to_have_text("Done")
    expect(part(page, "percent")).to_have_text("100 %")
    expect(part(page, "message")).to_have_text("")  # which would be "Done" again
    expect(part(page, "time")).to_have_text("took 1 s")
    expect(part(page, "result")).to_have_text('{"pages":3,"quotes":30}')
    expect(part(page, "cancel")).to_be_hidden()
    assert page.locator("task-progress").get_attribute("status") == "SUCCESS"
    seen = page.evaluate("seen")
    assert seen[-2:] == [["progress", "SUCCESS"], ["end", "SUCCESS"]]
    assert ["progress", "PROGRESS"] in seen
    assert page.evaluate("document.querySelector('task-progress').snapshot.progress") == 100


def test_elements_come_move_and_go(start_server: StartServer, page: Page) -> None:
    """An element works whenever it is inserted, keeps its connection when it moves, and lets go at last."""
    server = start_server()
    first, second = (start_task(server, name=name, seconds=60) for name in ("First", "Second"))
    open_host_page(page, server, f"<main>{tag(first)}</main><aside></aside>")
    expect(part(page, "badge")).to_have_text("Running")
    page.evaluate("html => document.querySelector('aside').innerHTML = html", tag(second))
    expect(page.locator("aside [part=name]")).to_have_text("Second")
    until_streams(page, 1)
    asked = note_requests(page, "progress?")
    page.evaluate("document.querySelector('aside').append(document.querySelector('main task-progress'))")
    expect(page.locator("aside [part=badge]")).to_have_text(["Running", "Running"])
    until_streams(page, 1)
    assert asked == []
    page.evaluate("""() => {
        window.gone = document.querySelector("task-progress");
        document.querySelector("aside").textContent = "";
    }""")
    until_streams(page, 0)
    page.evaluate("document.querySelector('main').append(gone)")
    until_streams(page, 1)
    expect(page.locator("main [part=name]")).to_have_text("Second")


def test_another_address_shows_another_task(server: Server, page: Page) -> None:
    """When `src` changes, nothing is left of the task before; without one, nothing is asked for.

    So it is with what a framework sets where it has nothing.
    """
    first, second = (start_task(server, work="scraping", name=name, seconds=0) for name in ("One", "Two"))
    open_host_page(page, server, tag(first))
    element = page.locator("task-progress")
    expect(part(page, "result")).to_be_visible()
    element.evaluate("(each, id) => each.src = `/tasks/${id}`", second)
    expect(part(page, "name")).to_have_text("Two")
    element.evaluate("each => each.setAttribute('src', '/tasks/none')")
    expect(part(page, "badge")).to_have_text("Not found")
    expect(part(page, "result")).to_be_hidden()
    asked = note_requests(page)
    for nothing in ("null", "undefined"):
        names = ["src", "headers", "snapshot", "output"]
        element.evaluate(f"(each, names) => names.forEach((name) => each[name] = {nothing})", names)
        expect(part(page, "message")).to_have_text("No task yet")
        expect(part(page, "cancel")).to_be_hidden()
        assert [element.get_attribute(name) for name in ("src", "output")] == [None, None]
        expect(element).to_have_js_property("src", "")
    assert asked == []
    element.evaluate("(each, id) => each.src = `/tasks/${id}`", first)
    expect(part(page, "badge")).to_have_text("Done")


def test_output_is_a_property(speaker: Server, page: Page) -> None:
    """`output = true` shows what the task says, `false` takes it away; the attribute is the same thing."""
    show_element(page, speaker, script=NOTE_EVENTS, work="speech", pieces=NUMBERS[:5])
    element = page.locator("task-progress")
    expect(part(page, "badge")).to_have_text("Done")
    element.evaluate("each => each.output = true")  # what was said is asked for now
    expect(page.get_by_role("log")).to_have_text("0 1 2 3 4 ")
    assert element.get_attribute("output") == ""
    assert [name for name, _ in page.evaluate("seen")].count("end") == 1
    element.evaluate("each => each.output = false")
    expect(page.get_by_role("log")).to_have_count(0)
    assert element.get_attribute("output") is None
    element.evaluate("each => each.setAttribute('output', '')")
    expect(element).to_have_js_property("output", value=True)


@pytest.mark.parametrize("status", [401, 404])
def test_what_is_known_outlives_the_output(server: Server, page: Page, status: int) -> None:
    """An ended task whose output can't be had any more stays what it is: only the problem is said."""
    show_element(page, server, script=NOTE_EVENTS, work="scraping", seconds=0)
    expect(part(page, "badge")).to_have_text("Done")
    page.route("**/stream", lambda route: route.fulfill(status=status, json={"detail": "Nobody knows."}))
    element = page.locator("task-progress")
    element.evaluate("each => each.output = true")
    expect(part(page, "problem").first).to_have_text(re.compile("Nobody knows|sign in again"))
    expect(part(page, "badge")).to_have_text("Done")
    expect(part(page, "result")).to_be_visible()
    expect(part(page, "time")).to_contain_text("took")
    assert page.evaluate("seen.at(-1)") == ["end", "SUCCESS"]
    element.evaluate("each => each.output = false")
    expect(part(page, "problem").first).to_have_text("")


@pytest.mark.parametrize(
    ("src", "words"),
    [
        ("/tasks/none", "Task 'none' not found: it has never existed"),
        ("/nonsense", "The server does not know this task"),
        ("http://[", "Expected the address of a task"),
        ("mailto:nobody@example.com", "Expected the address of a task"),
    ],
)
def test_what_is_wrong_is_said(server: Server, page: Page, src: str, words: str) -> None:
    """A task that is not known, or an address that is no task's, is said to be so, and is an event."""
    open_host_page(page, server, "<main></main>", NOTE_EVENTS)
    page.evaluate("src => document.querySelector('main').innerHTML = `<task-progress src=${src}>`", src)
    expect(part(page, "message")).to_contain_text(words)
    expect(part(page, "cancel")).to_be_hidden()
    assert page.evaluate("seen.length") == 1


def test_cancel_by_keyboard(server: Server, page: Page) -> None:
    """Tab and Enter cancel a task; the focus stays in its element; the end is announced, no step is."""
    show_element(page, server, name="Long", seconds=60, steps=1000)
    expect(part(page, "percent")).to_have_text(re.compile(r"^[1-9]\d? %$"))
    expect(part(page, "announcement")).to_have_text("")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Cancel: Long")).to_be_focused()
    page.keyboard.press("Enter")
    expect(part(page, "badge")).to_have_text("Cancelled")
    expect(page.get_by_role("group", name="Long")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("Long: Cancelled")


def test_why_a_task_can_not_be_cancelled(server: Server, page: Page) -> None:
    """When the server refuses to cancel a task, the element says why, and offers it again."""
    answer = {"status": 503, "json": {"detail": "Redis is out of reach."}}
    page.route("**/cancel", lambda route: route.fulfill(**answer))
    show_element(page, server, name="Long", seconds=60)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_have_text("Redis is out of reach.")
    page.unroute("**/cancel")
    page.get_by_role("button", name="Cancel").click()
    expect(part(page, "badge")).to_have_text("Cancelled")
    expect(page.get_by_text("Redis")).to_have_count(0)


def test_what_comes_of_the_task_before(server: Server, page: Page) -> None:
    """When `src` changes, neither an answer to Cancel nor the end of the task before counts any more."""
    ids = [start_task(server, name=name, seconds=60) for name in ("First", "Second")]
    ended = start_task(server, name="Ended", seconds=0)
    held: list[Route] = []
    page.route(f"**/{ids[0]}/cancel", lambda route: held.append(route))  # noqa: PLW0108
    open_host_page(page, server, "<task-progress></task-progress>")
    element = page.locator("task-progress")
    element.evaluate("(each, src) => each.onprogress = () => (each.src = src)", f"/tasks/{ids[0]}")
    element.evaluate("(each, src) => each.src = src", f"/tasks/{ended}")
    expect(part(page, "name")).to_have_text("First")
    element.evaluate("each => { each.onprogress = null; window.asked = each.cancel(); }")
    part(page, "cancel").focus()
    element.evaluate("(each, src) => { each.src = null; each.src = src; }", f"/tasks/{ids[1]}")
    expect(part(page, "name")).to_have_text("Second")
    expect(page.get_by_role("button", name="Cancel: Second")).to_be_focused()
    held[0].fulfill(status=503, json={"detail": "The first can't be cancelled."})
    page.evaluate("asked")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Cancel").click()
    expect(part(page, "badge")).to_have_text("Cancelled")


def test_news_do_not_hide_that_cancel_has_failed(server: Server, page: Page) -> None:
    """That Cancel did not reach the server stays in sight while the stream, never cut, goes on telling."""
    page.route("**/cancel", lambda route: route.abort())
    show_element(page, server, seconds=20, steps=1000)
    expect(part(page, "badge")).to_have_text("Running")
    problem = page.locator("task-progress").evaluate("""async (each) => {
        await each.cancel();
        for (let count = 0; count < 5; count++) {
            await new Promise((resolve) => each.addEventListener("progress", resolve, { once: true }));
        }
        return each.shadowRoot.querySelector("[role=alert]").textContent;
    }""")
    assert problem == "The server can’t be reached."


def test_in_another_document(server: Server, page: Page) -> None:
    """Moved into a frame, and back, an element keeps its looks; one that begins there has them, too."""
    open_host_page(page, server, f"{tag(start_task(server, seconds=0))}<iframe></iframe>")
    expect(part(page, "badge")).to_have_text("Done")
    displays = page.evaluate("""() => {
        const first = document.querySelector("task-progress");
        const { body } = document.querySelector("iframe").contentDocument;
        const second = document.createElement("task-progress");
        return [[first, body], [first, document.body], [second, body]].map(([each, place]) => {
            place.append(each);
            const card = each.shadowRoot.querySelector("[part=card]");
            return place.ownerDocument.defaultView.getComputedStyle(card).display;
        });
    }""")
    assert displays == ["grid"] * 3


def test_the_keyboard_reaches_what_scrolls(server: Server, page: Page) -> None:
    """A result that is higher than its box can be focused, to be scrolled; Tab passes a short one by."""
    open_host_page(page, server, "<task-progress></task-progress><task-progress></task-progress>")
    for number, data in enumerate(("short", "long\n" * 30)):
        snapshot = {"status": "SUCCESS", "data": data}
        page.locator("task-progress").nth(number).evaluate("(each, it) => each.snapshot = it", snapshot)
    short, long = part(page, "result").all()
    expect(long).to_have_attribute("tabindex", "0")
    expect(long).to_have_accessible_name("Result")
    expect(short).not_to_have_attribute("tabindex", re.compile(""))


def test_the_bar_grows_in_the_direction_of_the_script(server: Server, page: Page) -> None:
    """Where one reads from the right, the bar begins there."""
    task_id = start_task(server, seconds=0, fail_at=50)
    open_host_page(page, server, f"{tag(task_id)}<div dir='rtl'>{tag(task_id)}</div>")
    expect(part(page, "percent")).to_have_text(["50 %", "50 %"])
    for index, side in enumerate(("left", "right")):
        bar, fill = (part(page, name).nth(index) for name in ("bar", "fill"))
        edge = f"each => each.getBoundingClientRect().{side}"
        expect(fill).to_have_js_property("style.length", 1)
        assert bar.evaluate(edge) == fill.evaluate(edge)


def test_colours_motion_and_themes(server: Server, page: Page) -> None:
    """An element follows the page's colours, the wish for less motion, and the page's style sheet."""
    show_element(page, server, seconds=0)
    expect(part(page, "badge")).to_have_text("Done")

    def style(name: str, property_: str) -> str:
        value: str = part(page, name).evaluate(f"each => getComputedStyle(each)['{property_}']")
        return value

    light = style("card", "backgroundColor")
    page.evaluate("document.documentElement.style.colorScheme = 'dark'")
    assert style("card", "backgroundColor") != light
    assert style("fill", "transitionDuration") != "0s"
    page.emulate_media(reduced_motion="reduce")
    assert style("fill", "transitionDuration") == "0s"
    page.evaluate("""() => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(`task-progress { --task-progress-success: rgb(1, 2, 3); }
            task-progress::part(badge) { color: rgb(4, 5, 6); }`);
        document.adoptedStyleSheets.push(sheet);
    }""")
    assert style("fill", "backgroundColor") == "rgb(1, 2, 3)"
    assert style("badge", "color") == "rgb(4, 5, 6)"


def test_properties_set_before_the_element_is_defined(server: Server, page: Page) -> None:
    """What a script sets on an element that is not defined yet counts when it is."""
    task_id = start_task(server, seconds=0)
    tokens = note_requests(page, task_id, "token")
    set_headers = "document.querySelector('task-progress').headers = { Token: 'early' };"
    page.add_init_script(
        f"document.addEventListener('readystatechange', () => {{ {set_headers} }}, {{ once: true }})"
    )
    open_host_page(page, server, tag(task_id))
    expect(part(page, "badge")).to_have_text("Done")
    assert tokens == ["early"]


def test_nothing_moves_when_it_is_there(server: Server, page: Page) -> None:
    """An element has its height at once: what is below it doesn't jump when the first snapshot comes.

    To a screen reader it has a progress bar, with a value and the task's name as soon as they are known.
    """
    held: list[Route] = []
    page.route("**/task-progress?**", lambda route: held.append(route))  # noqa: PLW0108
    show_element(page, server, name="Long", seconds=60, steps=1000)
    expect(part(page, "message")).to_have_text("Waiting for the server")
    before = page.locator("task-progress").bounding_box()
    assert page.get_by_role("progressbar", name="Task").get_attribute("aria-valuenow") is None
    held[0].continue_()
    expect(page.get_by_role("progressbar", name="Long")).to_have_attribute(
        "aria-valuenow", re.compile(r"\d")
    )
    assert page.locator("task-progress").bounding_box() == before


def test_no_output_has_no_box(speaker: Server, page: Page) -> None:
    """Until there is output there is no empty box for it, as after a 401."""
    page.route("**/stream", lambda route: route.fulfill(status=401))
    show_element(page, speaker, attributes="output", work="speech", pieces=NUMBERS)
    expect(part(page, "message")).to_contain_text("sign in again")
    expect(part(page, "output")).to_be_hidden()


def test_output_is_shown_once(speaker: Server, page: Page) -> None:
    """An element that is taken out and put back, or gets other headers, shows all output, and that once."""
    show_element(page, speaker, attributes="output", work="speech", pieces=NUMBERS, seconds=0.05)
    expect(page.get_by_role("log")).to_contain_text("3 4 5")
    page.evaluate("""async () => {
        const element = document.querySelector("task-progress");
        element.remove();
        await new Promise((resolve) => setTimeout(resolve));
        document.body.append(element);
    }""")
    expect(page.get_by_role("log")).to_contain_text("13 14 15")
    page.evaluate("document.querySelector('task-progress').headers = { Token: 'new' }")
    expect(part(page, "badge")).to_have_text("Done")
    expect(page.get_by_role("log")).to_have_text("".join(NUMBERS))


@pytest.mark.slow
def test_nothing_is_left_of_a_thousand(start_server: StartServer, page: Page) -> None:
    """When a thousand elements have come and gone, the browser has neither their nodes nor their memory."""
    server = start_server()
    ids = [start_task(server, name="Long", seconds=600) for _ in range(100)]
    open_host_page(page, server, "<main></main>")
    devtools = page.context.new_cdp_session(page)

    def round_of_a_hundred() -> tuple[int, int]:
        page.evaluate("html => document.querySelector('main').innerHTML = html", "".join(map(tag, ids)))
        expect(page.locator("task-progress[status=PROGRESS], task-progress[status=STARTED]")).to_have_count(
            100
        )
        page.evaluate("document.querySelector('main').textContent = ''")
        until_streams(page, 0)
        devtools.send("HeapProfiler.collectGarbage")
        nodes = devtools.send("Memory.getDOMCounters")["nodes"]
        return nodes, devtools.send("Runtime.getHeapUsage")["usedSize"]

    before = [round_of_a_hundred() for _ in range(3)][-1]
    after = [round_of_a_hundred() for _ in range(10)][-1]
    assert after[0] <= before[0] + 100
    assert after[1] < before[1] + 300_000


def test_what_is_counted(server: Server, page: Page) -> None:
    """Steps in one another stand under the bar, which moves while nobody knows how far it is."""
    open_host_page(page, server, "<task-progress></task-progress>")
    show = """changes => document.querySelector("task-progress").snapshot = {
        task_id: "1", name: "Count", status: "PROGRESS", progress: 40, message: "Pages: 3 of 5", data: null,
        started_at: new Date().toISOString(), updated_at: new Date().toISOString(), ...changes,
    }"""
    files: dict[str, object] = {"label": "Files", "done": 1, "total": 4}
    model = {"label": "Model", "done": 3_100_000, "total": 12_000_000, "unit": "B"}
    page.evaluate(show, {"steps": [files, model]})
    expect(part(page, "steps")).to_have_text("Files 1/4 › Model 3.1/12 MB")
    height = page.locator("task-progress").bounding_box()
    expect(part(page, "bar")).to_have_attribute("aria-valuenow", "40")
    expect(part(page, "time")).to_contain_text("left")
    expect(part(page, "message")).to_have_text("Pages: 3 of 5")
    page.evaluate(show, {"steps": [files, {**model, "label": "Pages"}]})
    expect(part(page, "message")).to_have_text("")  # the path says it
    page.evaluate(show, {"steps": [{**files, "done": 1204, "total": None, "unit": "lines"}, model]})
    expect(part(page, "steps")).to_have_text("Files 1,204 lines › Model 3.1/12 MB")
    expect(part(page, "time")).not_to_contain_text("left")  # the percentage stands still meanwhile
    expect(part(page, "percent")).to_have_text("")
    assert page.locator("task-progress").bounding_box() == height
    assert part(page, "bar").get_attribute("aria-valuenow") is None
    moving = "document.querySelector('task-progress').shadowRoot.getAnimations().length"
    page.wait_for_function(f"{moving} > 0")
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function(f"{moving} === 0")
    page.evaluate(show, {"steps": [files, model], "status": "REVOKED"})
    expect(part(page, "steps")).to_have_text("Files 1/4 › Model 3.1/12 MB")  # where it stopped
    page.evaluate("document.querySelector('task-progress').snapshot = null")
    page.evaluate(show, {"steps": [], "status": "SUCCESS", "progress": 100})
    expect(part(page, "steps")).to_be_hidden()
    expect(part(page, "percent")).to_have_text("100 %")
    page.evaluate("document.querySelector('task-progress').snapshot = null")
    page.evaluate(show, {"status": "STARTED", "progress": 0})  # of a server that knows no steps
    assert part(page, "bar").get_attribute("aria-valuenow") is None
