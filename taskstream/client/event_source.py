"""The EventSource algorithm of the WHATWG over aiohttp, to the letter.

    async with aiohttp.ClientSession() as session:
        async for event in EventSource(session, "http://localhost:8000/task-progress/<id>"):
            print(event.last_event_id, event.data)

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from enum import IntEnum
from itertools import chain

import aiohttp

from taskstream.client import environment, errors
from taskstream.client.parser import MAX_EVENT_BYTES, Event, Parser

MAX_REDIRECTS = 20
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)
"""What can happen to a connection: there is hope for the next one."""


def open_session(url: str, headers: Mapping[str, str] | None = None) -> aiohttp.ClientSession:
    """A session for this server, with these headers; see `environment` for what the environment says.

    Each stream holds a connection for as long as it lasts, of which aiohttp by itself allows 100.
    """
    connector = aiohttp.TCPConnector(limit=0, ssl=environment.tls())
    return aiohttp.ClientSession(
        connector=connector, headers=headers, trust_env=environment.proxies_count(url)
    )


class ReadyState(IntEnum):
    """The state of the connection."""

    CONNECTING = 0
    OPEN = 1
    CLOSED = 2


class EventSource:
    """A stream of events that survives its connections (sections 9.2.2 and 9.2.3).

    `async for event in source` is the whole algorithm. It never ends by itself: it raises an
    `EventSourceError` where the standard says "fail the connection". Leaving it closes the connection;
    another `async for` opens one again, and goes on after the last event. `connect()` is one connection,
    for those who decide for themselves when to try again.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | bytes | None = None,
        last_event_id: str = "",
        reconnection_seconds: float = 3,
        read_timeout: float | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
        on_comment: Callable[[str], object] | None = None,
        on_error: Callable[[Exception | None], object] | None = None,
    ) -> None:
        """`read_timeout` is in seconds without a byte; None waits for ever, as browsers do.

        `on_comment` is called with each comment, when the events before it have been taken; what it raises
        is raised. `on_error` is called before each reconnection of `async for`, with the network error, or
        None if the server ended the stream. `url` and `read_timeout` may be changed between connections.
        """
        self.url = url
        self.last_event_id = last_event_id
        self.reconnection_seconds = reconnection_seconds
        self.ready_state = ReadyState.CONNECTING
        self._session = session
        self._method = method
        self._headers = dict(headers or {})
        self._body = body
        self.read_timeout = read_timeout
        self._max_event_bytes = max_event_bytes
        self._on_comment = on_comment
        self._handing_over = False
        self._on_error = on_error or (lambda _: None)

    @asynccontextmanager
    async def connect(self, open_timeout: float | None = None) -> AsyncIterator[AsyncIterator[Event]]:
        """The events of one connection, until the server ends it; closed on leaving.

        Raises `EventSourceError`, or one of the `NETWORK_ERRORS`: `TimeoutError` when there is no answer
        within `open_timeout` seconds.
        """
        self.ready_state, self._handing_over = ReadyState.CONNECTING, False
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
                network_error: Exception | None = None
                try:
                    async with self.connect() as events:
                        async for event in events:
                            yield event
                except NETWORK_ERRORS as error:
                    if self._handing_over:  # it is of `on_comment`
                        raise
                    network_error = error
                self.ready_state = ReadyState.CONNECTING  # "reestablish the connection"
                self._on_error(network_error)
                await asyncio.sleep(self.reconnection_seconds)
        finally:
            self.ready_state = ReadyState.CLOSED

    async def _request(self) -> aiohttp.ClientResponse:
        """The answer, if it is an event stream."""
        # Cache mode "no-store" is this header on a request (Fetch, "HTTP-network-or-cache fetch").
        headers = {"Accept": errors.MIME_TYPE, "Cache-Control": "no-cache", **self._headers}
        # An id that no header can carry is kept to ourselves: the server then starts from the beginning.
        if self.last_event_id and not UNSENDABLE.search(self.last_event_id):
            headers["Last-Event-ID"] = self.last_event_id
        try:
            response = await self._session.request(
                self._method,
                self.url,
                headers=headers,
                data=self._body,
                max_redirects=MAX_REDIRECTS,
                # Or aiohttp would end every stream after five minutes.
                timeout=aiohttp.ClientTimeout(total=None, sock_read=self.read_timeout),
                raise_for_status=False,
            )
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError) as error:  # idna's own
            raise errors.InvalidAddress(f"Expected an http address, got an invalid one: {error}") from error
        if errors.is_event_stream(response.status, response.headers):
            return response
        async with response:
            body = b"" if response.status == 200 else await read_beginning(response)
            raise errors.answer_error(response.status, response.reason, response.headers, body)

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        # The standard starts each connection with an empty id; browsers keep the one they have, so that
        # events without an id don't make them forget where they were. So do we.
        parser = Parser(self.last_event_id, self._max_event_bytes, self._on_comment)
        while True:
            async with asyncio.timeout(self.read_timeout):  # of our own: what decodes to nothing is silence
                chunk = await response.content.readany()
            if not chunk:
                return
            self._handing_over = True
            for event in chain(parser.parse(chunk), [None]):  # also what stands behind the last event
                self.last_event_id = parser.last_event_id
                if parser.reconnection_seconds is not None:
                    self.reconnection_seconds = parser.reconnection_seconds
                if event:
                    yield event
            self._handing_over = False


async def read_beginning(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer that is no stream, or its first `ERROR_BODY_BYTES`."""
    body = b""
    while len(body) < errors.ERROR_BODY_BYTES and (chunk := await response.content.readany()):
        body += chunk
    return body
