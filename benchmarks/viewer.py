"""Connections of the load generator: bare protocols that look no closer at what comes than they have to."""

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

DATA = b"\ndata:"
NAP_SECONDS = 0.001
UPDATED_AT = b'"updated_at"'


@dataclass
class Watch:
    """What all viewers look out for."""

    sampling: float = 0
    """The share of what is received whose age is noted."""
    samples: list[tuple[float, bytes]] = field(default_factory=list)
    awaited: bytes = b""
    """The words after which a viewer has caught up."""
    delays: list[float] = field(default_factory=list)
    """How many milliseconds after it began each of them had received these."""
    missing: int = 0
    napping: bool = False
    all_caught_up: asyncio.Event = field(default_factory=asyncio.Event)

    def look_out_for(self, awaited: bytes, viewers: int) -> None:
        """Await these words, at so many viewers."""
        self.awaited, self.missing, self.delays = awaited, viewers, []

    def nap(self) -> None:
        """Let what arrives meanwhile pile up: the server would pay for each time that it wakes us."""
        if not self.napping:
            self.napping = True
            asyncio.get_running_loop().call_soon(self._nap)

    def _nap(self) -> None:
        self.napping = False
        time.sleep(NAP_SECONDS)

    def catch_up(self, delay: float) -> None:
        """Note that one more has received them."""
        self.delays.append(1000 * delay)
        self.missing -= 1
        if not self.missing:
            self.all_caught_up.set()

    def ages(self) -> list[float]:
        """How many milliseconds old the sampled events were, the youngest first."""
        return sorted(1000 * (now - updated_at(data)) for now, data in self.samples)


class Viewer(asyncio.Protocol):
    """One who watches a stream."""

    events = 0
    lost = False
    caught_up = False
    _tail = b""
    _latest = b""

    def __init__(self, watch: Watch, path: str, last_event_id: str = "") -> None:
        self.path = path
        self._watch = watch
        self._began = time.monotonic()
        header = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{header}\r\n"
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        """Count the events; note the age of the last of them."""
        now = time.time()
        self.events += (self._tail + data).count(DATA)
        self._tail = data[1 - len(DATA) :]
        self._latest = data
        watch = self._watch
        watch.nap()
        if watch.sampling and random.random() < watch.sampling:
            at = data.rfind(UPDATED_AT)
            if at >= 0:
                watch.samples.append((now, data[at : at + 60]))  # read later: this loop must keep up
        if watch.awaited and not self.caught_up and watch.awaited in data:
            self.caught_up = True
            watch.catch_up(time.monotonic() - self._began)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The stream has ended."""
        self.lost = True

    @property
    def last_event_id(self) -> str:
        """The id of the event that came last."""
        ids = re.findall(rb"(?:^|\n)id: ?([^\r\n]+)\r?\n", self._latest)
        return ids[-1].decode() if ids else ""


class Requester(asyncio.Protocol):
    """One who sends a request again and again, each when the last one has been answered."""

    answers = 0
    failures = 0

    def __init__(self, path: str, body: str) -> None:
        self._request = (
            f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first one."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Send the next one, once a body has come, which is taken to arrive in one piece."""
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 200"):
            self.failures += 1
        if data.endswith(b"}"):
            self.answers += 1
            self.transport.write(self._request)


def updated_at(data: bytes) -> float:
    """The time in `"updated_at":"2026-01-31T12:00:00.5Z"`."""
    return datetime.fromisoformat(data.split(b'"', 4)[3].decode()).timestamp()
