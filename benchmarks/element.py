"""What it costs a page to show tasks: Chromium's main thread, and the frames that it draws meanwhile.

    python -m benchmarks.element
    python -m benchmarks.element --beside ../before/taskstream/browser --rounds 5

Five hundred elements whose tasks have ten events a second each, then one element that shows a thousand
lines a second, each for a minute: what the page keeps must not grow. `--beside` measures another checkout's
files in turn with ours. Needs Chromium; compare the ratios.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, CDPSession, Page, Route, sync_playwright

from benchmarks.emission import Emission
from benchmarks.report import machine, row
from benchmarks.servers import Figures, Peer, Server
from tests.support.browser import ARGUMENTS, executable
from tests.support.node import STATIC

SERVER = Peer("page", "page")
SETTLE_SECONDS = 4
COLUMNS = {
    "busy": "main thread %",
    "script": "script %",
    "style": "style %",
    "layout": "layout %",
    "frames": "frames / s",
    "heap_before": "heap MiB before",
    "heap_after": "and after",
    "nodes_before": "nodes before",
    "nodes_after": "and after",
}
COUNT_FRAMES = """
    window.frames_drawn = 0;
    (function count() {
        frames_drawn++;
        requestAnimationFrame(count);
    })();
"""


def snapshot(page: Page, devtools: CDPSession) -> Figures:
    """What the page has cost so far, and what it keeps."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    figures = {"frames": page.evaluate("frames_drawn"), "seconds": time.monotonic()}
    for _ in range(2):  # what is on the screen keeps its nodes
        page.evaluate("() => new Promise(requestAnimationFrame)")
        devtools.send("HeapProfiler.collectGarbage")
    figures["heap"] = devtools.send("Runtime.getHeapUsage")["usedSize"] / 2**20
    figures["nodes"] = devtools.send("Memory.getDOMCounters")["nodes"]
    return figures | {each["name"]: each["value"] for each in metrics}


def measure(page: Page, seconds: float) -> Figures:
    """The figures of a page that is open."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    time.sleep(SETTLE_SECONDS)
    before = snapshot(page, devtools)
    time.sleep(seconds)
    after = snapshot(page, devtools)
    grown = {key: after[key] - before[key] for key in after}
    elapsed = grown["seconds"]
    shares = {"busy": "Task", "script": "Script", "style": "RecalcStyle", "layout": "Layout"}
    return {key: 100 * grown[f"{name}Duration"] / elapsed for key, name in shares.items()} | {
        "frames": grown["frames"] / elapsed,
        **{f"{key}_before": before[key] for key in ("heap", "nodes")},
        **{f"{key}_after": after[key] for key in ("heap", "nodes")},
    }


@contextmanager
def opened(browser: Browser, server: Server, body: str, static: Path) -> Iterator[Page]:
    """A page with this body, which uses these files."""
    url = f"http://127.0.0.1:{server.port}"

    def answer(route: Route) -> None:
        route.fulfill(path=static / route.request.url.partition("/static/")[2])

    script = '<script type="module" src="/static/task-progress.js"></script>'
    html = f'<!doctype html><html lang="en"><title>Tasks</title>{script}<body>{body}'
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.add_init_script(COUNT_FRAMES)
    page.route("**/static/**", answer)
    page.route(f"{url}/tasks.html", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{url}/tasks.html")
    yield page
    page.close()


def elements(browser: Browser, static: Path, *, count: int, rate: float, seconds: float) -> Figures:
    """So many elements, each of a task with so many events a second."""
    emission = Emission(rate, int(rate * (seconds + 60)), 2)
    with Server(SERVER) as server:
        paths = [server.start_task(emission) for _ in range(count)]
        tags = [f'<task-progress src="{path.replace("-progress", "s")}"></task-progress>' for path in paths]
        with opened(browser, server, "".join(tags), static) as page:
            return measure(page, seconds)


def output(browser: Browser, static: Path, *, rate: float, seconds: float) -> Figures:
    """One element that shows so many lines a second."""
    emission = Emission(rate, int(rate * (seconds + 60)), 1, "lines")
    with Server(SERVER) as server:
        path = server.start_task(emission).replace("-progress", "s")
        with opened(
            browser, server, f'<task-progress src="{path}" output></task-progress>', static
        ) as page:
            return measure(page, seconds)


def main() -> None:
    """Measure in rounds, and print a table of medians."""
    assert __doc__
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="other files to measure in turn")
    parser.add_argument("--elements", type=int, default=500, help="500 unless told")
    parser.add_argument("--rate", type=float, default=10, help="events of each task per second (10)")
    parser.add_argument("--lines", type=float, default=1000, help="lines per second (1000)")
    parser.add_argument("--seconds", type=float, default=60, help="how long each is measured (60)")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    contestants = {"ours": STATIC} | ({str(options.beside): options.beside} if options.beside else {})
    loads: dict[str, Callable[..., Figures]] = {
        f"{options.elements} elements, {options.rate:g} events/s each": partial(
            elements, count=options.elements, rate=options.rate
        ),
        f"output, {options.lines:g} lines/s": partial(output, rate=options.lines),
    }
    results: dict[tuple[str, str], list[Figures]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        for _ in range(options.rounds):
            for title, load in loads.items():
                for name, static in contestants.items():
                    figures = load(browser, static, seconds=options.seconds)
                    results.setdefault((title, name), []).append(figures)
    print(row(["page", "files", *COLUMNS.values()]))
    print(row(["---"] * (2 + len(COLUMNS))))
    for (title, name), rounds in results.items():
        print(row([title, name, *(f"{median(each[key] for each in rounds):,.1f}" for key in COLUMNS)]))
    print("\n{date}, {machine}, {system}, Python {python}".format(**machine()))


if __name__ == "__main__":
    main()
