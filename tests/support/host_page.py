"""Pages of another application, which show tasks: HTML, and a script, under a strict policy."""

from playwright.sync_api import Page, Route

from taskstream.http.page import HEADERS
from tests.support.browser import HasAddress

POLICY = {"Content-Security-Policy": HEADERS["Content-Security-Policy"]}


def open_host_page(page: Page, server: HasAddress, body: str, script: str = "", prefix: str = "") -> None:
    """Open a page of the server's origin with this body; the element is defined, then the script runs."""
    html = f"""<!doctype html><html lang="en"><title>Host</title>
        <link rel="icon" href="{prefix}/static/icon.svg">
        <script type="module" src="{prefix}/static/task-progress.js"></script>
        <script type="module" src="/host.js"></script>
        <body>{body}</body></html>"""

    def answer(route: Route) -> None:
        route.fulfill(body=html, content_type="text/html", headers=POLICY)

    page.route(f"{server.url}/host", answer)
    page.route(
        f"{server.url}/host.js", lambda route: route.fulfill(body=script, content_type="text/javascript")
    )
    page.goto(f"{server.url}/host")
