"""A proxy between one viewer and a lesson's server: it records what passes, and can cut the connection."""

import asyncio
import zlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import h11

from examples.lessons.timeline import Kind, Timeline
from taskstream.client import Event, Parser

PIECE_BYTES = 64 * 1024


class Recorder:
    """The proxy of one viewer."""

    def __init__(self, timeline: Timeline, viewer: str, ports: Iterator[int]) -> None:
        """`ports` are those of the servers that take the connections in turn."""
        self.viewer = viewer
        self._timeline = timeline
        self._ports = ports
        self._transports: set[asyncio.WriteTransport] = set()
        self._forwarding: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more, and close what is open."""
        self._server.close()
        self._abort()
        await asyncio.gather(*self._forwarding, return_exceptions=True)

    def cut(self) -> None:
        """Cut the connection, as a tunnel or a restarted proxy would."""
        if self._transports:
            self._timeline.add(self.viewer, Kind.CUT, "the connection is cut")
            self._abort()

    def _abort(self) -> None:
        for transport in list(self._transports):
            transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer))
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    async def _forward(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        exchange = Exchange(self._timeline, self.viewer)
        try:
            origin, to_origin = await asyncio.open_connection("127.0.0.1", next(self._ports))
        except OSError:
            self._timeline.add(self.viewer, Kind.END, "there is no server")
            to_client.transport.abort()
            return
        mine = {to_client.transport, to_origin.transport}
        self._transports |= mine
        pumps = [
            asyncio.create_task(pump(client, to_origin, exchange.sent)),
            asyncio.create_task(pump(origin, to_client, exchange.received)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        was_cut = to_client.transport.is_closing()
        self._transports -= mine
        for each in pumps:
            each.cancel()
        if pumps[1].done() and not was_cut:
            exchange.end()
        for writer in (to_client, to_origin):
            writer.close()


async def pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: Callable[[bytes], None]
) -> None:
    """Pass on each piece as it arrives, until one side has gone."""
    try:
        while piece := await reader.read(PIECE_BYTES):
            record(piece)
            writer.write(piece)
            await writer.drain()
    except OSError:
        return


class Exchange:
    """One request and its response, as they are read from the bytes that pass."""

    def __init__(self, timeline: Timeline, viewer: str) -> None:
        self._timeline = timeline
        self._viewer = viewer
        self._begin()

    def _begin(self) -> None:
        self._requests = h11.Connection(h11.SERVER)
        self._responses = h11.Connection(h11.CLIENT)
        self._answered = True
        self._parser: Parser | None = None
        self._decompress: Callable[[bytes], bytes] = bytes

    def sent(self, piece: bytes) -> None:
        """The viewer has sent a piece of a request."""
        self._requests.receive_data(piece)
        while isinstance(event := self._requests.next_event(), h11.Event):
            if isinstance(event, h11.Request):
                self._answered = False
                headers = dict(event.headers)
                last_event_id = headers.get(b"last-event-id", b"").decode()
                after = f", Last-Event-ID: {last_event_id}" if last_event_id else ""
                self._add(Kind.REQUEST, f"{event.method.decode()} {event.target.decode()}{after}")
                self._responses.send(event)
            elif isinstance(event, h11.EndOfMessage):
                self._responses.send(event)

    def received(self, piece: bytes) -> None:
        """The server has sent a piece of the response."""
        self._responses.receive_data(piece)
        body = b""
        while isinstance(event := self._responses.next_event(), h11.Event):
            if isinstance(event, h11.Response):
                self._respond(event)
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._take(body)
                self._finish()
                return
        self._take(body)

    def end(self) -> None:
        """The server has closed the connection."""
        if self._answered:
            return
        try:
            self.received(b"")
        except h11.RemoteProtocolError:
            self._add(Kind.END, "the connection breaks off")

    def _respond(self, response: h11.Response) -> None:
        headers = dict(response.headers)
        content_type = headers.get(b"content-type", b"").decode().partition(";")[0]
        self._add(Kind.RESPONSE, f"{response.status_code} {content_type}".strip())
        if content_type == "text/event-stream":
            self._parser = Parser()
        if headers.get(b"content-encoding") == b"gzip":
            self._decompress = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress

    def _take(self, piece: bytes) -> None:
        if self._parser is None or not piece:
            return
        text = self._decompress(piece)
        compressed = f" (from {len(piece)} bytes of gzip)" if text != piece else ""
        self._add(Kind.BYTES, repr(text.decode("utf-8", "replace"))[1:-1] + compressed)
        for event in self._parser.feed(text):
            self._add(Kind.EVENT, describe(event))

    def _finish(self) -> None:
        if self._parser:
            self._add(Kind.END, "the stream ends")
        self._begin()

    def _add(self, kind: Kind, text: str) -> None:
        self._timeline.add(self._viewer, kind, text)


def describe(event: Event) -> str:
    """An event as EventSource dispatches it: its type unless that is `message`, its data, its id."""
    event_type = "" if event.type == "message" else f"{event.type}: "
    event_id = f"  (id {event.last_event_id})" if event.last_event_id else ""
    return event_type + event.data.replace("\n", "⏎") + event_id
