"""Many streams of one log: an event is framed once, and written to each of them in one loop."""

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from taskstream.http.stream import Stream, chunk
from taskstream.log import Follower, Log

if TYPE_CHECKING:
    from taskstream.http.streams import Streams

SLICE = 100
"""Streams that are written to at a stretch, which takes about a millisecond, before the loop turns."""


class Writer(Protocol):
    """One who has something to write."""

    def take_turn(self, most: int) -> int:
        """Write something to so many streams at the most; to how many."""


class Turns:
    """Those who have something to write, each in turn: none keeps the loop to itself."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Writer, None] = OrderedDict()
        self._scheduled = False

    def add(self, writer: Writer) -> None:
        """Let this one write soon, after those that wait already."""
        self._waiting[writer] = None
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and self._waiting:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._take_turns)

    def _take_turns(self) -> None:
        self._scheduled = False
        most = SLICE
        try:
            for _ in range(len(self._waiting)):  # who asks for another turn meanwhile has it later
                if most <= 0:
                    break
                writer, _ = self._waiting.popitem(last=False)
                most -= writer.take_turn(most)
        finally:
            self._schedule()


class Audience:
    """The streams of one log, which it passes over whenever there is something new.

    Those whose viewers have read as far as the pass before are written one chunk, framed once; the
    others take a turn of their own. Ids alone decide which of the two it is, so that streams may join,
    pause, catch up and end while a pass is under way.
    """

    def __init__(self, log: Log, streams: "Streams") -> None:
        self._log = log
        self._streams = streams
        self._members: set[Stream] = set()
        self._unserved: list[Stream] = []
        self._shared = b""
        self._start = self._end = log.last_id

    def __bool__(self) -> bool:
        return bool(self._members)

    def add(self, stream: Stream) -> None:
        """Write to this stream, too."""
        self._members.add(stream)
        self._log.listeners.add(self.notify)

    def discard(self, stream: Stream) -> None:
        """Write to this stream no longer."""
        self._members.discard(stream)
        if not self._members:
            self._log.listeners.discard(self.notify)

    def notify(self) -> None:
        """Have a turn at writing what is new."""
        self._streams.turns.add(self)

    def take_turn(self, most: int) -> int:
        """Go on with a pass, or begin the next one."""
        if not self._unserved:
            self._begin_pass()
        served = self._unserved[-most:]
        del self._unserved[-most:]
        self._write(served)
        if self._unserved or self._end != self._log.last_id:
            self.notify()
        return len(served)

    def _begin_pass(self) -> None:
        self._unserved = list(self._members)
        self._start = self._end
        if self._log.closed or self._start == self._log.last_id:
            self._shared, self._end = b"", self._log.last_id
        else:
            self._shared, self._end = self._log.after(self._start)

    def _write(self, streams: list[Stream]) -> None:
        shared, start, end, now = self._shared, self._start, self._end, self._streams.now()
        framed = chunk(shared)
        served = 0
        for stream in streams:  # what is done in here is done for each viewer of each event
            viewer: Follower = stream.viewer  # type: ignore[assignment] # `shared_log` says so
            if shared and stream.up_to_date and viewer.last_event_id == start:
                try:
                    stream.write(framed)
                except Exception:  # noqa: BLE001 - it is logged, and the others are served
                    stream.fail()
                viewer.last_event_id = end
                stream.active_at = now
                served += 1
            else:
                stream.take_turn()
        self._streams.count(shared, served)
