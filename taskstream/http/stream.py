"""One open stream: a viewer, and the connection to which it is written.

A stream is either up to date, and then it is written to together with all others of its log (see
`streams.py`), or it is behind, and then it writes what its viewer has missed piece by piece, as
fast as the connection takes it. The cursor of the viewer is all that it needs to know for that.
"""

import logging
import math
from asyncio import Transport
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from taskstream.http.write_queue import Outcome, WriteQueue, Writer, chunk
from taskstream.viewers import Viewer

if TYPE_CHECKING:
    from taskstream.http.streams import Streams

CONNECTION = "taskstream.connection"
"""The key in the ASGI scope under which a connection offers itself for a stream."""

PING = chunk(b": ping\n\n")

logger = logging.getLogger(__name__)


class StreamConnection(Protocol):
    """What a connection does for a stream: `taskstream.server` has one."""

    transport: Transport

    def owns(self, send: object) -> bool:
        """Whether this is the `send` of the response that is under way, with nothing around it."""

    async def attach(self, stream: "Stream", head: Awaitable[None]) -> bool:
        """Let the head be sent, and make the body the stream's business, unless the client has left before.

        Then `stream.write` writes to the connection, and the stream has begun. It is paused whenever the
        connection has more to send than it should.
        """

    def finish(self) -> None:
        """End the response; the connection may serve others."""


@dataclass(slots=True, eq=False, repr=False)
class Stream(Writer):
    """An open stream, from the moment at which it is attached to a connection."""

    steps_at_once = 1  # each may be a large piece

    viewer: Viewer
    connection: StreamConnection
    _retry: bytes
    _streams: "Streams"
    active_at: float = 0
    """When it was last written to; if the connection takes no more, when that last sent something."""
    closed: bool = False
    paused: bool = False
    up_to_date: bool = False
    """Whether it can be written to with others of its log: it has begun, and can take more."""
    write: Callable[[bytes], object] = field(init=False)
    """Writes one chunk of the body. The connection sets it: an attribute, as it is called most."""
    queue: WriteQueue = field(init=False)
    _unsent: float = math.inf

    def begin(self) -> None:
        """Write what the viewer has missed, or a comment: proxies may hold back a head without a body."""
        self.queue, self.active_at = self._streams.queue, self._streams.now()
        self._streams.add(self)
        for _ in islice(self.write_steps(), 1):
            self.resume()
        if self._retry and not self.closed:
            self.write(PING)

    def pause(self) -> None:
        """Write nothing more until it isn't paused any more, and `resume` is called."""
        self.paused, self.up_to_date = True, False
        self._unsent = math.inf

    def write_steps(self) -> Iterator[None]:
        """Write what the viewer has not seen, as fast as the connection takes it, piece by piece."""
        viewer, streams = self.viewer, self._streams
        try:
            while not (self.closed or self.paused):
                if events := viewer.take():
                    streams.events += events.count(b"\n\n")
                    streams.bytes += len(events)
                    if self._retry:
                        events, self._retry = events.replace(b"\n", self._retry, 1), b""
                    self.write(chunk(events))
                    self.active_at = streams.now()
                if self.paused:
                    return
                if viewer.caught_up:
                    if outcome := viewer.outcome:
                        self.end(outcome)
                    else:
                        self.up_to_date = viewer.shares and not self._retry
                    return
                yield
        except Exception:  # noqa: BLE001 - it is logged, and the other streams are served
            self.fail()

    def check(self, now: float) -> None:
        """Break a silence that has lasted for too long; give up on a viewer that has stopped reading."""
        silence = now - self.active_at
        if self.closed:
            return
        try:
            if self.paused:
                unsent = self.connection.transport.get_write_buffer_size()
                if unsent < self._unsent:
                    self._unsent, self.active_at = unsent, now
                elif silence >= self._streams.stall_seconds:
                    self.end("stalled")
            elif silence >= self._streams.ping_seconds:
                self.write(PING)
                self.active_at = now
        except Exception:  # noqa: BLE001 - it is logged, and the other streams are checked
            self.fail()

    def fail(self) -> None:
        """Log the exception that is being handled, and cut the connection: the viewer may come back."""
        logger.exception("A stream failed.")
        self.end("failed")

    def end(self, outcome: Outcome) -> None:
        """Write nothing any more: the response ends well, or the connection is cut, or is gone."""
        if self.closed:
            return
        if outcome in ("ended", "stopped"):
            self.connection.finish()
        elif outcome != "left":
            self.connection.transport.abort()
        self.closed, self.up_to_date = True, False
        self._streams.remove(self, outcome)
