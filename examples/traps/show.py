"""Show a trap: serve it on a free port, and print what its clients see, and when.

Each trap ends with a call of this. What there is to learn stands above that call.
"""

import asyncio
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import aiohttp

PATHS = ("/broken", "/fixed")
SILENCE_SECONDS = 1.5
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def show(
    trap: str,
    *,
    viewers: int = 1,
    cut_after: int = 0,
    connections: int = 1,
    beside: str | None = None,
    start_proxy: Callable[[int], Awaitable[asyncio.Server]] | None = None,
) -> None:
    """Watch both streams: by so many viewers, who are cut off after so many events, and connect so often.

    If need be, with a viewer of another stream beside them; or through a proxy.
    """

    async def watch(path: str) -> None:
        proxy = await start_proxy(port) if start_proxy else None
        base = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1] if proxy else port}"
        started = time.monotonic()

        async def view(path: str, name: str = "") -> None:
            async for what in sight(base + path, cut_after, connections):
                print(f"{time.monotonic() - started:5.1f} s  {name}{what}", flush=True)

        if beside:
            other = asyncio.create_task(view(beside, f"{beside:9}"))
            await view(path, f"{path:9}")
            other.cancel()
        else:
            names = [f"{name}  " for name in "ABCDEF"[:viewers]] if viewers > 1 else [""]
            await asyncio.gather(*(view(path, name) for name in names))

    with serving(trap) as (url, _):
        port = int(url.rpartition(":")[2])
        for path in PATHS:
            print(f"\nGET {path}", flush=True)
            asyncio.run(watch(path))


def show_stop(trap: str) -> None:
    """Stop the server while a stream is open."""
    for path in PATHS:
        print(f"\nGET {path}", flush=True)
        with serving(trap) as (url, process):
            asyncio.run(stop_while_open(url + path, process))


async def stop_while_open(url: str, process: subprocess.Popen[str]) -> None:
    """Send the signal of Ctrl-C after the first event, and wait, but not for ever."""
    async with aiohttp.request("GET", url) as response:
        await anext(events(response))
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        try:
            await asyncio.to_thread(process.wait, 3)
            print(f"{time.monotonic() - started:5.1f} s after Ctrl-C the server has stopped", flush=True)
        except subprocess.TimeoutExpired:
            print(f"{time.monotonic() - started:5.1f} s after Ctrl-C the server still runs", flush=True)


def show_page(trap: str) -> None:
    """Open the page of a trap in a browser, press its two buttons, and print what it says."""
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        executable = None
    if executable is None:
        raise SystemExit(f"This needs a browser: uvicorn {Path(trap).stem}:app, then http://localhost:8000")
    with serving(trap) as (url, _), sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"]).new_page()
        page.goto(url)
        for path in PATHS:
            page.get_by_role("button", name=path).click()
            page.wait_for_timeout(1000 * SILENCE_SECONDS)
            print(f"\n{path}\n{page.get_by_role('log').inner_text()}", flush=True)


@contextmanager
def serving(trap: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The server of this file: its address, and its process, which is killed in the end."""
    app, folder = f"{Path(trap).stem}:app", str(Path(trap).parent)
    command = [sys.executable, "-m", "uvicorn", app, "--app-dir", folder, "--port", "0", "--no-access-log"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8") as process:
        log = iter(process.stderr or ())
        url = next(found[1] for line in log if (found := re.search(r"running on (\S+)", line)))
        reader = Thread(target=print_errors, args=(log,))
        reader.start()
        try:
            yield url, process
        finally:
            process.kill()
            reader.join()


def print_errors(log: Iterable[str]) -> None:
    """Print what went wrong in the server, without the traceback."""
    for line in log:
        if re.match(r"\w+Error\b", line):
            print(f"         the server's log: {line.strip()}", flush=True)


async def sight(url: str, cut_after: int, connections: int) -> AsyncIterator[str]:
    """What one viewer sees, who connects again as EventSource does."""
    headers: dict[str, str] = {}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_SECONDS)
    for connection in range(1, connections + 1):
        if connection > 1:
            await asyncio.sleep(0.1)
            yield f"EventSource connects again, Last-Event-ID: {headers.get('Last-Event-ID', '')}"
        left = cut_after if connection == 1 else 0
        try:
            async with aiohttp.request("GET", url, headers=headers, timeout=timeout) as response:
                if response.status != 200:
                    yield f"{response.status} {response.reason}: EventSource stops for good"
                    return
                async for event in events(response):
                    yield " | ".join(event)
                    if event[0].startswith("id: "):
                        headers["Last-Event-ID"] = event[0][4:]
                    left -= 1
                    if left == 0:
                        yield "(we leave)"
                        break
                else:
                    yield "(the stream ends)"
        except TimeoutError:
            yield "(nothing more comes, and no end)"
            return
        except aiohttp.ClientError:
            yield "(the connection breaks off)"


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[list[str]]:
    """The events of a stream, each as a list of its lines, without the comments."""
    event: list[str] = []
    async for line in response.content:
        # A lone carriage return ends a line too.
        for field in line.decode().removesuffix("\n").removesuffix("\r").split("\r"):
            if not field and event:
                yield event
                event = []
            elif field and not field.startswith(":"):
                event.append(field)
