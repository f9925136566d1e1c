"""The response of a stream, which the connection carries; or, if it can't, sse-starlette streams it."""

import asyncio
import random
from collections.abc import AsyncGenerator

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from taskstream.http.stream import OFFER, Carrier, Stream
from taskstream.http.streams import Outcome, Streams
from taskstream.log import Viewer


class StreamResponse(Response):
    """A response that lasts until its viewer has read the end, or has left, or the server stops.

    Raises `StreamsFull` when it is called, before anything is sent. If the connection carries the
    stream, the call returns as soon as the stream has begun.
    """

    media_type = "text/event-stream"

    def __init__(self, viewer: Viewer, streams: Streams, retry_milliseconds: int) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._viewer = viewer
        self._streams = streams
        # Spread, so that a server that starts again isn't met by all of its viewers at once. Inside the
        # first event, for sseclient-py drops a block without data.
        milliseconds = random.randint(retry_milliseconds, 3 * retry_milliseconds)
        self._retry = b"\nretry: %d\n" % milliseconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._streams.take_place()
        outcome: Outcome | None = "left"
        try:
            if await self._hand_over(scope, send):
                outcome = None  # the place is the stream's now
            else:
                outcome = await self._stream(scope, receive, send)
        finally:
            if outcome:
                self._streams.free_place(outcome)
        if self.background is not None:
            await self.background()

    async def _hand_over(self, scope: Scope, send: Send) -> bool:
        """Send the head, and let the connection carry the rest, if it offers that and the head allows."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        connection: Carrier | None = scope.get(OFFER)
        if connection is None:
            await send(start)
            return False
        connection.cork()
        try:
            await send(start)
            stream = Stream(self._viewer, connection, self._streams, self._retry)
            if carried := connection.carry(stream):
                self._streams.add(stream)
        finally:
            connection.uncork()
        return carried

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> Outcome:
        """Send the body event by event, by an asyncio task or two of its own."""

        async def send_body(message: Message) -> None:
            if message["type"] != "http.response.start":  # which has been sent
                await send(message)

        response = UnstoppableResponse(
            self._content(),
            sep="\n",
            ping=self._streams.ping_seconds,
            ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
            send_timeout=self._streams.stall_seconds,
        )
        try:
            await response(scope, receive, send_body)
        except SendTimeoutError:
            return "stalled"
        if not self._viewer.finished:
            return "left"
        return "ended" if self._viewer.ended else "stopped"

    async def _content(self) -> AsyncGenerator[bytes, None]:
        with self._viewer:
            first = await self._viewer.read()
            self._streams.count(first)
            yield first.replace(b"\n", self._retry, 1)
            while events := await self._viewer.read():
                self._streams.count(events)
                yield events


class UnstoppableResponse(EventSourceResponse):
    """One that ends with its content or its client only.

    sse-starlette would end it when any server of this process has ever been told to stop. Here the
    content ends when this server stops: see `stopping.py`.
    """

    @staticmethod
    async def _listen_for_exit_signal() -> None:
        await asyncio.Event().wait()
