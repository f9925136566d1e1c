"""Take the pictures of README and docs: the page, the element, the page of the lessons, and a terminal.

python -m tests.support.pictures
python -m tests.support.pictures another/folder
"""

import io
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright
from rich.console import Console
from rich.text import Text

from tests.support.browser import ARGUMENTS, card, executable, expect_status, start_task, submit
from tests.support.examples import Example, Lessons
from tests.support.host_page import open_host_page
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


def show_element(page: Page, server: Server) -> None:
    """Show one task that counts lines inside of files, and one that was cancelled."""
    tasks = [
        start_task(server, work="count_words", name=name, lines_per_second=200)
        for name in ("Words of the guides", "Words of last year")
    ]
    elements = [f'<task-progress src="/tasks/{task_id}"></task-progress>' for task_id in tasks]
    open_host_page(page, server, "".join(elements), "document.body.style.fontFamily = 'system-ui'")
    running, cancelled = page.locator("task-progress").all()
    expect(running).to_contain_text("Files 3/")
    cancelled.get_by_role("button", name="Cancel").click()
    expect(cancelled).to_have_attribute("status", "REVOKED")


def show_terminal(page: Page, server: Server) -> None:
    """Show three bars in a terminal of 80 columns."""
    command = "python multiple_task.py --count 3 --work scraping --seconds 4"
    tmux = ("tmux", "-L", "taskstream-pictures")
    client = f"{command.replace('python', sys.executable, 1)} --url {server.url}"
    session = ("-f/dev/null", "new", "-d", "-x80", "-y7", "-eTERM=xterm-256color", client)
    subprocess.run([*tmux, *session], check=True)
    screen = ""
    while "page 14 of 20" not in screen:
        screen = subprocess.check_output([*tmux, "capture-pane", "-e", "-p"], text=True)
    subprocess.run([*tmux, "kill-server"], check=True)
    console = Console(width=80, record=True, file=io.StringIO(), color_system="256")
    console.print(Text.from_ansi(screen.replace(server.url, "http://localhost:8000")))
    page.set_content(console.export_svg(title=command))


PICTURES: dict[str, tuple[Callable[[], Server], tuple[int, int], Callable[[Page, Server], None]]] = {
    "page.png": (Server, (1200, 800), show_page),
    "element.png": (partial(Example, "word_count"), (640, 380), show_element),
    "lessons.png": (Lessons, (1280, 800), show_lesson),
    "terminal.png": (Server, (1000, 260), show_terminal),
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
