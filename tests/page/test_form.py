"""The form of the page, which is drawn from `GET /works`."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import card, expect_status, submit
from tests.support.programs import Server

DEFAULTS = {
    "whole": 10,
    "number": 0.5,
    "text": "as it is",
    "optional_text": None,
    "optional_number": 3,
    "size": "large",
    "colour": "red",
    "level": None,
    "on": True,
    "maybe": None,
    "day": None,
    "moment": None,
    "tags": ["a"],
    "box": None,
    "either": 3,
}


def result(page: Page, name: str) -> object:
    """What the task with this name has been given."""
    expect_status(page, name, "SUCCESS")
    return json.loads(card(page, name).locator(".result").inner_text())


def test_defaults_are_those_of_the_work(every_field: Server, page: Page) -> None:
    """Who fills in only what is required starts the work with the defaults of its signature."""
    page.goto(every_field.url)
    submit(page, name="Defaults", whole=10)
    assert result(page, "Defaults") == DEFAULTS


def test_only_what_was_changed_is_sent(every_field: Server, page: Page) -> None:
    """Defaults that no input can show reach the work as they are, and digits as they were typed."""
    page.goto(every_field.url)
    submit(page, work="hard_to_show", name="As it is")
    untouched = ["one\ntwo", "key", "9007199254740993", "0.1", "12:30:15.123456", "12:30:00+00:00"]
    assert result(page, "As it is") == [*untouched, "now", "x", "x", "LARGE", None, "c"]
    expect(page.get_by_label("Lines")).to_have_value("one\ntwo")
    expect(page.get_by_label("Zoned")).to_have_value("12:30:00Z")
    for hidden in ("Secret", "Serial"):
        expect(page.get_by_label(hidden)).to_have_value("")
    expect(page.get_by_label("Since")).to_have_value("now")
    for label, choice in {"Resolution": "1920,1080", "Mode": "—", "Kind": "—"}.items():
        expect(page.get_by_label(label).locator("option:checked")).to_have_text(choice)
    page.get_by_label("Note").press_sequentially("y")
    submit(page, name="Typed", lines="1\n2", serial="-09007199254740995", number="-.5", zoned="12:30:15Z")
    typed = ["1\n2", "key", "-9007199254740995", "-0.5", "12:30:15.123456", "12:30:15+00:00"]
    assert result(page, "Typed") == [*typed, "now", "x", "yx", "LARGE", None, "c"]


def test_every_kind_of_field(every_field: Server, page: Page) -> None:
    """Numbers, text, choices, booleans, dates, what is left out, and JSON for all else arrive as such."""
    page.goto(every_field.url)
    for label, choice in {"Size": "small", "Colour": "blue", "Level": "2", "Maybe": "no"}.items():
        page.get_by_label(label).select_option(label=choice)
    page.get_by_label("On", exact=True).uncheck()
    page.get_by_label("Optional number").fill("")
    submit(
        page,
        name="All",
        whole=50,
        number=0.25,
        optional_text="é",
        day="2026-01-31",
        moment="2026-01-31T12:30:15",
        tags='["x", "y"]',
        box='{"width": 7}',
        either='"text"',
    )
    assert result(page, "All") == DEFAULTS | {
        "whole": 50,
        "number": 0.25,
        "optional_text": "é",
        "optional_number": None,
        "size": "small",
        "colour": "blue",
        "level": 2,
        "on": False,
        "maybe": False,
        "day": "2026-01-31",
        "moment": page.evaluate("new Date('2026-01-31T12:30:15').toISOString()").replace(".000", ""),
        "tags": ["x", "y"],
        "box": {"width": 7},
        "either": "text",
    }


def test_bounds_and_descriptions_are_those_of_the_schema(every_field: Server, page: Page) -> None:
    """A field says what it is for, and the browser refuses what the work would."""
    page.goto(every_field.url)
    whole = page.get_by_label("Whole")
    expect(whole).to_have_accessible_description("a multiple of five")
    expect(page.get_by_label("Work")).to_have_accessible_description("Say what it was given.")
    for value, good in {"0": False, "51": False, "5": True, "": False}.items():
        whole.fill(value)
        assert whole.evaluate("field => field.checkValidity()") is good
    assert page.get_by_label("Number", exact=True).get_attribute("max") == "1"


def test_bounds_of_text(every_field: Server, page: Page) -> None:
    """Characters are counted as the server does, by which an emoji is one; too many are said to be."""
    page.goto(every_field.url)
    for label in ("Name", "Text"):
        page.get_by_label(label, exact=True).fill("")
        page.get_by_label(label, exact=True).press_sequentially("😀" * 20)
    submit(page, whole=5)
    assert result(page, "😀" * 20) == DEFAULTS | {"whole": 5, "text": "😀" * 20}
    for label, most in {"Text": 20, "Name": 100}.items():
        page.get_by_label(label, exact=True).fill("x" * (most + 1))
        page.get_by_role("button", name="Start task").click()
        expect(page.locator("#start-problem")).to_contain_text(f"{most} characters")
        page.get_by_label(label, exact=True).fill("")
    expect(page.locator("li.card")).to_have_count(1)


def test_what_is_optional_says_so(every_field: Server, page: Page) -> None:
    """A field is called optional where it may stay empty: not if it is required, or has a default."""
    page.goto(every_field.url)
    page.get_by_label("Work").select_option("greet")
    for label in ("Greeting", "Times", "Secret", "Pause", "Note"):
        placeholder = "optional" if label == "Note" else ""
        expect(page.get_by_label(label, exact=True)).to_have_js_property("placeholder", placeholder)


def test_what_is_not_json_is_said_to_be(every_field: Server, page: Page) -> None:
    """A field for JSON with something else in it is named, and nothing is started."""
    page.goto(every_field.url)
    submit(page, name="Never", whole=5, tags="a, b")
    expect(page.locator("#start-problem")).to_contain_text("tags: this is not JSON")
    expect(page.get_by_text("No tasks yet")).to_be_visible()
    page.get_by_label("Work").select_option("nothing")
    expect(page.locator("#start-problem")).to_have_text("")  # which has no such field


def test_the_fields_follow_the_work(server: Server, every_field: Server, page: Page) -> None:
    """The fields are those of the work that is chosen; what was typed stays if the next one has it too."""
    page.goto(every_field.url)
    submit(page, work="nothing", name="Empty")
    expect_status(page, "Empty", "SUCCESS")
    expect(page.get_by_label("Whole")).to_have_count(0)
    size = page.get_by_label("Size")
    page.get_by_label("Work").select_option("every_field")
    size.select_option(label="small")
    page.get_by_label("Work").select_option("greet")
    expect(size).to_have_value('"large"')  # as it is by default: there is no small one
    page.get_by_label("Work").select_option("every_field")
    expect(size).to_have_value('"small"')
    page.goto(server.url)
    page.get_by_label("Seconds").fill("0")
    page.get_by_label("Work").select_option("scraping")
    expect(page.get_by_label("Seconds")).to_have_value("0")
    expect(page.get_by_label("Steps")).to_have_value("20")


def test_works_that_come_late(server: Server, page: Page) -> None:
    """While the works can't be read the page says so, and asks again by itself."""
    page.route("**/works", lambda route: route.fulfill(status=502, content_type="text/html", body="Bad"))
    page.goto(server.url)
    expect(page.locator("#works-problem")).to_contain_text("The server answered 502")
    page.unroute("**/works")
    submit(page, name="Late", seconds=0)
    expect_status(page, "Late", "SUCCESS")
    expect(page.locator("#works-problem")).to_be_hidden()


@pytest.mark.parametrize(
    ("status", "kind", "body", "words"),
    [
        (200, "text/html", "<html>Who are you?", "The answer is not the server’s: is it time to sign in"),
        (422, "application/json", '{"detail": [{"field": "seconds"}]}', "The server answered 422"),
        (422, "application/json", '{"detail": []}', "The server answered 422"),
        (403, "application/json", '{"detail": "Not you."}', "Not you."),
    ],
)
def test_answers_of_others(
    server: Server, page: Page, status: int, kind: str, body: str, words: str
) -> None:
    """What a guard or a proxy answers to a start is told in a sentence for people."""
    page.route("**/start-task", lambda route: route.fulfill(status=status, content_type=kind, body=body))
    page.goto(server.url)
    submit(page, seconds=0)
    expect(page.locator("#start-problem")).to_contain_text(words)


def test_a_page_without_works(server: Server, page: Page) -> None:
    """Where requests may start nothing, the page has no form, and says why."""
    page.route("**/works", lambda route: route.fulfill(json=[]))
    page.goto(server.url)
    expect(page.get_by_text("There is no work that this page may start")).to_be_visible()
    expect(page.get_by_role("button", name="Start task")).to_be_hidden()
