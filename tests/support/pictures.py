"""Take the pictures of README and docs: the page, and the page of the lessons, as a browser shows them.

python -m tests.support.pictures
python -m tests.support.pictures another/folder
"""

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.support.browser import ARGUMENTS, card, executable, expect_status, start_task, submit
from tests.support.examples import Lessons
from tests.support.programs import ROOT, Server

FOLDER = ROOT / "docs"


def show_page(page: Page, server: Server) -> None:
    """Show tasks in different states, and the bytes of one stream, which has been cut."""
    page.goto(f"{server.url}/#{start_task(server, name='Backup', seconds=1, fail_at=40)}")
    expect_status(page, "Backup", "FAILURE")
    submit(page, name="Thumbnails", seconds=20)
    expect(card(page, "Thumbnails").locator(".percent")).to_have_text("10 %")
    card(page, "Thumbnails").get_by_role("button", name="Cancel").click()
    submit(page, work="scraping", name="Quotes to scrape", seconds=1, steps=8)
    expect_status(page, "Quotes to scrape", "SUCCESS")
    submit(page, work="simulated", name="Monthly report", seconds=60, steps=25)
    card(page, "Monthly report").get_by_role("button", name="On the wire").click()
    expect(page.locator("#wire-bytes")).to_contain_text("id: 3")
    page.get_by_role("button", name="Cut the connection").click()
    expect(page.locator("#wire-bytes")).to_contain_text("id: 5")
    page.get_by_label("Name").clear()
    page.get_by_label("Name").blur()
    page.evaluate("scrollTo(0, 0)")


def show_lesson(page: Page, server: Server) -> None:
    """Show a lesson that has been played."""
    page.goto(f"{server.url}/#stolen_events")
    expect(page.get_by_role("status")).to_contain_text("They part after")


PICTURES: dict[str, tuple[type[Server], tuple[int, int], Callable[[Page, Server], None]]] = {
    "page.png": (Server, (1200, 800), show_page),
    "lessons.png": (Lessons, (1280, 800), show_lesson),
}


def take_pictures(folder: Path) -> None:
    """Write the pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        for name, (program, (width, height), show) in PICTURES.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
            with program() as server:
                show(page, server)
                page.screenshot(path=folder / name)
            page.close()
        browser.close()


if __name__ == "__main__":
    take_pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
