"""The order in which streams write, and what they write: chunks of HTTP."""

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from contextvars import copy_context
from itertools import islice
from typing import ClassVar, Literal

SLICE = 100
"""Writes at a stretch, which take about a millisecond, before the loop turns."""

Outcome = Literal["ended", "left", "stalled", "stopped", "failed"]
"""How a stream ends: all is told, the viewer leaves or reads no more, the server stops; or by a bug."""


def chunk(data: bytes) -> bytes:
    """One chunk of a body in HTTP/1.1 (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class WriteQueue:
    """The writers that have something to write, each in turn: none keeps the event loop to itself."""

    def __init__(self) -> None:
        self.waiting: OrderedDict[Writer, Iterator[None]] = OrderedDict()
        self.scheduled = False
        self.context = copy_context()
        """Of writes, not of a task that says something: the end of a stream may begin the next request."""

    def take_turn(self) -> None:
        """Take a slice of the steps; who has more goes on after the others."""
        left = SLICE
        try:
            for writer in list(islice(self.waiting, SLICE)):
                most = min(left, writer.steps_at_once)
                taken = len(list(islice(self.waiting[writer], most)))
                if taken < most:
                    del self.waiting[writer]
                else:
                    self.waiting.move_to_end(writer)
                left -= taken
                if not left:
                    break
        finally:
            self.scheduled = bool(self.waiting)
            if self.scheduled:
                asyncio.get_running_loop().call_soon(self.take_turn, context=self.context)


class Writer(ABC):
    """A stream, or the broadcast of a log."""

    __slots__ = ()

    steps_at_once: ClassVar[int]
    """How many steps it may take in one turn of the loop."""
    queue: WriteQueue

    @abstractmethod
    def write_steps(self) -> Iterator[None]:
        """Write what is new, as long as there is something; yields after each write."""

    def resume(self) -> None:
        """Write soon what is new, after those that wait already."""
        queue = self.queue
        if self not in queue.waiting:
            queue.waiting[self] = self.write_steps()
            if not queue.scheduled:
                queue.scheduled = True
                asyncio.get_running_loop().call_soon(queue.take_turn, context=queue.context)
