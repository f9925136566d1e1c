"""The HTTP contract, as the tests speak it: byte by byte, and without the project's own client."""

import itertools
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

ENDED = {"SUCCESS", "FAILURE", "REVOKED"}
SNAPSHOT_KEYS = [
    *("task_id", "name", "status", "progress", "message", "steps", "data", "started_at", "updated_at")
]

LONG_TASK = {"seconds": 60, "steps": 600}

Snapshot = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One block of a stream, its fields as they stood there."""

    fields: list[tuple[str, str]]

    def __getitem__(self, name: str) -> str | None:
        """The value of a field that may be there once; `None` if it isn't."""
        values = [value for field, value in self.fields if field == name]
        assert len(values) <= 1, f"{name} is there more than once: {self.fields}"
        return values[0] if values else None

    @property
    def id(self) -> int:
        """The number of the event."""
        return int(self["id"] or 0)

    @property
    def data(self) -> list[str]:
        """The lines of its data."""
        return [value for field, value in self.fields if field == "data"]

    @property
    def snapshot(self) -> Snapshot:
        """Its data."""
        value: Snapshot = json.loads(self["data"] or "")
        return value


async def blocks(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """What stands between the blank lines of a stream, comments included. Half a block is an error."""
    rest = b""
    async for chunk in response.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n\n")
        for block in whole:
            yield block.decode("utf-8")
    assert rest == b"", f"The stream ended within a block: {rest!r}"


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of a stream. Every line has to be a comment, or a field, a colon, a space and a value."""
    assert response.status == 200, await response.text()
    async for block in blocks(response):
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        if lines:
            fields = [line.partition(": ") for line in lines]
            assert all(colon for _, colon, _ in fields), f"Not the form of an event: {block!r}"
            yield Event([(name, value) for name, _, value in fields])


class Api:
    """A client of one server, or of several that are to behave like one: each request asks the next."""

    def __init__(self, session: aiohttp.ClientSession, urls: Iterable[str]) -> None:
        self.session = session
        self._urls = itertools.cycle(urls)

    def url(self, path: str) -> str:
        """The whole address of a path, on the next server."""
        return next(self._urls) + path

    async def start(self, **body: object) -> Snapshot:
        """Start a task; its first snapshot."""
        async with self.session.post(self.url("/start-task"), json=body) as response:
            assert response.status == 200, await response.text()
            snapshot: Snapshot = await response.json()
            return snapshot

    async def status(self, task_id: str) -> Snapshot:
        """The latest snapshot of a task."""
        snapshot: Snapshot = await self.json("GET", f"/task-status/{task_id}")
        return snapshot

    async def cancel(self, task_id: str) -> Snapshot:
        """Cancel a task; its snapshot."""
        snapshot: Snapshot = await self.json("POST", f"/cancel-task/{task_id}")
        return snapshot

    async def json(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The answer to a request, which has to have this status."""
        async with self.session.request(method, self.url(path), **options) as response:
            assert response.status == status, await response.text()
            return await response.json()

    @asynccontextmanager
    async def open(
        self, path: str, last_event_id: str | int | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response of a stream route, whatever it is; the connection is cut on leaving."""
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        response = await self.session.get(self.url(path), headers=headers)
        try:
            yield response
        finally:
            response.close()

    async def watch(self, task_id: str, last_event_id: str | int | None = None) -> list[Event]:
        """All that follows in a task's stream, up to its end."""
        async with self.open(f"/task-progress/{task_id}", last_event_id) as response:
            return [event async for event in events(response)]

    async def until(self, task_id: str, status: str) -> None:
        """Return once a task has been in this state. Fails if it never is."""
        async with self.open(f"/task-progress/{task_id}") as response:
            async for event in events(response):
                if event.snapshot["status"] == status:
                    return
        raise AssertionError(f"{task_id} has ended without {status}")

    async def overview(self, *task_ids: str) -> list[Event]:
        """All of the stream of many tasks, up to its end."""
        query = "&".join(f"task_id={task_id}" for task_id in task_ids)
        async with self.open(f"/task-progress?{query}") as response:
            return [event async for event in events(response)]


def check_story(stream: list[Event], status: str) -> None:
    """No gap, no duplicate, and one end, which is this one."""
    assert [event.id for event in stream] == list(range(1, len(stream) + 1))
    assert [event.snapshot["status"] for event in stream if event.snapshot["status"] in ENDED] == [status]
    assert stream[-1].snapshot["status"] == status


async def check_two_places(api: Api) -> None:
    """Two running tasks fill two places; one more is refused until one has ended, and makes room."""
    first, second = await api.start(**LONG_TASK), await api.start(**LONG_TASK)
    async with api.session.post(api.url("/start-task")) as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert "All 2 places" in (await response.json())["detail"]
    await api.cancel(second["task_id"])
    third = await api.start(**LONG_TASK)
    await api.json("GET", f"/task-status/{second['task_id']}", 404)
    for task in (first, third):
        await api.status(task["task_id"])
