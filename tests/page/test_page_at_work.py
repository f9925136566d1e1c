"""What the page does for who looks at it from afar, from a phone, or not at all."""

import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.browser import (
    card,
    expect_status,
    measure_shifts,
    note_requests,
    show_task,
    submit,
    turn_tab,
)
from tests.support.faults import BAD_GATEWAY, MUTE_AFTER_EVENT, Hold, gateway
from tests.support.programs import Server

CONNECTION = "#connection"
WIRE = "#wire-bytes"


UNTIL_BEYOND = """async (progress) => {
    const [id] = JSON.parse(localStorage.getItem(`task-ids ${location.pathname}`));
    while ((await (await fetch(`task-status/${id}`)).json()).progress <= progress);
}"""
"""What ends once the server says that the one task has come further than this percentage."""


def test_the_title_says_how_far_it_is(server: Server, page: Page) -> None:
    """The title begins with the percentage while a task runs; a hidden tab asks for it every 15 s."""
    page.clock.install()
    show_task(page, server, name="Long", seconds=60, steps=1000)
    expect(page).to_have_title(re.compile(r"^[1-9]\d? % – Task progress$"))
    turn_tab(page, hidden=True)
    expect(page.locator(CONNECTION)).to_have_text("Paused")
    title = page.title()
    asked = note_requests(page, "/tasks/")
    page.clock.run_for(14_000)
    assert asked == []
    assert page.title() == title
    beyond = int(title.partition(" ")[0]) + 2
    page.evaluate(UNTIL_BEYOND, beyond)
    page.clock.run_for(15_000)
    page.wait_for_function(
        "beyond => parseInt(document.title) > beyond", arg=beyond
    )  # the first may come sooner
    assert 1 <= len(asked) <= 2
    expect(page.locator(CONNECTION)).to_have_text("Paused")
    card(page, "Long").get_by_role("button", name="Cancel").click()
    expect(page).to_have_title("Task progress")


def test_an_id_can_be_copied(server: Server, context: BrowserContext, page: Page) -> None:
    """A button copies the id of a task; where a page may not, it shows the id, whole on a phone too."""
    page.set_viewport_size({"width": 375, "height": 740})
    task_id = show_task(page, server, name="Short", seconds=0)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy id: Short").click()
    expect(page.get_by_role("button", name="Copied: Short")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == task_id
    page.add_init_script("delete Navigator.prototype.clipboard")  # as over plain HTTP
    page.reload()
    page.get_by_role("button", name="Copy id: Short").click()
    expect(page.locator(".copy-id")).to_have_text(task_id)
    shown, needed = page.locator(".copy-id").evaluate("id => [id.clientWidth, id.scrollWidth]")
    assert shown == needed > 200


@pytest.mark.parametrize("width", [412, 1280])
def test_nothing_moves(server: Server, page: Page, width: int) -> None:
    """When the form arrives, and when the first task ends, with a result, all that is in sight stays."""
    page.set_viewport_size({"width": width, "height": 900})
    for body in ({"name": "Below", "seconds": 60}, {"work": "scraping", "name": "Ends", "seconds": 3}):
        show_task(page, server, **body)
        expect(card(page, str(body["name"]))).to_be_visible()
    shifts = measure_shifts(page)
    page.reload()
    expect_status(page, "Ends", "PROGRESS")
    expect_status(page, "Ends", "SUCCESS")
    expect(page.get_by_role("button", name="Clear ended")).to_be_visible()
    expect(page.get_by_role("button", name="Start task")).to_be_visible()
    assert shifts() <= 0.05


def test_live_is_told_from_mute(server: Server, page: Page) -> None:
    """A connection on which not even heartbeats arrive is not called live for longer than three of them."""
    with gateway(server, MUTE_AFTER_EVENT, BAD_GATEWAY) as proxy:
        page.clock.install()
        page.goto(proxy.url)
        submit(page, name="Long", seconds=60)
        expect(page.locator(CONNECTION)).to_have_text("Live")
        page.clock.run_for(40_000)  # and what the machine takes besides, which is time of the page too
        expect(page.locator(CONNECTION)).to_have_text("Live")
        page.clock.run_for(6_000)
        expect(page.locator(CONNECTION)).to_have_text(re.compile("Reconnecting…|Asking every 2 s"))


def test_a_proxy_that_buffers(server: Server, page: Page) -> None:
    """While no stream gets through, the page says that it asks, and asks; the task is seen to end."""
    with gateway(server, Hold()) as proxy:
        page.clock.install()
        page.goto(proxy.url)
        submit(page, name="Held back", seconds=60)
        expect_status(page, "Held back", "PENDING")
        page.clock.run_for(6_000)
        expect(page.locator(CONNECTION)).to_have_text("Asking every 2 s")
        expect(card(page, "Held back")).to_contain_text("No stream gets through")
        card(page, "Held back").get_by_role("button", name="Cancel").click()
        expect_status(page, "Held back", "REVOKED")


def test_the_documentation_is_linked_where_it_is(server: Server, every_field: Server, page: Page) -> None:
    """The page links to the interactive documentation of its application, under a prefix too."""
    page.goto(server.url)
    expect(page.get_by_role("link", name="API")).to_have_attribute("href", "docs")
    assert "Swagger" in page.request.get(f"{server.url}/docs").text()
    page.goto(f"{every_field.url}/inner/jobs/")
    expect(page.get_by_role("link", name="API")).to_have_attribute("href", "../../docs")
    page.goto(f"{every_field.url}/undocumented/")
    expect(page.get_by_label("Work", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="API")).to_be_hidden()


@pytest.mark.parametrize("number", [0, 3])
def test_a_phone_has_the_wire_under_its_card(speaker: Server, phone: Page, number: int) -> None:
    """On a phone the pane opens under its card, with all that happens in sight, and buttons are large."""
    for name in "ABCD":  # they have said all at once, so that nothing scrolls the note out of sight
        show_task(phone, speaker, work="speech", name=name, pieces=["a"], seconds=60)
        expect_status(phone, name, "STARTED")
    opened = phone.locator("li.card").nth(number)
    button = opened.get_by_role("button", name="On the wire")
    button.tap()
    expect(opened.locator("#wire")).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(phone.locator("li.marked")).to_have_count(1)
    expect(phone.locator("#wire-heading")).to_be_in_viewport(ratio=1)
    expect(phone.locator(WIRE)).to_contain_text("id: 3")
    phone.get_by_role("button", name="Cut the connection").tap()
    expect(phone.locator(".note")).to_be_in_viewport(ratio=1)
    expect(phone.locator("#wire-cut")).to_be_in_viewport(ratio=1)
    buttons = phone.locator("button:visible, input:visible, select:visible")
    heights = buttons.evaluate_all("each => each.map((button) => button.getBoundingClientRect().height)")
    assert len(heights) > 10
    assert min(heights) >= 44  # enough for a thumb
    opened.get_by_role("button", name="Close").tap()
    expect(phone.locator("li.marked")).to_have_count(0)
    expect(button).to_be_in_viewport()


@pytest.mark.slow
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing(
    speaker: Server, page: Page, node_modules: Path, colours: Literal["light", "dark"]
) -> None:
    """The page, with a task in each state, and output and wire open, has no fault that axe knows of."""
    page.emulate_media(color_scheme=colours, reduced_motion="reduce")
    page.goto(f"{speaker.url}/#{'0' * 32}")
    show_task(page, speaker, work="speech", name="Speaks", pieces=["a"])
    submit(page, name="Runs", seconds=60)
    expect(card(page, "Runs")).to_be_visible()
    submit(page, work="scraping", name="Done", seconds=0)
    expect_status(page, "Done", "SUCCESS")
    submit(page, name="Fails", seconds=0, fail_at="50")
    expect_status(page, "Fails", "FAILURE")
    submit(page, name="Stops", seconds=60, fail_at="")
    card(page, "Stops").get_by_role("button", name="Cancel").click()
    expect(page.locator(".badge")).to_have_text(
        ["Cancelled", "Failed", "Done", "Running", "Done", "Not found"]
    )
    card(page, "Done").get_by_role("button", name="On the wire").click()
    expect(page.locator(WIRE)).to_contain_text("204 No Content")
    card(page, "Speaks").get_by_role("button", name="Output").click()
    expect(page.get_by_role("log")).to_be_visible()
    page.evaluate((node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert "aria-progressbar-name" in [rule["id"] for rule in found["passes"]]
    assert [(rule["id"], [each["html"] for each in rule["nodes"]]) for rule in found["violations"]] == []


def test_json_breaks_between_fields(server: Server, page: Page) -> None:
    """On the wire a line of JSON that is too long is broken where a field begins, and nowhere else."""
    page.set_viewport_size({"width": 500, "height": 800})
    show_task(page, server, seconds=0)
    page.get_by_role("button", name="On the wire").click()
    expect(page.locator(WIRE)).to_contain_text("204")
    fields = page.locator(f"{WIRE} .unbroken")
    heights = fields.evaluate_all("each => each.map((field) => field.getClientRects()[0].height)")
    assert len(heights) > 20
    assert len(set(heights)) == 1


@pytest.mark.parametrize("retry", ["0", "-1", "soon"])
def test_a_server_can_not_have_the_wire_hurry(server: Server, page: Page, retry: str) -> None:
    """However soon a server wants to be asked again, the pane asks once a second for long at the most."""
    answer = {"body": f"retry: {retry}\n\n", "content_type": "text/event-stream"}
    page.route("**/task-progress/*", lambda route: route.fulfill(**answer))
    asked = note_requests(page, "/task-progress/")
    page.clock.install()
    show_task(page, server, seconds=0)
    page.get_by_role("button", name="On the wire").click()
    for _ in range(60):
        page.clock.run_for(500)
    assert 3 <= len(asked) <= 10
    expect(page.locator(WIRE)).not_to_contain_text("NaN")


def test_removing_a_card_closes_its_wire(server: Server, page: Page) -> None:
    """When the card whose stream is shown is removed, the pane closes, and can be opened for another."""
    page.goto(server.url)
    submit(page, name="First", seconds=0)
    expect_status(page, "First", "SUCCESS")
    submit(page, name="Second", seconds=0)
    page.set_viewport_size({"width": 390, "height": 844})
    card(page, "First").get_by_role("button", name="On the wire").click()
    expect(page.locator("#wire")).to_be_visible()
    card(page, "First").get_by_role("button", name="Remove").click()
    expect(page.locator("#wire")).to_be_hidden()
    card(page, "Second").get_by_role("button", name="On the wire").click()
    expect(page.locator("#wire bdi")).to_have_text("Second")
