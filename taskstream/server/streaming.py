"""A connection to which a stream is written when the application that began the response has returned.

An asyncio task, its coroutines and all that they know take 20 KiB, and waking them up for an event takes
longer than writing it. Between two events a stream needs none of them: it is a cursor and a transport.
"""

import asyncio
import math
from collections.abc import Awaitable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from taskstream.http.stream import CONNECTION, Stream

LAST_CHUNK = b"0\r\n\r\n"
UNREAD_BYTES = 64 * 1024
"""What a client has to take of an answer at a time."""


class StreamingProtocol(HttpToolsProtocol):
    """uvicorn's, but a stream can be attached to it: see `taskstream.http.stream.StreamConnection`."""

    unread_seconds = 60.0
    """How long a client may take for `UNREAD_BYTES` of an answer, or for the end of it."""
    _response: RequestResponseCycle = None  # type: ignore[assignment]
    """The response that is under way, or the last one."""
    _stream: Stream | None = None
    _chunked = True
    _read_ahead_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def owns(self, send: object) -> bool:
        """Whether this is the `send` of the response that is under way."""
        return send == self._response.send

    async def attach(self, stream: Stream, head: Awaitable[None]) -> bool:
        """Let the head be sent; make the body the stream's business, if the head has arrived."""
        response = self._response
        self._chunked = response.scope["http_version"] == "1.1"
        if not self._chunked:  # HTTP/1.0 knows no chunks: the body ends with the connection
            response.chunked_encoding = False
        await head
        if not response.response_started:
            return False
        self._stream = stream
        if self.flow.write_paused:  # by the head: there was no stream to pause yet
            stream.pause()
        stream.write = self.transport.write if self._chunked else self._write_content
        self._forget_request(response)
        self._read_ahead_bytes = 0
        self.flow.resume_reading()
        stream.begin()
        return True

    def finish(self) -> None:
        """End the response; the next one may begin, or the connection ends as well."""
        if self._chunked:
            self.transport.write(LAST_CHUNK)
        self._stream = None
        self._response.response_complete = True
        if not self._response.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the stream know that its viewer has left, and leave nothing for the garbage collector."""
        response, stream = self._response, self._stream
        super().connection_lost(exc)
        if response is not None and not response.response_complete:  # uvicorn looks at the last one only
            response.disconnected = True
            response.message_event.set()
        if response is not None and response.scope is not None:
            response.scope.pop(CONNECTION, None)  # type: ignore[misc]
        if stream is not None:
            stream.end("left")
        for timer in (self._deadline, self._unread):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        self._stream = None
        self.cycle = self.scope = None  # type: ignore[assignment]

    def eof_received(self) -> None:
        """Take a viewer that ends its half of the connection to have left."""
        if self._stream is not None:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Let the stream fall behind, which `Stream.check` watches; or watch how an answer is read."""
        super().pause_writing()
        if self._stream is not None:
            self._stream.pause()
        else:
            self._watch_reader()

    def resume_writing(self) -> None:
        """Let the stream catch up."""
        super().resume_writing()
        if self._stream is not None:
            self._stream.paused = False
            self._stream.resume()

    def _watch_reader(self, before: float = math.inf) -> None:
        """Cut a client that takes too little of an answer; slow lines may take as long as they need."""
        if self._unread is not None:
            self._unread.cancel()
        unsent = self.transport.get_write_buffer_size()
        # An answer that goes on while the client reads it may have more to send than before.
        waiting = self._stream is None and (self.flow.write_paused or self._response.response_complete)
        if waiting and unsent > max(0, before - UNREAD_BYTES):
            self.transport.abort()
        elif unsent:
            self._unread = self.loop.call_later(self.unread_seconds, self._watch_reader, unsent)

    def shutdown(self) -> None:
        """End the stream: its viewer will come back to another server."""
        if self._stream is not None:
            self._response.keep_alive = False
            self._stream.end("stopped")
        super().shutdown()

    def _write_content(self, chunk: bytes) -> None:
        """Write what is in a chunk to a client that doesn't know chunks."""
        self.transport.write(chunk[chunk.index(b"\r\n") + 2 : -2])

    def _forget_request(self, response: RequestResponseCycle) -> None:
        """Free what only the application needed, and keep uvicorn from taking its return for an end."""
        response.disconnected = True
        if self.scope is response.scope:
            self.scope = None  # type: ignore[assignment]
            self.headers = []
        response.scope = None  # type: ignore[assignment]
