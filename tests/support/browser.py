"""A real browser, headless, and the words to speak of the page in."""

import json
from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.request import Request as HttpRequest, urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, expect, sync_playwright

from tests.support.backends import require


class HasAddress(Protocol):
    """A server, or what stands in front of it."""

    url: str


ARGUMENTS = (
    "--no-sandbox",  # which a container's root would need
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

UNTIL_STREAMS = """async (count) => {
    const signal = AbortSignal.timeout(15_000);
    const health = async () => await (await fetch("health", { signal })).json();
    while ((await health()).streams !== count);
}"""

TURN_TAB = """(hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""

WORDS = {
    "PENDING": "Waiting",
    "STARTED": "Running",
    "PROGRESS": "Running",
    "SUCCESS": "Done",
    "FAILURE": "Failed",
    "REVOKED": "Cancelled",
    "FORGOTTEN": "Not found",
}
"""What people read for each status."""

expect.set_options(timeout=15_000)


def executable() -> str:
    """The path of Chromium."""
    return require("chromium", "chromium-browser", "google-chrome")


def launch() -> Iterator[Browser]:
    """Chromium; without one the tests are skipped, but not in CI."""
    path = executable()
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=ARGUMENTS) as browser,
    ):
        yield browser


def open_profile(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile with a tab that stays, for else each test would start a process anew."""
    with browser.new_context(viewport={"width": 1200, "height": 800}) as profile:
        profile.new_page()
        yield profile


# For a file, not for the session: while Playwright's loop runs, no other test can start its own.
browser = pytest.fixture(launch, scope="module", name="browser")
profile = pytest.fixture(open_profile, scope="module", name="profile")


@pytest.fixture
def context(profile: BrowserContext) -> Iterator[BrowserContext]:
    """A browser profile that is as good as new.

    No page in it may complain: no script error, no violation of the Content-Security-Policy, no dialog.
    """
    complaints: list[str] = []

    def listen(page: Page) -> None:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on(
            "console",
            lambda message: (
                # That an answer was no 200 is for the page to show, and for a test to expect.
                complaints.append(message.text)
                if message.type == "error" and not message.text.startswith("Failed to load resource")
                else None
            ),
        )

    profile.on("page", listen)
    yield profile
    profile.remove_listener("page", listen)
    first, *others = profile.pages
    for each in others:
        each.close()
    profile.clear_permissions()
    everything = {"origin": "*", "storageTypes": "all"}
    profile.new_cdp_session(first).send("Storage.clearDataForOrigin", everything)
    assert complaints == [], complaints


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A tab of that profile, still empty."""
    return context.new_page()


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A tab on a phone."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    yield context.new_page()
    context.close()


def start_task(server: HasAddress, **body: object) -> str:
    """Start a task as another program would; its id."""
    headers = {"Content-Type": "application/json"}
    with urlopen(HttpRequest(f"{server.url}/start-task", json.dumps(body).encode(), headers)) as response:
        task_id: str = json.load(response)["task_id"]
    return task_id


def show_task(page: Page, server: HasAddress, **body: object) -> str:
    """Start a task as another program would, and have the page show it; its id."""
    task_id = start_task(server, **body)
    page.goto(f"{server.url}/#{task_id}")
    return task_id


def note_requests(page: Page, part: str = "", header: str | None = None) -> list[str | None]:
    """The addresses with this in them for which the page asks from now on, or what it says in a header."""
    asked: list[str | None] = []

    def note(request: Request) -> None:
        if part in request.url:
            asked.append(request.headers.get(header) if header else request.url)

    page.on("request", note)
    return asked


def fill_form(page: Page, **fields: str | float) -> None:
    """Fill the form: the work, the name, and the parameters of the work."""
    if work := fields.pop("work", None):
        page.get_by_label("Work").select_option(str(work))
    for name, value in fields.items():
        label = name.replace("_", " ").capitalize()
        page.get_by_label(label, exact=True).fill(str(value))


def submit(page: Page, **fields: str | float) -> None:
    """Start a task by the form."""
    fill_form(page, **fields)
    page.get_by_role("button", name="Start task").click()


def card(page: Page, name: str) -> Locator:
    """The card of the task with this name."""
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.locator("#tasks").get_by_role("listitem").filter(has=heading)


def expect_status(page: Page, name: str, status: str) -> None:
    """Wait until the card of the task with this name shows this status, in a word for people."""
    expect(card(page, name).locator("task-progress")).to_have_attribute("status", status)
    expect(card(page, name).locator(".badge")).to_have_text(WORDS[status])


def progress(page: Page, name: str) -> float:
    """Where the bar of the task with this name stands."""
    return float(card(page, name).get_by_role("progressbar").get_attribute("aria-valuenow") or 0)


def measure_shifts(page: Page) -> Callable[[], float]:
    """How much has moved in sight, by the measure of browsers, since the page was opened after this."""
    page.add_init_script(
        """window.shifts = 0;
        const note = (list) => list.getEntries().forEach(({ value }) => (shifts += value));
        new PerformanceObserver(note).observe({ type: "layout-shift", buffered: true });"""
    )

    def shifts() -> float:
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return float(page.evaluate("shifts"))

    return shifts


def scrolls_sideways(page: Page) -> bool:
    """Whether something is wider than the window."""
    width = page.evaluate("document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth")
    return bool(width > 0)


def until_streams(page: Page, count: int) -> None:
    """Wait until the server of the page has so many streams open."""
    page.evaluate(UNTIL_STREAMS, count)


def turn_tab(page: Page, *, hidden: bool) -> None:
    """Tell a page that its tab is hidden, or isn't any more: a headless browser shows all of them."""
    page.evaluate(TURN_TAB, arg=hidden)
