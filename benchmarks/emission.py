"""What every server emits: the same snapshots, or the same text, at the same pace."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

TURN_SECONDS = 0.001
"""How long events that come as fast as they can keep the loop to themselves."""


@dataclass(frozen=True)
class Emission:
    """What one task emits: `rate` events a second, or as many as it can if that is 0.

    With the work `emit` these are snapshots, with `write` pieces of a text.
    """

    rate: float
    events: int
    delay: float = 0
    work: str = "emit"

    async def numbers(self) -> AsyncIterator[int]:
        """1, 2, 3 …, each at its time; late ones follow at once."""
        await asyncio.sleep(self.delay)
        began = turn_began = time.monotonic()
        for number in range(1, self.events + 1):
            if self.rate:
                await asyncio.sleep(max(0, began + (number - 1) / self.rate - time.monotonic()))
            elif time.monotonic() - turn_began > TURN_SECONDS:
                await asyncio.sleep(0)
                turn_began = time.monotonic()
            yield number

    def percent(self, number: int) -> float:
        """How far a task is with this event."""
        return 100 * number / self.events

    def message(self, number: int) -> str:
        """What this event says."""
        return f"Event {number} of {self.events}"

    def data(self, task_id: str, number: int) -> "Snapshot | Piece":
        """The data of one event."""
        return {"text": piece(number)} if self.work == "write" else snapshot(task_id, self, number)


class Piece(TypedDict):
    """The data of an event that carries a piece of a text, as our server sends it too."""

    text: str


class Snapshot(TypedDict):
    """The data of an event, as our server sends it too: some 250 bytes of JSON."""

    task_id: str
    name: str
    status: str
    progress: int
    message: str
    data: None
    started_at: str
    updated_at: str


def snapshot(task_id: str, emission: Emission, number: int) -> Snapshot:
    """The data of one event, which says when it happened."""
    now = datetime.now(UTC).isoformat()
    return {
        "task_id": task_id,
        "name": "emit",
        "status": "PROGRESS",
        "progress": int(emission.percent(number)),
        "message": emission.message(number),
        "data": None,
        "started_at": now,
        "updated_at": now,
    }


def piece(number: int) -> str:
    """Ten characters of a text, which are the same in no other place of it."""
    return f"{number:09} "
