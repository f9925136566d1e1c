"""The open streams of an application: how many there may be, and what keeps them alive."""

import asyncio
import time
from collections.abc import Callable

from taskstream.errors import StreamsFull
from taskstream.http.broadcast import Broadcast
from taskstream.http.stream import Stream
from taskstream.http.write_queue import SLICE, Outcome, StreamCounts, WriteQueue
from taskstream.log import Log


class Streams:
    """The streams that are open, and a broadcast for each log that they show."""

    def __init__(
        self,
        limit: int,
        ping_seconds: float,
        stall_seconds: float = 60,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ping_seconds = ping_seconds
        self.stall_seconds = stall_seconds
        self.counts = StreamCounts()
        self.said_slower = False
        self.queue = WriteQueue()
        self.now = now
        self._limit = limit
        self._attached: set[Stream] = set()
        self._broadcasts: dict[Log, Broadcast] = {}

    @property
    def behind(self) -> int:
        """How many streams wait for their connections to take more."""
        return sum(stream.connection.write_paused for stream in self._attached)

    def take_place(self) -> None:
        """Count one more stream. Raises `StreamsFull`."""
        if self.counts.open >= self._limit:
            raise StreamsFull(f"All {self._limit} streams are taken: try again later.")
        self.counts.open += 1
        self.counts.opened += 1

    def free_place(self, outcome: Outcome) -> None:
        """Count one stream less."""
        self.counts.open -= 1
        self.counts.outcomes[outcome] += 1

    def add(self, stream: Stream) -> None:
        """Have a stream written to together with the others of its logs."""
        self._attached.add(stream)
        for log in stream.viewer.logs:
            if log not in self._broadcasts:
                self._broadcasts[log] = Broadcast(log, self)
                log.listeners.add(self._broadcasts[log].listener)
            self._broadcasts[log].streams.add(stream)

    def remove(self, stream: Stream, outcome: Outcome) -> None:
        """Free the place of a stream that is closed."""
        self._attached.remove(stream)
        for log in stream.viewer.logs:
            broadcast = self._broadcasts[log]
            broadcast.streams.remove(stream)
            if not broadcast.streams:
                log.listeners.discard(broadcast.listener)
                del broadcast.listener, self._broadcasts[log]  # a cycle, which would keep the log
        self.free_place(outcome)

    async def watch(self) -> None:
        """Break every silence and drop who has stopped reading, for ever: one timer for all streams."""
        while True:
            await asyncio.sleep(min(self.ping_seconds, self.stall_seconds) / 4)
            now = self.now()
            for number, stream in enumerate(list(self._attached), 1):
                stream.check(now, self.ping_seconds, self.stall_seconds)
                if number % SLICE == 0:
                    await asyncio.sleep(0)
