"""Take the picture of docs/lessons.md: the page of the lessons, as a browser shows it.

python -m tests.support.lessons_picture
python -m tests.support.lessons_picture other.png
"""

import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.support.browser import ARGUMENTS, executable
from tests.support.programs import ROOT, Server

PICTURE = ROOT / "docs" / "lessons.png"
LESSON = "stolen_events"
SIZE = (1280, 800)


class Lessons(Server):
    """`python -m examples`."""

    program = ("-m", "examples")


def take_picture(path: Path) -> None:
    """Write the picture, once the lesson has been played."""
    width, height = SIZE
    with Lessons() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        page.goto(f"{server.url}/#{LESSON}")
        page.get_by_label("bytes").uncheck()
        expect(page.get_by_role("status")).to_contain_text("They part after")
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    take_picture(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
