"""The EventSource algorithm of the WHATWG over aiohttp, to the letter.

    async with aiohttp.ClientSession() as session:
        async for event in EventSource(session, "http://localhost:8000/task-progress/<id>"):
            print(event.last_event_id, event.data)

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import codecs
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum

import aiohttp

MIME_TYPE = "text/event-stream"
MAX_REDIRECTS = 20
MAX_RECONNECTION_SECONDS = 86_400.0
"""A day: the standard sets no limit, but an event loop can't sleep for longer than its clock counts."""
MAX_EVENT_BYTES = 16 * 1024 * 1024
"""An endless event must not fill the memory: the standard sets no limit to this either."""
BODY_BYTES = 64 * 1024
"""How much of an answer that is no stream is kept, for those who want to show it."""

LINE_END = re.compile("\r\n|\r|\n")
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)
"""What can happen to a connection: there is hope for the next one."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event, in the standard's words."""

    type: str
    data: str
    last_event_id: str


class EventSourceError(Exception):
    """The server's answer was not an event stream: asking again would not help."""

    def __init__(self, message: str, status: int, body: bytes = b"") -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class StatusError(EventSourceError):
    """The status was not 200."""


class NoContent(StatusError):
    """The status was 204: nothing more will come."""


class MimeTypeError(EventSourceError):
    """The status was 200, but the body was something else than an event stream."""


class EventTooLarge(EventSourceError):
    """An event has no end, or one that is too far away."""


class ReadyState(IntEnum):
    """The state of the connection."""

    CONNECTING = 0
    OPEN = 1
    CLOSED = 2


class Parser:
    """Makes events of bytes, wherever they are split (sections 9.2.5 and 9.2.6).

    An event that is incomplete at the end of the stream is discarded, by asking no more. One of more than
    `max_event_bytes`, by about a chunk, raises `EventTooLarge`.
    """

    def __init__(self, last_event_id: str = "", max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_event_id = last_event_id
        self.reconnection_seconds: float | None = None
        # One leading BOM is dropped, bytes that are not UTF-8 become U+FFFD: the standard's "UTF-8 decode".
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line: list[str] = []
        self._after_cr = False
        self._max_event_bytes = max_event_bytes
        self._event_bytes = 0
        self._id = last_event_id
        self._type = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete with this chunk."""
        self._event_bytes += len(chunk)
        text = self._decoder.decode(chunk)
        events = [event for line in self._lines(text) if (event := self._parse(line))]
        if self._event_bytes > self._max_event_bytes:
            raise EventTooLarge(f"Expected events of at most {self._max_event_bytes} bytes, got more.", 200)
        return events

    def _lines(self, text: str) -> Iterator[str]:
        if not text:
            return
        if self._after_cr and text[0] == "\n":  # a CR LF, split in two: the CR has ended the line
            text = text[1:]
        self._after_cr = text.endswith("\r")
        first, *others = LINE_END.split(text)
        self._line.append(first)
        for other in others:
            yield "".join(self._line)
            self._line = [other]

    def _parse(self, line: str) -> Event | None:
        """Take in one line; the event, if it is the blank line that ends one."""
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")  # of a comment, the field's name is empty
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                # float and not int: Python refuses to read an int of 5 000 digits.
                self.reconnection_seconds = min(float(value) / 1000, MAX_RECONNECTION_SECONDS)
        return None

    def _dispatch(self) -> Event | None:
        self._event_bytes = 0
        self.last_event_id = self._id  # even without data: an id alone moves the cursor
        type_, data = self._type or "message", self._data
        self._type, self._data = "", []
        return Event(type_, "\n".join(data), self.last_event_id) if data else None


class EventSource:
    """A stream of events that survives its connections (sections 9.2.2 and 9.2.3).

    `async for event in source` is the whole algorithm. It never ends by itself: it raises an
    `EventSourceError` where the standard says "fail the connection". `connect()` is one connection, for
    those who decide for themselves when to try again.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        last_event_id: str = "",
        reconnection_seconds: float = 3,
        read_timeout: float | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        """`read_timeout` is in seconds without a byte; None waits for ever, as browsers do."""
        self.url = url
        self.last_event_id = last_event_id
        self.reconnection_seconds = reconnection_seconds
        self.ready_state = ReadyState.CONNECTING
        self._session = session
        self._headers = dict(headers or {})
        self._read_timeout = read_timeout
        self._max_event_bytes = max_event_bytes

    @asynccontextmanager
    async def connect(self, open_timeout: float | None = None) -> AsyncIterator[AsyncIterator[Event]]:
        """The events of one connection, until the server ends it; closed on leaving.

        Raises `EventSourceError`, or one of the `NETWORK_ERRORS`: `TimeoutError` when there is no answer
        within `open_timeout` seconds.
        """
        self.ready_state = ReadyState.CONNECTING
        try:
            async with asyncio.timeout(open_timeout):
                response = await self._request()
            async with response:
                self.ready_state = ReadyState.OPEN
                async with aclosing(self._events(response)) as events:
                    yield events
        finally:
            self.ready_state = ReadyState.CLOSED

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        """Every event, over as many connections as it takes."""
        try:
            while True:
                try:
                    async with self.connect() as events:
                        async for event in events:
                            yield event
                except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
                    raise  # the one network error that is known to come back every time
                except NETWORK_ERRORS:
                    pass  # "reestablish the connection"
                self.ready_state = ReadyState.CONNECTING
                await asyncio.sleep(self.reconnection_seconds)
        finally:
            self.ready_state = ReadyState.CLOSED

    async def _request(self) -> aiohttp.ClientResponse:
        """The answer, if it is an event stream."""
        headers = {"Accept": MIME_TYPE, "Cache-Control": "no-store", **self._headers}
        # An id that no header can carry is kept to ourselves: the server then starts from the beginning.
        if self.last_event_id and not UNSENDABLE.search(self.last_event_id):
            headers["Last-Event-ID"] = self.last_event_id
        response = await self._session.get(
            self.url,
            headers=headers,
            max_redirects=MAX_REDIRECTS,
            # Or aiohttp would end every stream after five minutes.
            timeout=aiohttp.ClientTimeout(total=None, sock_read=self._read_timeout),
            raise_for_status=False,
        )
        if response.status == 200 and response.content_type == MIME_TYPE:
            return response
        async with response:
            raise await refusal(response)

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        # The standard starts each connection with an empty id; browsers keep the one they have, so that
        # events without an id don't make them forget where they were. So do we.
        parser = Parser(self.last_event_id, self._max_event_bytes)
        async for chunk in response.content.iter_any():
            events = parser.feed(chunk)
            if parser.reconnection_seconds is not None:
                self.reconnection_seconds = parser.reconnection_seconds
            for event in events:
                self.last_event_id = event.last_event_id
                yield event
            self.last_event_id = parser.last_event_id


async def refusal(response: aiohttp.ClientResponse) -> EventSourceError:
    """What is wrong with an answer that is no event stream."""
    status = response.status
    if status == 200:
        return MimeTypeError(f"Expected {MIME_TYPE}, got {response.content_type}.", status)
    if status == 204:
        return NoContent("Expected an event stream, got status 204: nothing more will come.", status)
    message = f"Expected status 200, got {status} {response.reason}."
    return StatusError(message, status, await read_body(response))


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer that is no stream, or its beginning."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) >= BODY_BYTES:
            break
    return bytes(body)
