"""Every example of docs/browser.md, as it stands there."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import note_requests, start_task
from tests.support.node import STATIC, bundle
from tests.support.programs import ROOT, Server

pytestmark = pytest.mark.slow

GUIDE = (ROOT / "docs" / "browser.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
RESULT = 'task-progress[status="SUCCESS"]'


def example(language: str, words: str) -> str:
    """The one example in this language with these words in it."""
    (text,) = [text for each, text in EXAMPLES if each == language and words in text]
    return str(text)


class Shop(Server):
    """The application of the guide, as `uvicorn shop:app` serves it."""

    program = ("-m", "uvicorn", "shop:app")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The application of the guide."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(example("python", "countdown"), encoding="utf-8")
    (folder / "form.html").write_text(example("html", "<form"), encoding="utf-8")
    shop_here = type("ShopHere", (Shop,), {"folder": folder})
    with shop_here(PYTHONPATH=str(ROOT)) as server:
        yield server


@pytest.fixture
def open_page(shop: Shop, page: Page) -> Callable[..., None]:
    """Open a page of the shop's origin with this text."""

    def open_(html: str, fragment: str = "") -> None:
        page.route(f"{shop.url}/example", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto(f"{shop.url}/example#{fragment}")

    return open_


def start(shop: Shop) -> str:
    """Start a countdown; its id."""
    return start_task(SimpleNamespace(url=f"{shop.url}/jobs"), start=5)


def test_every_example_is_run() -> None:
    """There is no example in the guide but those that are run below."""
    languages = [language for language, _ in EXAMPLES]
    assert sorted(languages) == ["css", "html", "html", "html", "html", "js", "js", "jsx", "python"]


def test_a_form(shop: Shop, page: Page) -> None:
    """A form without a script is answered by a page that shows the task to its end."""
    page.goto(shop.url)
    page.get_by_role("button", name="Start").click()
    expect(page.locator(RESULT)).to_be_visible()


@pytest.mark.parametrize("package", ["htmx2", "htmx4"])
def test_htmx(open_page: Callable[..., None], page: Page, node_modules: Path, package: str) -> None:
    """With htmx the element comes into the page, and its end loads something else."""
    htmx = (node_modules / package / "dist" / "htmx.js").read_text(encoding="utf-8")
    page.route(
        "https://unpkg.com/**", lambda route: route.fulfill(body=htmx, content_type="text/javascript")
    )
    open_page(example("html", "hx-post"))
    page.get_by_role("button", name="Start").click()
    expect(page.locator(f"#task {RESULT}")).to_be_visible()
    expect(page.locator("p", has_text='"status":"ok"')).to_be_visible()


def test_the_element_and_its_looks(shop: Shop, open_page: Callable[..., None], page: Page) -> None:
    """Two lines show a task; a style sheet gives it other looks."""
    html, css = example("html", '<task-progress src="/jobs/tasks/3f2a'), example("css", "accent")
    open_page(f"<!doctype html><style>{css}</style>" + html.replace("3f2a…", start(shop)))
    expect(page.locator(RESULT)).to_be_visible()
    expect(page.locator("[part=fill]")).to_have_css("background-color", "rgb(46, 139, 87)")
    expect(page.locator("[part=bar]")).to_have_css("height", "16px")
    expect(page.locator("[part=time]")).to_be_hidden()
    names = set(re.findall(r"`(\w+)`", GUIDE.partition("Parts: ")[2].partition("Slots:")[0]))
    shown = page.locator("[part]").evaluate_all("each => each.map((part) => part.getAttribute('part'))")
    assert names == set(shown)
    styles = (STATIC / "element" / "styles.js").read_text(encoding="utf-8")
    assert set(re.findall(r"--task-progress-\w+", css)) == set(re.findall(r"--task-progress-\w+", styles))


def test_an_end_from_before(shop: Shop, open_page: Callable[..., None], page: Page) -> None:
    """An element tells of an end that came before its page, so no example loads the page again on it."""
    task_id = start(shop)
    with urlopen(f"{shop.url}/jobs/tasks/{task_id}/stream") as stream:
        stream.read()
    note = "<script>addEventListener('end', ({ detail }) => (document.title = detail.status))</script>"
    element = example("html", '<task-progress src="/jobs/tasks/3f2a').replace("3f2a…", task_id)
    open_page(f"<!doctype html>{note}{element}")
    expect(page).to_have_title("SUCCESS")
    assert "reload" not in GUIDE


def test_the_element_with_headers(shop: Shop, open_page: Callable[..., None], page: Page) -> None:
    """The headers that the function gives are sent."""
    sent = note_requests(page, "task-progress?", "authorization")
    open_page(example("html", "getToken"), start(shop))
    expect(page.locator(RESULT)).to_be_visible()
    assert sent == ["Bearer the one that is stored"]


@pytest.mark.parametrize("words", ["new TaskSource", "new EventSource"])
def test_a_script(shop: Shop, open_page: Callable[..., None], page: Page, words: str) -> None:
    """A few lines show a task by a source, or by an EventSource."""
    script = example("js", words).replace("3f2a…", start(shop))
    open_page(f"<!doctype html><output></output><script type='module'>{script}</script>")
    expect(page.locator("output")).to_have_text("SUCCESS 100 % Done")


def test_react(
    shop: Shop, open_page: Callable[..., None], page: Page, node_modules: Path, tmp_path: Path
) -> None:
    """The component shows a task to its end, with the modules copied into the application."""
    (tmp_path / "taskstream").symlink_to(STATIC)
    (tmp_path / "countdown.jsx").write_text(example("jsx", "useTask"), encoding="utf-8")
    (tmp_path / "main.jsx").write_text(
        'import { createRoot } from "react-dom/client";\n'
        'import { Countdown } from "./countdown.jsx";\n'
        'const main = document.querySelector("main");\n'
        "createRoot(main).render(<Countdown url={`/jobs/tasks/${location.hash.slice(1)}`} />);\n",
        encoding="utf-8",
    )
    script = bundle(node_modules, tmp_path / "main.jsx")
    page.route("**/main.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
    open_page("<!doctype html><main></main><script type='module' src='/main.js'></script>", start(shop))
    expect(page.get_by_role("progressbar", name="countdown")).to_have_js_property("value", 100)
    expect(page.get_by_role("button")).to_have_count(0)


def test_where_the_modules_are() -> None:
    """The command that says where the modules are, says it."""
    command = re.search(r'`python -c\n?\s*"([^"]+)"`', GUIDE)
    assert command is not None
    done = subprocess.run(
        [sys.executable, "-c", command[1]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == STATIC
