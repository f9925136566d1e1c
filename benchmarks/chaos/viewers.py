"""Viewers that hop between servers; they read the bytes of a stream by themselves, to trust nobody."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import NamedTuple

import aiohttp

from benchmarks.chaos.facts import LAST, snapshot_of
from benchmarks.chaos.history import Outcome, What
from benchmarks.chaos.recorder import Recorder

SILENCE_SECONDS = 4
"""Without a byte, after which a viewer goes elsewhere: servers send one each second."""

AWAY_SECONDS = 0.5
"""The longest that a viewer stays away."""

NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)


class Event(NamedTuple):
    """An event of a stream: its fields."""

    name: str
    id: str
    data: str


async def read_events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of a stream; one that was cut in the middle is none."""
    unread = b""
    async for piece in response.content.iter_any():
        *blocks, unread = (unread + piece).split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if line[:1] != ":")
            if "data" in fields:
                yield Event(fields.get("event", ""), fields.get("id", ""), fields["data"])


@dataclass(frozen=True)
class Surroundings:
    """What all clients of a run share."""

    session: aiohttp.ClientSession
    urls: Sequence[str]
    recorder: Recorder
    draw: Random

    def any_url(self) -> str:
        """One of the servers."""
        return self.draw.choice(self.urls)


class Viewer(ABC):
    """One who reads a stream to its end, over as many connections, to any server, as it takes."""

    def __init__(self, who: str, path: str, task: str, surroundings: Surroundings) -> None:
        """`task` is the one that it watches, if that is one."""
        self.ended = False
        """Whether it has seen the end, or was told that there is nothing to see."""
        self._path = path
        self._surroundings = surroundings
        self._draw = surroundings.draw
        self._last_event_id = ""
        self._opened_at = 0.0
        self._record = partial(surroundings.recorder.record, who=who)
        self._record_of_task = partial(self._record, task=task)

    async def watch(self) -> None:
        """Watch, at one server after another, until the end."""
        while not self.ended:
            try:
                await self._watch_once(self._surroundings.any_url())
            except NETWORK_ERRORS:
                self._record_of_task(What.CLOSE, outcome=Outcome.UNKNOWN)
            await asyncio.sleep(self._draw.uniform(0, AWAY_SECONDS))

    async def _watch_once(self, url: str) -> None:
        self._opened_at = time.time()
        headers = {"Last-Event-ID": self._last_event_id} if self._last_event_id else {}
        timeout = aiohttp.ClientTimeout(sock_connect=SILENCE_SECONDS, sock_read=SILENCE_SECONDS)
        get = self._surroundings.session.get
        async with get(url + self._path, headers=headers, timeout=timeout) as response:
            outcome = Outcome.OK if response.status in (200, 204) else Outcome.FAIL
            asked = {"label": url, "since": self._opened_at, "data": self._last_event_id}
            self._record_of_task(What.OPEN, outcome=outcome, status=response.status, **asked)
            if response.status == 200:
                await self._read(response)
            elif response.status in (204, 404):
                self.ended = True

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        """Read until the stream ends, or for as long as this viewer likes it here."""
        stays = self._draw.choice([1, 3, 10, 1000])
        async for event in read_events(response):
            self._take(event)
            stays -= 1
            if stays <= 0 and not self.ended:
                self._record_of_task(What.CLOSE, outcome=Outcome.UNKNOWN)
                return
        self._record_of_task(What.CLOSE)

    @abstractmethod
    def _take(self, event: Event) -> None:
        """Take down an event."""


class TaskViewer(Viewer):
    """A viewer of one task."""

    def __init__(self, who: str, task: str, surroundings: Surroundings) -> None:
        super().__init__(who, f"/task-progress/{task}", task, surroundings)

    def _take(self, event: Event) -> None:
        if event.name == "lost":
            lost = snapshot_of(event.data)
            self._record_of_task(What.LOST, number=lost["from"], until=lost["to"])
            return
        self._last_event_id = event.id
        self._record_of_task(What.EVENT, number=int(event.id), kind=event.name, data=event.data)
        if not event.name and snapshot_of(event.data)["status"] in LAST:
            self.ended = True  # but it reads on: nothing may follow


class OverviewViewer(Viewer):
    """A viewer of many tasks over one stream."""

    def __init__(self, who: str, tasks: Iterable[str], surroundings: Surroundings) -> None:
        path = "/task-progress?" + "&".join(f"task_id={task}" for task in tasks)
        super().__init__(who, path, "", surroundings)

    def _take(self, event: Event) -> None:
        about = snapshot_of(event.data)
        if event.name == "unknown":
            unknown = {"task": about["task_id"], "since": self._opened_at, "status": 404}
            self._record(What.GLANCE, outcome=Outcome.FAIL, **unknown)
        else:
            self._record(What.GLANCE, task=about["task_id"], data=event.data)
        self._last_event_id = event.id
        self.ended = event.id == "end"
