"""The open streams of an application: how many there may be, what keeps them alive, what they were sent."""

import asyncio
from collections import Counter
from typing import Literal

from taskstream.errors import StreamsFull
from taskstream.http.audience import SLICE, Audience, Turns
from taskstream.http.stream import Stream
from taskstream.log import Log

Outcome = Literal["ended", "left", "stalled", "stopped", "failed"]
"""How a stream ends: all is told, the viewer leaves or reads no more, the server stops; or by a bug."""


class Streams:
    """The streams that are open, and the counts of all that there have been."""

    def __init__(self, limit: int, ping_seconds: float, stall_seconds: float = 60) -> None:
        self.ping_seconds = ping_seconds
        self.stall_seconds = stall_seconds
        self.turns = Turns()
        self.open = 0
        self.opened = 0
        self.closed: Counter[Outcome] = Counter()
        self.events = 0
        """Events delivered: one that goes to ten viewers counts ten times."""
        self.bytes = 0
        """Their size, without framing."""
        self._limit = limit
        self._carried: set[Stream] = set()
        self._audiences: dict[Log, Audience] = {}

    @property
    def behind(self) -> int:
        """How many streams wait for their connections to take more."""
        return sum(stream.carrier.write_paused for stream in self._carried)

    def take_place(self) -> None:
        """Count one more stream. Raises `StreamsFull`."""
        if self.open >= self._limit:
            raise StreamsFull(self._limit)
        self.open += 1
        self.opened += 1

    def free_place(self, outcome: Outcome) -> None:
        """Count one stream less."""
        self.open -= 1
        self.closed[outcome] += 1

    def add(self, stream: Stream) -> None:
        """Write to a stream that has taken its place, from now on."""
        self._carried.add(stream)
        if (log := stream.viewer.shared_log) is None:
            for each in stream.viewer.logs:
                each.listeners.add(stream.notify)
        else:
            if log not in self._audiences:
                self._audiences[log] = Audience(log, self)
            self._audiences[log].add(stream)
        stream.take_turn()

    def remove(self, stream: Stream, outcome: Outcome) -> None:
        """Write to a stream no longer, and free its place."""
        self._carried.remove(stream)
        if (log := stream.viewer.shared_log) is None:
            for each in stream.viewer.logs:
                each.listeners.discard(stream.notify)
        else:
            audience = self._audiences[log]
            audience.discard(stream)
            if not audience:
                del self._audiences[log]
        self.free_place(outcome)

    def count(self, events: bytes, streams: int = 1) -> None:
        """Count what so many streams have been sent."""
        self.events += events.count(b"\n\n") * streams
        self.bytes += len(events) * streams

    def now(self) -> float:
        """The time of the event loop, in seconds."""
        return asyncio.get_running_loop().time()

    async def watch(self) -> None:
        """Break every silence and drop who has stopped reading, for ever: one timer for all streams."""
        while True:
            await asyncio.sleep(min(self.ping_seconds, self.stall_seconds) / 4)
            for number, stream in enumerate(list(self._carried), 1):
                stream.check(self.ping_seconds, self.stall_seconds)
                if number % SLICE == 0:
                    await asyncio.sleep(0)
