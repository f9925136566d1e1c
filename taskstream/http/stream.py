"""One open stream: a viewer, and the connection that carries what it is sent.

A stream is either up to date, and then it is written to together with all others that are (see
`audience.py`), or it is behind, and then it writes what its viewer has missed piece by piece, as
fast as the connection takes it. The cursor of the viewer is all that it needs to know for that.
"""

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from taskstream.log import Viewer

if TYPE_CHECKING:
    from taskstream.http.streams import Outcome, Streams

logger = logging.getLogger(__name__)

OFFER = "taskstream.connection"
"""The key in the ASGI scope under which a connection offers itself to carry a stream."""


def chunk(data: bytes) -> bytes:
    """One chunk of a body in HTTP/1.1 (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


PING = chunk(b": ping\n\n")


class Carrier(Protocol):
    """What a connection does for a stream: `taskstream.server` has one."""

    @property
    def write_paused(self) -> bool:
        """Whether it has more to send than it should; `Stream.resume` is called when that has changed."""

    @property
    def unsent_bytes(self) -> int:
        """How much it still has to send."""

    def cork(self) -> None:
        """Hold back what the response writes from now on."""

    def carry(self, stream: "Stream") -> bool:
        """Make the body of the response this stream's business, if its head has come and allows it.

        From then on `stream.write` is what writes to the connection.
        """

    def uncork(self) -> None:
        """Send in one piece what has been held back."""

    def finish(self) -> None:
        """End the response; the connection may serve others."""

    def abort(self) -> None:
        """End the connection at once."""


class Stream:
    """An open stream, from the moment at which a connection carries it."""

    __slots__ = (
        "_retry",
        "_streams",
        "_unsent",
        "active_at",
        "carrier",
        "closed",
        "up_to_date",
        "viewer",
        "write",
    )

    write: Callable[[bytes], object]
    """Writes one chunk of the body. The carrier sets it: an attribute of its own, as it is called most."""

    def __init__(self, viewer: Viewer, carrier: Carrier, streams: "Streams", retry: bytes) -> None:
        self.viewer = viewer
        self.carrier = carrier
        self.closed = False
        self.up_to_date = False
        """Whether it can be written to with others: it has begun, and its connection takes more."""
        self.active_at = streams.now()
        """When it was last written to; if the connection takes no more, when that last sent something."""
        self._streams = streams
        self._retry = retry
        self._unsent = math.inf

    def notify(self) -> None:
        """Have a turn at writing what is new."""
        self._streams.turns.add(self)

    resume = notify

    def pause(self) -> None:
        """Write nothing more until `resume` is called."""
        self.up_to_date = False
        self._unsent = math.inf

    def take_turn(self, most: int = 1) -> int:  # noqa: ARG002 - it is one stream, however many there may be
        """Write the next piece of what the viewer has not seen, if the connection takes it."""
        try:
            if not self.closed and not self.carrier.write_paused:
                self._write_piece(self.carrier)
        except Exception:  # noqa: BLE001 - it is logged, and the other streams are served
            self.fail()
        return 1

    def check(self, ping_seconds: float, stall_seconds: float) -> None:
        """Break a silence that has lasted for too long; give up on a viewer that has stopped reading."""
        try:
            if not self.closed:
                self._check(ping_seconds, stall_seconds)
        except Exception:  # noqa: BLE001 - it is logged, and the other streams are checked
            self.fail()

    def end(self, outcome: "Outcome") -> None:
        """End the response."""
        if not self.closed:
            self.carrier.finish()
            self.close(outcome)

    def fail(self) -> None:
        """Log the exception that is being handled, and end the connection: the viewer may come back."""
        logger.exception("A stream failed.")
        self._cut("failed")

    def close(self, outcome: "Outcome") -> None:
        """Write nothing any more: it has come to an end, or its viewer has left."""
        if not self.closed:
            self.closed = True
            self.up_to_date = False
            self._streams.remove(self, outcome)

    def _check(self, ping_seconds: float, stall_seconds: float) -> None:
        now, carrier = self._streams.now(), self.carrier
        if carrier.write_paused:
            if carrier.unsent_bytes < self._unsent:
                self._unsent, self.active_at = carrier.unsent_bytes, now
            elif now - self.active_at >= stall_seconds:
                self._cut("stalled")
        elif now - self.active_at >= ping_seconds:
            self.write(PING)
            self.active_at = now

    def _cut(self, outcome: "Outcome") -> None:
        if not self.closed:
            self.close(outcome)
            self.carrier.abort()

    def _write_piece(self, carrier: Carrier) -> None:
        events = self.viewer.take()
        if events:
            self._streams.count(events)
            if self._retry:
                events, self._retry = events.replace(b"\n", self._retry, 1), b""
            self.write(chunk(events))
            self.active_at = self._streams.now()
        if carrier.write_paused:
            return
        if not self.viewer.caught_up:
            self.notify()  # there is more, but others have their turn first
        elif self.viewer.finished:
            self.end("ended" if self.viewer.ended else "stopped")
        else:
            self.up_to_date = not self._retry
