"""A text that comes token by token, in Chromium: whatever happens to the page, the text is the same."""

import random
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from examples.tokens import WORDS
from tests.support.examples import Example
from tests.support.programs import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Example("tokens") as server:
        yield server


def text_of(words: int, seed: int) -> str:
    """The text that comes of this seed."""
    draw = random.Random(seed)
    ends = [" ", " ", " ", ", ", ".\n", " – "]
    return "".join(draw.choice(WORDS) + draw.choice(ends) for _ in range(words))


def until_some(page: Page) -> None:
    """Return when a part of the text is there."""
    page.wait_for_function("document.getElementById('text').textContent.length > 20")


def text(page: Page) -> str | None:
    """The text on the page."""
    return page.locator("#text").text_content()


def test_a_reload_and_a_second_tab(server: Server, page: Page) -> None:
    """A page that is reloaded in the middle, and a tab that is opened then, end with the whole text."""
    page.goto(f"{server.url}/?words=100&seconds=0.02&seed=7")
    page.get_by_role("button", name="Write a text").click()
    until_some(page)
    page.reload()
    until_some(page)
    second = page.context.new_page()
    second.goto(server.url)
    for each in (page, second):
        expect(each.get_by_role("status")).to_have_text("100 words")
        assert text(each) == text_of(100, 7)
        expect(each.get_by_role("button", name="Stop")).to_be_disabled()


def test_stop(server: Server, page: Page) -> None:
    """The button stops the text itself; what has come stays."""
    page.goto(f"{server.url}/?words=5000&seconds=0.01&seed=9")
    page.get_by_role("button", name="Write a text").click()
    until_some(page)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_have_text("Cancelled")
    assert text_of(5000, 9).startswith(text(page) or "nothing")
