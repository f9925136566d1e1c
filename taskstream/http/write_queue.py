"""What all streams share: the order in which they write, and the counts of what they have written."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, Protocol

SLICE = 100
"""Writes at a stretch, which take about a millisecond, before the loop turns."""

Outcome = Literal["ended", "left", "stalled", "stopped", "failed"]
"""How a stream ends: all is told, the viewer leaves or reads no more, the server stops; or by a bug."""


def chunk(data: bytes) -> bytes:
    """One chunk of a body in HTTP/1.1 (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass(slots=True)
class StreamCounts:
    """How many streams there are and have been, and what they were sent."""

    open: int = 0
    opened: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    events: int = 0
    """Events delivered: one that goes to ten viewers counts ten times."""
    bytes: int = 0
    """Their size as Server-Sent Events, without the chunks of HTTP."""


class Writer(Protocol):
    """A stream, or the broadcast of a log, that has something to write."""

    steps_at_once: int
    """How many steps it may take in one turn of the loop."""

    def write_steps(self) -> Iterator[None]:
        """Write what is new, as long as there is something; yields after each write."""


class WriteQueue:
    """Those that have something to write, each in turn: none keeps the event loop to itself."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Writer, Iterator[None]] = OrderedDict()
        self._scheduled = False
        self._context = copy_context()
        """Of writes, not of a task that says something: the end of a stream may begin the next request."""

    def add(self, writer: Writer) -> None:
        """Let it write soon, after those that wait already."""
        if writer not in self._waiting:
            self._waiting[writer] = writer.write_steps()
            if not self._scheduled:
                self._scheduled = True
                asyncio.get_running_loop().call_soon(self._take_turn, context=self._context)

    def _take_turn(self) -> None:
        """Take a slice of the steps; who has more goes on after the others."""
        left = SLICE
        try:
            for writer in list(islice(self._waiting, SLICE)):
                most = min(left, writer.steps_at_once)
                taken = len(list(islice(self._waiting[writer], most)))
                if taken < most:
                    del self._waiting[writer]
                else:
                    self._waiting.move_to_end(writer)
                left -= taken
                if not left:
                    break
        finally:
            self._scheduled = bool(self._waiting)
            if self._scheduled:
                asyncio.get_running_loop().call_soon(self._take_turn, context=self._context)
