"""The examples as programs, and their streams as a browser would read them."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import psutil

from tests.support.programs import Server


class Example(Server):
    """`python examples/NAME.py`, on a free port."""

    def __init__(self, name: str, **environment: str) -> None:
        self.program = (f"examples/{name}.py",)
        super().__init__(**environment)


class App(Server):
    """`uvicorn examples.NAME:app`, or any other module."""

    def __init__(self, module: str, *flags: str) -> None:
        self.program = ("-m", "uvicorn", f"{module}:app", "--no-access-log")
        super().__init__(*flags)


class Lessons(Server):
    """`python -m examples`, the page of the lessons."""

    program = ("-m", "examples")


@dataclass(frozen=True)
class Event:
    """One event, when it arrived, and in which piece of the stream."""

    event: str
    data: str
    id: str
    at: float
    piece: int


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of a stream: lines end with CR, LF or CRLF, events with an empty line."""
    assert response.status == 200, await response.text()
    assert response.content_type == "text/event-stream"
    text = ""
    piece = 0
    async for each in response.content.iter_any():
        piece += 1
        text += each.decode()
        *blocks, text = text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
        for block in blocks:
            fields: dict[str, list[str]] = {}
            for line in block.split("\n"):
                name, _, value = line.partition(":")
                fields.setdefault(name, []).append(value.removeprefix(" "))
            if "data" in fields:
                event, event_id = fields.get("event", ["message"])[-1], fields.get("id", [""])[-1]
                yield Event(event, "\n".join(fields["data"]), event_id, time.monotonic(), piece)


class Viewer:
    """A client that opens streams below one address."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def see(
        self, path: str, count: int | None = None, last_event_id: str | None = None, **headers: str
    ) -> list[Event]:
        """So many events of a stream, then its connection is cut; or all events up to its end."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        response = await self._session.get(self._url + path, headers=headers)
        seen: list[Event] = []
        try:
            async with asyncio.timeout(20):
                async for event in events(response):
                    seen.append(event)
                    if len(seen) == count:
                        break
        finally:
            response.close()
        return seen

    async def status(self, path: str, last_event_id: str | None = None) -> int:
        """The status of the answer."""
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        async with self._session.get(self._url + path, headers=headers) as response:
            return response.status


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    return [each.pid for each in psutil.Process(process).children()]


def exists(process: int) -> bool:
    """Whether a process runs: neither gone, nor ended but not waited for."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
