"""The open streams of an application: how many there may be, what keeps them alive, and broadcasts.

In a broadcast an event is framed once, and written to all streams of its log in one loop.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator

from taskstream.errors import StreamsFull
from taskstream.http.stream import Stream
from taskstream.http.write_queue import SLICE, Outcome, WriteQueue, Writer, chunk
from taskstream.log import Log
from taskstream.viewers import Follower


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
        self.opened = 0
        self.outcomes: Counter[Outcome] = Counter()
        """How those have ended that are open no more."""
        self.events = 0
        """Events delivered: one that goes to ten viewers counts ten times."""
        self.bytes = 0
        """Their size as Server-Sent Events, without the chunks of HTTP."""
        self.said_slower = False
        self.queue = WriteQueue()
        self.now = now
        self._limit = limit
        self._attached: set[Stream] = set()
        self._broadcasts: dict[Log, Broadcast] = {}

    @property
    def open(self) -> int:
        """How many streams have a place."""
        return self.opened - self.outcomes.total()

    @property
    def behind(self) -> int:
        """How many streams wait for their connections to take more."""
        return sum(stream.paused for stream in self._attached)

    def take_place(self) -> None:
        """Count one more stream, until its outcome is counted. Raises `StreamsFull`."""
        if self.open >= self._limit:
            raise StreamsFull(f"All {self._limit} streams are taken: try again later.")
        self.opened += 1

    def add(self, stream: Stream) -> None:
        """Have a stream written to together with the others of its logs."""
        self._attached.add(stream)
        for log in stream.viewer.logs:
            if log not in self._broadcasts:
                self._broadcasts[log] = Broadcast(log, self)
                log.listeners.add(self._broadcasts[log].resume)
            self._broadcasts[log].streams.add(stream)

    def remove(self, stream: Stream, outcome: Outcome) -> None:
        """Count the outcome of a stream that is closed, which frees its place."""
        self._attached.remove(stream)
        for log in stream.viewer.logs:
            broadcast = self._broadcasts[log]
            broadcast.streams.remove(stream)
            if not broadcast.streams:
                log.listeners.discard(broadcast.resume)
                del self._broadcasts[log]
        self.outcomes[outcome] += 1

    async def watch(self) -> None:
        """Break every silence and drop who has stopped reading, for ever: one timer for all streams."""
        while True:
            await asyncio.sleep(min(self.ping_seconds, self.stall_seconds) / 4)
            now = self.now()
            for number, stream in enumerate(list(self._attached), 1):
                stream.check(now)
                if number % SLICE == 0:
                    await asyncio.sleep(0)


class Broadcast(Writer):
    """The open streams of one log, which it passes over whenever there is something new.

    Those whose viewers have read as far as the pass before are written one chunk, framed once; the
    others, and those that show more than this log, write for themselves. Ids alone decide which of the
    two it is, so that streams may join, pause, catch up and end while a pass is under way.
    """

    steps_at_once = SLICE

    def __init__(self, log: Log, streams: Streams) -> None:
        self.streams: set[Stream] = set()
        self.queue = streams.queue
        self._log = log
        self._all = streams
        self._sent_id = log.last_id

    def write_steps(self) -> Iterator[None]:
        """Pass over the streams until all that is new has been written; yields after each stream."""
        log = self._log
        while self.streams and (log.closed or self._sent_id != log.last_id):
            start = self._sent_id  # if it is closed, each stream ends by itself
            events, self._sent_id = (b"", log.last_id) if log.closed else log.after(start)
            end, framed, now, written = self._sent_id, chunk(events), self._all.now(), 0
            for stream in list(self.streams):  # what is done in here is done for each viewer of each event
                viewer: Follower = stream.viewer  # type: ignore[assignment] # as `up_to_date` says
                if events and stream.up_to_date and viewer.last_event_id == start:
                    try:
                        stream.write(framed)
                    except Exception:  # noqa: BLE001 - it is logged, and the others are served
                        stream.fail()
                    viewer.last_event_id = end
                    stream.active_at = now
                    written += 1
                else:
                    stream.resume()
                yield
            self._all.events += events.count(b"\n\n") * written
            self._all.bytes += len(events) * written
            if not events:
                return
