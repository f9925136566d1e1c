"""How much a connection may ask of the server before it has asked for anything.

uvicorn with httptools waits for the head of a request for ever, and takes one of any size: a few thousand
idle connections, or one endless header, would be enough to bring the server down.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from itertools import chain
from operator import itemgetter
from typing import Any

from httptools import HttpParserError
from starlette.responses import Response
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from taskstream.encoding import to_json
from taskstream.http.stream import CONNECTION
from taskstream.server.streaming import StreamingProtocol

HEAD_SECONDS = 10
"""For the head of a request: from the beginning of the connection, or from the answer before."""
HEAD_BYTES = 64 * 1024
"""Request line and headers; and whatever else of a request is not its body."""
LINGER_SECONDS = 2
"""How long a refused client may go on sending: if we didn't read that, it could not read our answer."""
READ_AHEAD_BYTES = 128 * 1024
"""How much is read of what comes behind the request of an open stream, to notice when its viewer leaves."""
PIPELINED_REQUESTS = 500
"""Requests of a connection that wait for the answer to one before them, at some 3 KiB each."""
PIPELINED_IN_ALL = 5000
"""The same of all connections."""

UNKNOWN_HOST = (
    "This server doesn't answer under that name: give it with --allowed-hosts (or allowed_hosts)."
)
TOO_LARGE = f"The head of the request is larger than {HEAD_BYTES // 1024} KiB."

answer_options = Response(
    status_code=204, headers={"Allow": "GET, HEAD, POST, OPTIONS", "Cache-Control": "no-store"}
)
"""What answers `OPTIONS *`, which is about the server (RFC 9110, section 9.3.7)."""


class AccessLines(logging.Logger):
    """uvicorn's access log, for a tenth of what `logging` takes for each line."""

    def info(self, msg: object, *args: object, **_: Any) -> None:  # noqa: ANN401 - those of a logger
        """Write a line."""
        with suppress(OSError):  # nobody reads it
            print(f"INFO:     {str(msg) % args}\n", end="", flush=True)  # in one piece, unbuffered too


class Connection(StreamingProtocol):
    """One where a request whose head is too slow gets a 408, and one with too large a head a 431."""

    hosts: re.Pattern[bytes] | None = None
    """The values of Host that are answered; all, if there are none."""
    access_lines: AccessLines | None = None
    """What writes the access log instead of uvicorn."""
    _in_head = False
    _reading_ended = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        if self.access_lines is not None:
            self.access_log, self.access_logger = True, self.access_lines
        self._set_deadline(HEAD_SECONDS, self._too_slow)

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        if self._reading_ended:
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._stream is not None:
            self._read_ahead_bytes += len(data)
            if self._read_ahead_bytes < READ_AHEAD_BYTES:
                self.flow.resume_reading()  # which uvicorn has paused behind a second request
        if self._head_bytes > HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, TOO_LARGE)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is complete: what follows is the application's business."""
        # RFC 9110, section 5.5: space at its end is no part of a value, which httptools doesn't know.
        for index, (name, value) in enumerate(self.headers):
            self.headers[index] = name, value.rstrip(b" \t")
        if refusal := self._find_refusal():
            self._refuse(*refusal)
            raise HttpParserError  # it stops the parser
        self._in_head, self._head_bytes = False, 0
        if self._deadline is not None:
            self._deadline.cancel()
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # RFC 9110, section 7.8: it may be ignored, but what follows isn't ours to read.
            self.cycle.keep_alive = False
            self._reading_ended = True

    def on_body(self, body: bytes) -> None:
        """A part of the body, whose size is the application's business."""
        self._head_bytes = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is there already."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._watch_reader()
        if not self.transport.is_closing() and self.cycle.response_complete:
            self._set_deadline(HEAD_SECONDS, self._too_slow)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's one message says no more
        """Refuse what isn't HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "This is not an HTTP request.")

    def _find_refusal(self) -> tuple[HTTPStatus, str] | None:
        """Why the request with this head is refused, if it is."""
        if len(self.url) + sum(map(len, chain(*self.headers))) + 4 * len(self.headers) > HEAD_BYTES:
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, TOO_LARGE
        names = [*map(itemgetter(0), self.headers)]
        count = names.count(b"host")
        if count > 1 or (not count and self.parser.get_http_version() == "1.1"):  # RFC 9112, section 3.2
            return HTTPStatus.BAD_REQUEST, "A request needs the header Host, once."
        has_body = b"transfer-encoding" in names or dict(self.headers).get(b"content-length", b"0") != b"0"
        if has_body and self.parser.should_upgrade():  # the parser would take it for the other protocol
            return HTTPStatus.BAD_REQUEST, "A request that asks for another protocol can't have a body."
        if len(self.pipeline) >= PIPELINED_REQUESTS:
            return HTTPStatus.BAD_REQUEST, f"More than {PIPELINED_REQUESTS} requests wait for answers."
        if len(self.pipeline) % 4 == 3:  # not for each request, as counting takes a while
            waiting = sum(len(getattr(each, "pipeline", ())) for each in self.connections)
            if waiting >= PIPELINED_IN_ALL:
                return HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests of all clients wait for answers."
        if count and self.hosts and not self.hosts.fullmatch(self.headers[names.index(b"host")][1]):
            return HTTPStatus.MISDIRECTED_REQUEST, UNKNOWN_HOST
        return None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._response = cycle
        if cycle.scope["method"] != "HEAD":  # whatever the application takes it for, there is no body
            cycle.scope[CONNECTION] = self  # type: ignore[literal-required]
        if cycle.scope["method"] == "OPTIONS" and cycle.scope["raw_path"] == self.root_path.encode() + b"*":
            app = answer_options  # type: ignore[assignment]
        super()._start_asgi_task(cycle, app)

    def _set_deadline(self, seconds: float, on_time: Callable[[], object]) -> None:
        """Call something after so many seconds, unless another deadline takes its place."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, on_time)

    def _too_slow(self) -> None:
        if self._in_head:
            detail = f"The head of the request took longer than {HEAD_SECONDS} s."
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, detail)
        else:
            self.transport.close()  # nothing was asked, so nothing is answered

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer with a status and a reason, and end the connection."""
        if self._reading_ended:
            return
        self._reading_ended = True
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started or self.pipeline:
                self.transport.abort()  # another answer is under way, which this one would garble
                return
            self.cycle.disconnected = True  # the application that reads the body stops waiting for it
            self.cycle.message_event.set()
        body = to_json({"detail": detail})
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"cache-control: no-store\r\nconnection: close\r\n\r\n%b"
            % (status, status.phrase.encode(), len(body), body)
        )
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._set_deadline(LINGER_SECONDS, self.transport.abort)
