"""The response of a stream, which its connection goes on with if it can; else sse-starlette does."""

import asyncio
import random
from collections.abc import AsyncGenerator

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Message, Receive, Scope, Send

from taskstream.http.stream import CONNECTION, StreamConnection
from taskstream.http.streams import Streams
from taskstream.http.write_queue import Outcome, StreamCounts
from taskstream.viewers import Viewer


class StreamResponse(EventSourceResponse):
    """A response that lasts until its viewer has read the end, or has left, or the server stops.

    Raises `StreamsFull` when it is called, before anything is sent. If the stream is attached to its
    connection, the call returns as soon as that has begun.
    """

    def __init__(self, viewer: Viewer, streams: Streams, retry_milliseconds: int) -> None:
        # Spread, so that a server that starts again isn't met by all of its viewers at once. Inside the
        # first event, for sseclient-py drops a block without data.
        milliseconds = random.randint(retry_milliseconds, 3 * retry_milliseconds)
        self._retry = b"\nretry: %d\n" % milliseconds
        self._viewer = viewer
        self._streams = streams
        super().__init__(
            events_of(viewer, streams.counts, self._retry),
            sep="\n",
            ping=streams.ping_seconds,
            ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
            send_timeout=streams.stall_seconds,
        )
        del self.headers["Connection"]  # which HTTP/2 forbids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_body(message: Message) -> None:
            if message["type"] != "http.response.start":
                await send(message)

        self._streams.take_place()
        outcome: Outcome | None = "left"
        connection: StreamConnection | None = scope.get(CONNECTION)
        try:
            if connection and await self._attach(connection, send):
                outcome = None  # the place is the stream's now
                if self.background is not None:
                    await self.background()
                return
            await super().__call__(scope, receive, send_body if connection else send)
            if self._viewer.finished:
                outcome = "ended" if self._viewer.ended else "stopped"
        except SendTimeoutError:
            outcome = "stalled"
        finally:
            if outcome:
                self._streams.free_place(outcome)
                self._viewer.release()

    async def _attach(self, connection: StreamConnection, send: Send) -> bool:
        """Send the head, and attach the stream to the connection, if the head that arrives allows it."""
        connection.hold()
        try:
            head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(head)
            return self._streams.attach(self._viewer, connection, self._retry)
        finally:
            connection.release()

    @staticmethod
    async def _listen_for_exit_signal() -> None:
        """Never return: the content ends when this server stops (see `stopping.py`).

        sse-starlette would end the stream when any server of this process has ever been told to stop.
        """
        await asyncio.Event().wait()


async def events_of(viewer: Viewer, counts: StreamCounts, retry: bytes) -> AsyncGenerator[bytes, None]:
    """What a viewer sees, for sse-starlette."""
    with viewer:
        while (events := viewer.take()) or await viewer.wait():
            if events:
                counts.events += events.count(b"\n\n")
                counts.bytes += len(events)
                yield events.replace(b"\n", retry, 1) if retry else events
                retry = b""
