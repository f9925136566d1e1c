"""What the peers written in Python share: tasks, and a queue for each viewer of one."""

import asyncio
import json
import secrets
from asyncio import Queue
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from benchmarks.emission import Emission, Piece, Snapshot

Event = TypeVar("Event")


class Tasks(Generic[Event]):
    """The running tasks. `make` makes an event once for all of its viewers; `None` follows the last."""

    def __init__(self, make: Callable[[int, Snapshot | Piece], Event]) -> None:
        self._make = make
        self._viewers: dict[str, set[Queue[Event | None]]] = defaultdict(set)
        self._runs: set[asyncio.Task[None]] = set()

    def start(self, emission: Emission) -> dict[str, str]:
        """Start a task, and answer what names it."""
        task_id = secrets.token_hex(16)
        run = asyncio.create_task(self._run(task_id, emission))
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)
        return {"task_id": task_id}

    @contextmanager
    def watch(self, task_id: str) -> Iterator[Queue[Event | None]]:
        """What happens from now on."""
        queue: Queue[Event | None] = Queue()
        self._viewers[task_id].add(queue)
        try:
            yield queue
        finally:
            self._viewers[task_id].discard(queue)

    async def _run(self, task_id: str, emission: Emission) -> None:
        async for number in emission.numbers():
            event = self._make(number, emission.data(task_id, number))
            for queue in self._viewers[task_id]:
                queue.put_nowait(event)
        for queue in self._viewers.pop(task_id, ()):
            queue.put_nowait(None)


def to_json(data: Snapshot | Piece) -> str:
    """Compact JSON."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def to_sse(number: int, data: Snapshot | Piece) -> bytes:
    """One event as it goes over the wire."""
    name = "event: output\n" if "text" in data else ""
    return f"id: {number}\n{name}data: {to_json(data)}\n\n".encode()
