"""A viewer: it watches a stream as EventSource does, through its own recorder."""

import asyncio

import aiohttp

from examples.lessons.recorder import Recorder
from examples.lessons.timeline import Kind, Timeline
from taskstream.client import Parser

SILENCE_SECONDS = 1.5
"""After so long without a byte, a scenario doesn't wait any longer."""
RETRY_SECONDS = 0.1
"""The delay before a reconnection, unless the server sets one: browsers have three seconds or more."""

MAX_EVENTS = 1000
"""A stream that has more of them is not watched to its end, which it may not have."""


class Viewer:
    """One viewer of a stream."""

    def __init__(self, recorder: Recorder, timeline: Timeline, *, connections: int) -> None:
        """`connections` is how often it connects before the scenario ends for it."""
        self.name = recorder.viewer
        self._recorder = recorder
        self._timeline = timeline
        self._connections = connections
        self._seen = 0
        self._last_event_id = ""
        self._retry_seconds = RETRY_SECONDS
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_read=SILENCE_SECONDS),
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # which keeps the cookies of an IP address too
        )

    async def log_in(self, path: str) -> None:
        """Send a request with an `Authorization` header, which fetch can do, and keep the cookie."""
        headers = {"Authorization": "Bearer secret"}
        async with self._session.post(self._recorder.url + path, headers=headers):
            pass

    async def watch(self, path: str, *, cut_after: int = 0, leave_after: int = 0) -> None:
        """Watch a stream. Its connection is cut, or the viewer leaves, after so many events."""
        async with self._session:
            for connection in range(self._connections):
                if connection:
                    self._timeline.add(self.name, Kind.WAIT, "EventSource waits, then connects again")
                    await asyncio.sleep(self._retry_seconds)
                if not await self._connect(path, cut_after, leave_after):
                    return

    async def _connect(self, path: str, cut_after: int, leave_after: int) -> bool:
        """Watch over one connection; whether EventSource would connect again when it has ended."""
        headers = {"Accept": "text/event-stream", "Connection": "close"}
        if self._last_event_id:
            headers["Last-Event-ID"] = self._last_event_id
        try:
            async with self._session.get(self._recorder.url + path, headers=headers) as response:
                if response.status != 200:
                    self._timeline.add(self.name, Kind.CLOSED, "EventSource stops for good")
                    return False
                return await self._read(response, cut_after, leave_after)
        except TimeoutError:
            self._timeline.add(self.name, Kind.SILENCE, "nothing more comes, and no end")
            return False
        except aiohttp.ClientError:  # the recorder has noted what happened
            return True

    async def _read(self, response: aiohttp.ClientResponse, cut_after: int, leave_after: int) -> bool:
        parser = Parser(self._last_event_id)
        async for piece in response.content.iter_any():
            for event in parser.feed(piece):
                self._seen += 1
                self._last_event_id = event.last_event_id
                if parser.reconnection_seconds is not None:
                    self._retry_seconds = parser.reconnection_seconds
                if self._seen == leave_after:
                    self._timeline.add(self.name, Kind.CLOSED, "the viewer leaves")
                    return False
                if self._seen == MAX_EVENTS:
                    self._timeline.add(
                        self.name, Kind.CLOSED, f"the viewer leaves after {MAX_EVENTS} events"
                    )
                    return False
                if self._seen == cut_after:
                    self._recorder.cut()
        return True
