"""Scraping that is triggered by GET: one run for each id, and any text intact."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.support.examples import App, Event, Viewer
from tests.support.programs import ROOT, Server

TRIGGER = "/api/v1/scraping/trigger/stream"
QUOTES = json.loads((ROOT / "examples/scraping/quotes.json").read_text(encoding="utf-8"))
INTACT = [quote.replace("\ud83d", "?") for quote in QUOTES]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with App("examples.scraping.api") as server:
        yield server


@pytest.fixture
def viewer(session: aiohttp.ClientSession, server: Server) -> Viewer:
    """A client that triggers runs."""
    return Viewer(session, server.url)


def trigger(**parameters: float) -> str:
    """The address of a new run."""
    values = [f"{name}={value}" for name, value in parameters.items()]
    return f"{TRIGGER}?{'&'.join([f'run={secrets.token_hex(16)}', *values])}"


def contents(seen: list[Event]) -> list[Any]:
    """The data of events."""
    return [json.loads(event.data) for event in seen]


def quotes(seen: list[Event]) -> list[str]:
    """The text that has been scraped."""
    return [each["data"]["quote"] for each in contents(seen) if each["step"] == "Scraping"]


def test_lock_file() -> None:
    """The lock file knows the packages of every platform, and no registry by name."""
    frontend = ROOT / "examples" / "scraping" / "frontend"
    packages = json.loads((frontend / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for package in packages.values():
        assert "resolved" not in package
        for name in package.get("optionalDependencies", {}):
            assert f"node_modules/{name}" in packages


async def test_steps(viewer: Viewer) -> None:
    """Login, Scraping, Analyzing come one by one, as `progress`; `completed` is the last."""
    seen = await viewer.see(trigger(seconds=1, pages=3))
    assert [event.event for event in seen] == ["progress"] * 5 + ["completed"]
    assert [each["step"] for each in contents(seen)[:-1]] == ["Login", *["Scraping"] * 3, "Analyzing"]
    assert contents(seen)[-1]["data"] == {"pages": 3, "quotes": 30}
    assert len({event.piece for event in seen}) >= 4
    assert seen[-1].at - seen[0].at > 0.7


async def test_text_intact(viewer: Viewer) -> None:
    """Control characters, emoji, U+2028 and forged events arrive as they are; half a surrogate is a `?`."""
    assert quotes(await viewer.see(trigger(seconds=2))) == INTACT
    assert "\u2028" in INTACT[2]
    assert "\0" in INTACT[3]


async def test_one_run_for_each_id(viewer: Viewer) -> None:
    """However many requests with an id, it is one run, which all of them see; another id, another run."""
    url, other = trigger(seconds=1, pages=4), trigger(seconds=1, pages=4)
    await viewer.see(url, count=1)
    one, two, three = await asyncio.gather(viewer.see(url), viewer.see(url), viewer.see(other))
    late = await viewer.see(url)
    # The site that is scraped gives each login a session of its own.
    logins = {contents(seen)[0]["data"]["session"] for seen in (one, two, late)}
    assert len(logins) == 1
    assert contents(three)[0]["data"]["session"] not in logins
    assert [event.data for event in one] == [event.data for event in two] == [event.data for event in late]
    assert [event.id for event in one] == [str(number) for number in range(3, 3 + len(one))]


async def test_other_parameters(viewer: Viewer) -> None:
    """An id that is sent again with other parameters is refused: it can't mean the same run."""
    url = trigger(seconds=0.1, pages=1)
    await viewer.see(url)
    assert await viewer.status(url.replace("pages=1", "pages=2")) == 422


RUN = f"?run={'0' * 32}"


@pytest.mark.parametrize(
    "query",
    [
        *("", "?run=", "?run=1", "?run=" + "G" * 32, f"{RUN}0"),
        *(f"{RUN}&seconds=-1", f"{RUN}&seconds=nan", f"{RUN}&pages=0", f"{RUN}&fail_at=101"),
    ],
)
async def test_refused(viewer: Viewer, query: str) -> None:
    """Without an id of 128 bits, or with parameters out of bounds, nothing is started."""
    assert await viewer.status(TRIGGER + query) == 422


async def test_cross_site(session: aiohttp.ClientSession, server: Server) -> None:
    """Other sites can't trigger."""
    headers = {"Sec-Fetch-Site": "cross-site"}
    async with session.get(server.url + trigger(), headers=headers) as response:
        assert response.status == 403


@pytest.mark.slow
async def test_too_many(session: aiohttp.ClientSession) -> None:
    """A hundred runs at a time, no more."""
    with App("examples.scraping.api") as server:
        viewer = Viewer(session, server.url)
        for number in range(100):
            async with session.get(f"{server.url}{TRIGGER}?run={number:032x}&seconds=60") as response:
                assert response.status == 200
        assert await viewer.status(trigger()) == 503
        assert len(await viewer.see(f"{TRIGGER}?run={1:032x}&seconds=60", count=1)) == 1
