"""The lessons that only a browser can show: their page in Chromium, if it is there."""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from examples.lessons.scenario import Play
from examples.lessons.timeline import Kind, Timeline

if TYPE_CHECKING:
    from playwright.async_api import Playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WATCH_SECONDS = 1.5
INSTALL_PLAYWRIGHT = f"This lesson needs Playwright: {sys.executable} -m pip install playwright"
INSTALL_CHROMIUM = (
    f"This lesson needs Chromium: {sys.executable} -m playwright install chromium "
    "(or, on Debian, apt-get install chromium)"
)


async def watch_page(playing: Play, path: str, timeline: Timeline) -> None:
    """Open the page of a lesson, press the button for one of the paths, and note what the page shows."""
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        raise SystemExit(INSTALL_PLAYWRIGHT) from None
    recorder = await playing.add_recorder("A")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable(playwright), args=["--no-sandbox"]
        )
        page = await browser.new_page()
        await page.goto(recorder.url)
        timeline.start()
        await page.get_by_role("button", name=path).click()
        await asyncio.sleep(WATCH_SECONDS)
        for line in (await page.get_by_role("log").inner_text()).splitlines():
            timeline.add("A", Kind.PAGE, line)
        await browser.close()


def executable(playwright: "Playwright") -> str:
    """The path of Chromium: the system's, or the one that Playwright has installed."""
    own = playwright.chromium.executable_path
    found = next(filter(None, map(shutil.which, CHROMIUM)), own)
    if not Path(found).exists():
        raise SystemExit(INSTALL_CHROMIUM)
    return found
