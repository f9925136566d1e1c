"""The response of a stream, which its connection goes on with if it can; else sse-starlette does."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from functools import partial
from types import FunctionType

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from taskstream.http.stream import CONNECTION, Stream, StreamConnection
from taskstream.http.streams import Streams
from taskstream.http.write_queue import Outcome
from taskstream.viewers import Viewer

LAYERS = {
    "wrap_app_handling_exceptions.<locals>.wrapped_app.<locals>.sender": "starlette._exception_handler",
    "ServerErrorMiddleware.__call__.<locals>._send": "starlette.middleware.errors",
    "CORSMiddleware.send": "starlette.middleware.cors",
}
"""What may stand between a response and its connection, as it hands on every body as it is."""

HEADERS = (
    (b"cache-control", b"no-store, no-transform"),  # compressing would hold back events
    (b"x-accel-buffering", b"no"),
    (b"content-type", b"text/event-stream; charset=utf-8"),
)
"""Without sse-starlette's `Connection`, which HTTP/2 forbids."""

GATHER_SECONDS = 0.1
"""How long a response that has waited for its first event goes on, for those that come with it."""

logger = logging.getLogger(__name__)


class StreamResponse(EventSourceResponse):
    """A response that lasts until its viewer has read the end, or has left, or the server stops.

    With `wait_seconds`, only until there is something, and no longer than that.

    Raises `StreamsFull` when it is called, before anything is sent. If the stream is attached to its
    connection, the call returns as soon as that has begun.
    """

    def __init__(
        self, viewer: Viewer, streams: Streams, retry_milliseconds: int, wait_seconds: float | None = None
    ) -> None:
        # Spread, so that a server that starts again isn't met by all of its viewers at once. Inside the
        # first event, for sseclient-py drops a block without data.
        milliseconds = random.randint(retry_milliseconds, 3 * retry_milliseconds)
        self._retry = b"\nretry: %d\n" % milliseconds
        self._viewer = viewer
        self._streams = streams
        self._polled = wait_seconds is not None
        self._events = events_of(viewer, streams, self._retry, wait_seconds)
        super().__init__(
            self._events,
            sep="\n",
            ping=streams.ping_seconds,
            ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
            send_timeout=streams.stall_seconds,
        )

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:  # noqa: ARG002 - Starlette's
        """Have the headers that all streams have: making them anew is a tenth of an opening."""
        self.raw_headers = [*HEADERS]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        connection = self._connection(scope, send)
        head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        self._streams.take_place()
        outcome: Outcome | None = "failed"
        try:
            if connection:
                stream = Stream(self._viewer, connection, self._retry, self._streams)
                attached = await connection.attach(stream, send(head))
                outcome = None if attached else "left"  # the place is the stream's now
            else:
                await super().__call__(scope, receive, send)
                outcome = self._viewer.outcome or "left"
        except SendTimeoutError:
            outcome = "stalled"
        except (asyncio.CancelledError, OSError):
            outcome = "left"
            raise
        finally:
            if outcome:
                self._streams.outcomes[outcome] += 1
                self._viewer.release()
        if connection and self.background is not None:
            await self.background()

    def _connection(self, scope: Scope, send: Send) -> StreamConnection | None:
        """The connection, if it offers itself, and nobody before it could want to see bodies."""
        connection: StreamConnection | None = scope.get(CONNECTION)
        if connection is None or self._polled:
            return None
        innermost = unwrapped(send)
        owned = connection.owns(innermost)
        if owned and self.body_iterator is self._events:
            return connection
        if not self._streams.said_slower:
            self._streams.said_slower = True
            changed_by = "what replaced body_iterator" if owned else function_of(innermost) or innermost
            logger.warning("Streams are slower: their bodies may be seen or changed by %s.", changed_by)
        return None

    @staticmethod
    async def _listen_for_exit_signal() -> None:
        """Never return: the content ends when this server stops (see `servers.py`).

        sse-starlette would end the stream when any server of this process has ever been told to stop.
        """
        await asyncio.Event().wait()


def unwrapped(send: object) -> object:
    """What a `send` comes down to below the known layers: a connection's own, or the first other layer."""
    while (function := function_of(send)) and (
        LAYERS.get(function.__code__.co_qualname) == function.__globals__["__name__"]
    ):
        if isinstance(send, partial):
            send = send.keywords.get("send")
        else:
            names, cells = function.__code__.co_freevars, function.__closure__
            send = cells[names.index("send")].cell_contents if cells and "send" in names else None
    return send


def function_of(send: object) -> FunctionType | None:
    """The function that is called, whose code says where it stands, whatever `functools.wraps` says."""
    function = send.func if isinstance(send, partial) else send
    function = getattr(function, "__func__", function)  # of a method
    return function if isinstance(function, FunctionType) else None


async def events_of(
    viewer: Viewer, streams: Streams, retry: bytes, wait_seconds: float | None
) -> AsyncGenerator[bytes, None]:
    """What a viewer sees, for sse-starlette."""
    with viewer:
        if wait_seconds is not None:
            events = await first_events(viewer, wait_seconds)
        elif not (events := viewer.take()):
            yield b": ping\n\n"  # a proxy may hold back a head without a body
        while events or (wait_seconds is None and await viewer.wait()):
            if events:
                streams.events += events.count(b"\n\n")
                streams.bytes += len(events)
                yield events.replace(b"\n", retry, 1) if retry else events
                retry = b""
            events = viewer.take() if wait_seconds is None else b""


async def first_events(viewer: Viewer, wait_seconds: float) -> bytes:
    """All that is there for a viewer; if that is nothing, what comes with the first event, within a limit.

    At one moment: with tasks that never pause it would not end otherwise.
    """
    if not (events := viewer.take()) and wait_seconds:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                events = await viewer.read()
        if events:
            await asyncio.sleep(GATHER_SECONDS)
    return b"".join([events, *iter(viewer.take, b"")])
